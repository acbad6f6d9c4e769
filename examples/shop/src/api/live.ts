import { createClient } from "graphql-ws";
import { useSubscription, type AnyVariables, type SubscriptionForwarder, type TypedDocumentNode } from "urql";

import { waitForNetwork } from "./network";

/**
 * Live queries over one WebSocket, which comes back by itself.
 *
 * An answer of `live` is whole, so nothing has to be remembered: after a lost connection its first
 * result is the present state.
 */
export function liveConnection(token: string | null): SubscriptionForwarder {
  const url = new URL("/graphql", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  let silence: ReturnType<typeof setTimeout>;
  const client = createClient({
    url: url.href,
    connectionParams: token ? { Authorization: `Bearer ${token}` } : {},
    lazyCloseTimeout: 3_000, // from one page to the next it stays open
    keepAlive: 10_000,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (retries) => waitForNetwork(Math.min(250 * 2 ** retries, 8_000) * (0.5 + Math.random() / 2)),
    on: {
      // A connection may be lost without an end.
      ping: (received) => {
        if (!received) silence = setTimeout(() => client.terminate(), 5_000);
      },
      pong: () => clearTimeout(silence),
    },
  });
  return (request) => ({
    // With an id in `extensions` there is no text; the library's type wants one.
    subscribe: (sink) => ({ unsubscribe: client.subscribe({ ...request, query: request.query ?? "" }, sink) }),
  });
}

/** Keeps what a page shows up to date. The results go into the cache, where its queries find them. */
export function useLive<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Data | undefined {
  return useSubscription({ query, variables } as Parameters<typeof useSubscription<Data, Data, Variables>>[0])[0].data;
}
