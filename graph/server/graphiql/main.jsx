import "graphiql/setup-workers/vite";
// In place of graphiql/style.css, which holds these and Monaco's styles a second time.
import "@graphiql/react/font/fira-code.css";
import "@graphiql/react/font/roboto.css";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./page.css";
import "@graphiql/plugin-explorer/style.css";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { buildSchema } from "graphql";
import { createRoot } from "react-dom/client";
import { examplesPlugin } from "./examples.jsx";
import { EXPLAIN_PLUGIN } from "./explain.jsx";
import { fetcher } from "./fetcher.js";
import { Share } from "./share.jsx";
import { Shortcuts } from "./shortcuts.jsx";
import { SignIn } from "./sign-in.jsx";
import { onTabChange, Tabs } from "./tabs.js";

const OPENING_QUERY = `# A store: who bought what, and when.
# Ctrl-Enter runs it. Docs and examples: top left.
query Customers {
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

const OPENING_NOTE = `# This server runs the documents of its manifest only.
# Open one from the panel "Documents".
`;

// A link may say what is to be asked; it runs when the reader runs it.
const link = new URLSearchParams(window.location.search);

/** The texts of the documents that may run; null where any may. */
async function readTrusted() {
  const response = await fetch("/graphiql/documents");
  const { trusted } = await response.json();
  return trusted;
}

/** The schema, where no document for introspection may run; null if it is not shown. */
async function readSchema() {
  const response = await fetch("/schema.graphql");
  return response.ok ? buildSchema(await response.text()) : null;
}

const trusted = await readTrusted();
const schema = trusted === null ? undefined : await readSchema();
const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false }), examplesPlugin(trusted), EXPLAIN_PLUGIN];

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    schema={schema}
    plugins={plugins}
    visiblePlugin={trusted === null ? undefined : plugins[2]}
    defaultQuery={trusted === null ? OPENING_QUERY : OPENING_NOTE}
    initialQuery={link.get("query") ?? undefined}
    initialVariables={link.get("variables") ?? (link.has("query") ? "" : undefined)} // not those of the last tab
    onTabChange={onTabChange}
    inputValueDeprecation
    schemaDescription
  >
    <GraphiQL.Logo>
      <SignIn />
      <Shortcuts />
      <Tabs />
    </GraphiQL.Logo>
    <GraphiQL.Toolbar>
      {({ prettify, copy, merge }) => (
        <>
          {prettify}
          {merge}
          {copy}
          <Share />
        </>
      )}
    </GraphiQL.Toolbar>
  </GraphiQL>,
);
