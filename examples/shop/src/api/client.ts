import { Client, fetchExchange, mapExchange, subscriptionExchange } from "urql";

import { cache } from "./cache";
import { documentsById } from "./documents-by-id";
import { liveConnection } from "./live";
import { patientFetch } from "./patient-fetch";
import { signOut } from "./session";

/** A client for one viewer: what one may see must not stay in the cache of another. */
export function clientOf(token: string | null): Client {
  return new Client({
    url: "/graphql",
    fetch: patientFetch,
    fetchOptions: {
      headers: {
        // `graph usage` and the log tell by these whether a release is still in use.
        "graphql-client-name": "shop",
        "graphql-client-version": import.meta.env["VITE_RELEASE"] as string,
        ...(token && { authorization: `Bearer ${token}` }),
      },
    },
    preferGetMethod: false,
    requestPolicy: "cache-and-network",
    exchanges: [
      mapExchange({
        onError({ graphQLErrors }) {
          if (graphQLErrors.some((error) => error.extensions["code"] === "INVALID_TOKEN")) signOut();
        },
      }),
      cache(),
      ...(import.meta.env.PROD ? [documentsById] : []),
      fetchExchange,
      subscriptionExchange({ forwardSubscription: liveConnection(token) }),
    ],
  });
}
