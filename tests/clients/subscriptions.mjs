// What the clients of subscriptions get from the server at the address given: one JSON line.
// Each watches the town of a customer while it changes, and asks for a field that does not exist.
import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient as createEvents } from "graphql-sse";
import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import WebSocket from "ws";

globalThis.WebSocket = WebSocket; // Apollo's link expects a browser's
process.on("unhandledRejection", (error) => {
  if (error.name !== "AbortError") throw error; // of a request that a client has ended itself
});
const [uri] = process.argv.slice(2);
const LIVE = `subscription Town { live { customer(by: {databaseId: 2}) { id __typename town } } }`;
const WRONG = `subscription Wrong { live { nothing } }`;
const CHANGE = `mutation ($town: String!) { updateCustomer(
  input: {id: "Q3VzdG9tZXI6Mg==", expectedVersion: {any: true}, town: $town}) { __typename } }`;

const change = (town) =>
  fetch(uri, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: CHANGE, variables: { town } }),
  });
const sockets = createClient({ url: uri.replace("http", "ws"), webSocketImpl: WebSocket });

// The towns that arrive until three changes have been made, one after the other.
const towns = (subscribe) =>
  new Promise((resolve, reject) => {
    const seen = [];
    const stop = subscribe(
      LIVE,
      (data) => {
        seen.push(data.live.customer.town);
        if (seen.length === 4) {
          stop();
          resolve(seen.slice(1));
        } else {
          change(`Town ${seen.length}`);
        }
      },
      reject,
    );
  });
const code = (error) =>
  (error.errors ?? error.graphQLErrors ?? error.source?.errors ?? error)[0].extensions.code;
const refused = (subscribe) =>
  new Promise((resolve) => subscribe(WRONG, () => resolve("no error"), (error) => resolve(code(error))));

const results = {};
async function check(name, subscribe) {
  await change("Town 0");
  results[name] = { towns: await towns(subscribe), refused: await refused(subscribe) };
}

// A client that resembles graphql-ws.
const sinking = (client) => (query, next, error) =>
  client.subscribe(
    { query },
    {
      next: ({ data, errors }) => (errors ? error(errors) : next(data)),
      error,
      complete() {},
    },
  );
const observing = (observable) => (query, next, error) => {
  const subscription = observable(query).subscribe({
    next: (result) => {
      const failed = result.error ?? (result.errors && { errors: result.errors });
      if (failed) error(failed);
      else next(result.data);
    },
    error,
  });
  return () => subscription.unsubscribe();
};
const apollo = (link) => {
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return observing((query) => client.subscribe({ query: gql(query) }));
};
const urql = (options) => {
  const client = new Client({ url: uri, preferGetMethod: false, ...options });
  return (query, next, error) => {
    const subscription = client
      .subscription(query, {})
      .subscribe((result) => (result.error ? error(result.error) : next(result.data)));
    return () => subscription.unsubscribe();
  };
};

await check("graphql-ws", sinking(sockets));
await check("graphql-sse", sinking(createEvents({ url: uri, retryAttempts: 0 })));
await check("apollo, socket", apollo(new GraphQLWsLink(sockets)));
await check("apollo, multipart", apollo(new HttpLink({ uri })));
await check(
  "urql, socket",
  urql({
    exchanges: [
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({ unsubscribe: sockets.subscribe(request, sink) }),
        }),
      }),
    ],
  }),
);
await check("urql, events", urql({ fetchSubscriptions: true, exchanges: [fetchExchange] }));
const network = relay.Network.create(
  () => Promise.reject(new Error("no queries")),
  ({ text, name }, variables) =>
    relay.Observable.create((sink) => sockets.subscribe({ query: text, operationName: name, variables }, sink)),
);
await check(
  "relay",
  observing((text) =>
    network.execute(
      { name: text.split(" ")[1], operationKind: "subscription", text, metadata: {} },
      {},
      { force: true },
    ),
  ),
);

await sockets.dispose();
console.log(JSON.stringify(results));
process.exit(0);
