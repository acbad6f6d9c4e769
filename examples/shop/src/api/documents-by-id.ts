import { makeOperation, mapExchange, type Operation } from "urql";

/**
 * Sends the id of each document in place of its text, in the form of Apollo's persisted queries.
 *
 * The build writes all documents into `dist/manifest.json`. A server that has this manifest runs
 * them, and with `GRAPH_DOCUMENTS=trusted-only` nothing else. While developing, texts are sent: they
 * change all the time.
 */
export const documentsById = mapExchange({ onOperation: withId });

function withId(operation: Operation): Operation {
  const { __meta__ } = operation.query as { __meta__?: { hash: string } };
  if (!__meta__) throw new Error("The document was not made by graphql-codegen.");
  const persistedQuery = { version: 1 as const, sha256Hash: __meta__.hash.replace("sha256:", "") };
  const extensions = { ...operation.extensions, persistedQuery };
  return makeOperation(operation.kind, { ...operation, extensions });
}
