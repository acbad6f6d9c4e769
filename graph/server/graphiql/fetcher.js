import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { selected } from "./operation.js";
import { current, update } from "./runs.js";
import { connectionParams, fetchSignedIn } from "./sign-in.jsx";

// A subscription opens a WebSocket, and closes it at its end.
const send = createGraphiQLFetcher({
  url: "/graphql",
  fetch: fetchSignedIn,
  subscriptionUrl: new URL("/graphql", window.location.href.replace(/^http/, "ws")).href,
  wsConnectionParams: connectionParams,
});

/** GraphiQL's fetcher, which has runs explained while the panel is open. */
export function fetcher(params, options) {
  if (!("documentAST" in options)) {
    return send(params, options); // GraphiQL reads the schema
  }
  const { documentAST, operation, operationName } = selected(params.query, params.operationName);
  const request = [{ ...params, operationName }, { ...options, documentAST }];
  const isExplainable = operation && operation !== "subscription";
  return isExplainable && current().explains ? explained(...request, operation) : send(...request);
}

async function* explained(params, options, type) {
  const analyzes = current().analyzes && type === "query";
  update({ analyzes: false });
  const extensions = { explain: analyzes ? { analyze: true } : true };
  for await (const result of results(await send({ ...params, extensions }, options))) {
    const refusal = refusalOf(result);
    if (refusal) {
      update({ last: { refusal } });
      yield* results(await send(params, options)); // nothing has run yet
      return;
    }
    yield noted(result, type);
  }
}

async function* results(value) {
  if (value?.[Symbol.asyncIterator]) {
    yield* value;
  } else {
    yield value;
  }
}

/** Why the server does not explain to this viewer. */
function refusalOf(result) {
  const [error] = result.errors ?? [];
  const fields = error?.extensions?.fields ?? [];
  return fields.some(({ path }) => path === "extensions.explain") ? error.message : null;
}

/** The result without its explanation, which the panel shows. */
function noted(result, type) {
  const { explain, ...others } = result.extensions ?? {};
  update({ last: explain ? { explain, type } : { refusal: "This answer has no explanation." } });
  const { extensions, ...shown } = result;
  return Object.keys(others).length ? { ...shown, extensions: others } : shown;
}
