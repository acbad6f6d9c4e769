import "graphiql/setup-workers/vite";
// In place of graphiql/style.css, which holds these and Monaco's styles a second time.
import "@graphiql/react/font/fira-code.css";
import "@graphiql/react/font/roboto.css";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./page.css";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { connectionParams, fetchSignedIn, SignIn } from "./sign-in.jsx";

const OPENING_QUERY = `# A store: who bought what, and when.
# Ctrl-Enter runs this. Docs: top left.
query {
  customers(first: 20) {
    totalCount
    nodes {
      id
      firstName
      orders(first: 5) {
        nodes {
          id
          datePlaced
          lineItems(first: 10) {
            nodes {
              quantity
              item {
                name
                sellingPrice
              }
            }
          }
        }
      }
    }
  }
}
`;

// A link may say what is to be asked; it runs when the reader runs it.
const link = new URLSearchParams(window.location.search);

// A subscription opens a WebSocket, and closes it at its end.
const fetcher = createGraphiQLFetcher({
  url: "/graphql",
  fetch: fetchSignedIn,
  subscriptionUrl: new URL("/graphql", window.location.href.replace(/^http/, "ws")).href,
  wsConnectionParams: connectionParams,
});

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    defaultQuery={OPENING_QUERY}
    initialQuery={link.get("query") ?? undefined}
    initialVariables={link.get("variables") ?? undefined}
    inputValueDeprecation
    schemaDescription
  >
    <GraphiQL.Logo>
      <SignIn />
    </GraphiQL.Logo>
  </GraphiQL>,
);
