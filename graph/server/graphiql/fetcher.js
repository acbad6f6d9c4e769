import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { selected } from "./operation.js";
import { wholeAnswers } from "./parts.js";
import { current, update } from "./runs.js";
import { connectionParams, fetchSignedIn } from "./sign-in.jsx";
import { inItsTab } from "./tabs.js";

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
  if (operation === "subscription") {
    return send(...request);
  }
  const isExplained = operation && current().explains;
  return inItsTab(isExplained ? explained(...request, operation) : answers(...request));
}

async function* explained(params, options, type) {
  const analyzes = current().analyzes && type === "query";
  update({ analyzes: false });
  const extensions = { explain: analyzes ? { analyze: true } : true };
  for await (const answer of answers({ ...params, extensions }, options)) {
    const refusal = refusalOf(answer);
    if (refusal) {
      update({ last: { refusal } });
      yield* answers(params, options); // nothing has run yet
      return;
    }
    yield noted(answer, type);
  }
}

async function* answers(params, options) {
  yield* wholeAnswers(await send(params, options));
}

/** Why the server does not explain to this viewer. */
function refusalOf(answer) {
  const [error] = answer.errors ?? [];
  const fields = error?.extensions?.fields ?? [];
  return fields.some(({ path }) => path === "extensions.explain") ? error.message : null;
}

/** The answer without its explanation, which the panel shows. */
function noted(answer, type) {
  const { explain, ...others } = answer.extensions ?? {};
  update({ last: explain ? { explain, type } : { refusal: "This answer has no explanation." } });
  const { extensions, ...shown } = answer;
  return Object.keys(others).length ? { ...shown, extensions: others } : shown;
}
