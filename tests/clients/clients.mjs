// What clients that people use get from the server at the address given: one JSON line.
// The server takes batches; `sent` is how each request went over the wire.
import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQL17Alpha9Handler } from "@apollo/client/incremental";
import { BatchHttpLink } from "@apollo/client/link/batch-http";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createHash } from "node:crypto";
import { GraphQLClient } from "graphql-request";

const [uri] = process.argv.slice(2);
const QUERY = gql`
  query Customers($first: Int!) {
    customers(first: $first) {
      nodes {
        id
        firstName
      }
    }
  }
`;
const OTHER = gql`
  query Items {
    items(first: 1) {
      nodes {
        name
      }
    }
  }
`;
const CREATE = gql`
  mutation Create($input: CreateCustomerInput!) {
    createCustomer(input: $input) {
      __typename
      ... on CustomerSaved {
        customer {
          username
        }
      }
      ... on ValidationFailed {
        problems {
          path
          code
        }
      }
    }
  }
`;
const IN_PARTS = gql`
  query InParts($first: Int!) {
    customers(first: $first) {
      nodes @stream(initialCount: 1) {
        id
        ... @defer(label: "name") {
          firstName
        }
      }
    }
  }
`;
const TEXT = QUERY.loc.source.body;
const variables = { first: 2 };

let sent = [];
const watched = async (input, options) => {
  const body = options?.body ? JSON.parse(options.body) : null;
  const shape = Array.isArray(body) ? `batch of ${body.length}` : body?.query ? "query" : "hash";
  sent.push(`${options?.method ?? "GET"} ${body ? shape : new URL(input, uri).searchParams.has("query") ? "query" : "hash"}`);
  return fetch(input, options);
};
const taken = () => sent.splice(0);
const sha256 = async (text) => createHash("sha256").update(text).digest("hex");
const fresh = (link, incrementalHandler) =>
  new ApolloClient({ link, cache: new InMemoryCache(), incrementalHandler });
const names = (data) => data.customers.nodes.map((node) => node.firstName);
const named = (username) => ({
  input: { firstName: "A", lastName: "B", username, email: `${username}@x.example`, address: "C", town: "D" },
});
const saved = ({ createCustomer: { __typename, customer, problems } }) => [
  __typename,
  customer?.username ?? problems.map(({ path, code }) => `${path.join(".")} ${code}`),
];

const results = {};
async function check(name, run) {
  const data = await run();
  results[name] = { data, sent: taken() };
}

const plain = new HttpLink({ uri, fetch: watched });
await check("apollo", async () => names((await fresh(plain).query({ query: QUERY, variables })).data));
const apq = () => new PersistedQueryLink({ sha256: (query) => sha256(query) });
for (const name of ["apollo, first by hash", "apollo, again by hash"]) {
  await check(name, async () =>
    names((await fresh(apq().concat(plain)).query({ query: QUERY, variables })).data),
  );
}
const byGet = new PersistedQueryLink({ sha256: (query) => sha256(query), useGETForHashedQueries: true });
await check("apollo, by hash and GET", async () =>
  names((await fresh(byGet.concat(plain)).query({ query: QUERY, variables })).data),
);
await check("apollo, in a batch", async () => {
  const client = fresh(new BatchHttpLink({ uri, fetch: watched, batchInterval: 20 }));
  const [first, second] = await Promise.all([
    client.query({ query: QUERY, variables }),
    client.query({ query: OTHER }),
  ]);
  return [...names(first.data), second.data.items.nodes.length];
});
await check("apollo, an error", async () => {
  try {
    await fresh(plain).query({ query: gql`{ nothing }` });
    return "no error";
  } catch (error) {
    return error.errors[0].extensions.code;
  }
});

for (const name of ["apollo, a mutation", "apollo, a mutation that is refused"]) {
  await check(name, async () =>
    saved((await fresh(plain).mutate({ mutation: CREATE, variables: named("apollo") })).data),
  );
}

// Whether there was less to see at first, and what there was in the end.
const grown = (states) => [JSON.stringify(states[0]) !== JSON.stringify(states.at(-1)), names(states.at(-1))];
await check("apollo, in parts", async () => {
  const client = fresh(plain, new GraphQL17Alpha9Handler());
  const states = await new Promise((resolve, reject) => {
    const seen = [];
    client.watchQuery({ query: IN_PARTS, variables }).subscribe({
      next: ({ data, dataState, loading }) => {
        if (dataState !== "empty") seen.push(data);
        if (!loading) resolve(seen);
      },
      error: reject,
    });
  });
  return grown(states);
});

const urql = (...exchanges) =>
  new Client({ url: uri, exchanges, fetch: watched, preferGetMethod: false });
await check("urql", async () => {
  const answer = await urql(fetchExchange).query(TEXT, variables).toPromise();
  return names(answer.data);
});
for (const name of ["urql, first by hash", "urql, again by hash"]) {
  await check(name, async () => {
    const persisted = persistedExchange({ preferGetForPersistedQueries: true });
    const answer = await urql(persisted, fetchExchange).query(TEXT, variables).toPromise();
    if (answer.error) throw answer.error;
    return names(answer.data);
  });
}
await check("urql, in parts", async () => {
  const states = await new Promise((resolve) => {
    const seen = [];
    urql(fetchExchange).query(IN_PARTS.loc.source.body, variables).subscribe(({ data, hasNext }) => {
      seen.push(data);
      if (!hasNext) resolve(seen);
    });
  });
  return grown(states);
});
await check("urql, a mutation", async () => {
  const answer = await urql(fetchExchange).mutation(CREATE.loc.source.body, named("urql")).toPromise();
  return saved(answer.data);
});

const small = new GraphQLClient(uri, { fetch: watched });
await check("graphql-request", async () => names(await small.request(TEXT, variables)));
await check("graphql-request, a mutation", async () =>
  saved(await small.request(CREATE.loc.source.body, named("request"))),
);
await check("graphql-request, in a batch", async () => {
  const answers = await small.batchRequests([
    { document: TEXT, variables },
    { document: OTHER.loc.source.body },
  ]);
  return [...names(answers[0].data), answers[1].data.items.nodes.length];
});

console.log(JSON.stringify(results));
