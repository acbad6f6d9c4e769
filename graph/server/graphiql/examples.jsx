import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { parse, validate } from "graphql";
import { EXAMPLES } from "./examples.js";

/** The panel with operations to begin with; those of the manifest, where no others may run. */
export function examplesPlugin(trusted) {
  const isTrusted = trusted !== null;
  return {
    title: isTrusted ? "Documents" : "Examples",
    icon: BookIcon,
    content: () => (isTrusted ? <Trusted documents={trusted} /> : <Examples />),
  };
}

function BookIcon(props) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" {...props}>
      <path d="M5 3.5h12.5a1.5 1.5 0 0 1 1.5 1.5v15.5H6.5A1.5 1.5 0 0 1 5 19zM5 19a1.5 1.5 0 0 1 1.5-1.5H19M9 8h6M9 11.5h4" />
    </svg>
  );
}

function Examples() {
  const schema = useGraphiQL((state) => state.schema);
  const fitting = schema ? EXAMPLES.filter(({ query }) => validate(schema, parse(query)).length === 0) : [];
  return (
    <section className="examples" aria-label="Examples">
      <h2>Examples</h2>
      <List entries={fitting} />
      {schema && fitting.length === 0 && <p>No example fits this schema.</p>}
    </section>
  );
}

function Trusted({ documents }) {
  return (
    <section className="examples" aria-label="Documents">
      <h2>Documents</h2>
      <p>This server runs the documents of its manifest only. Open one, fill in its variables and run it as it is.</p>
      <List entries={documents.map(described)} />
    </section>
  );
}

/** A document of the manifest; its variables are offered as null. */
export function described(query) {
  const operations = parse(query).definitions.filter(({ kind }) => kind === "OperationDefinition");
  const [{ operation, name, variableDefinitions }] = operations;
  const required = variableDefinitions.filter(({ type }) => type.kind === "NonNullType");
  const variables = Object.fromEntries(required.map(({ variable }) => [variable.name.value, null]));
  return { title: name?.value ?? query.slice(0, 40), about: operation, query, variables };
}

function List({ entries }) {
  const open = useOpen();
  return (
    <ul>
      {entries.map((entry) => (
        <li key={entry.query}>
          <button type="button" onClick={() => open(entry)}>
            <strong>{entry.title ?? titleOf(entry)}</strong>
            <span>{entry.title ? entry.about : aboutOf(entry)}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

const titleOf = ({ about }) => about.slice(0, about.indexOf(":"));
const aboutOf = ({ about }) => about.slice(about.indexOf(":") + 2);

/** Shows an operation in a tab: in its own, if it is open already. */
function useOpen() {
  const { addTab, changeTab, setVisiblePlugin } = useGraphiQLActions();
  const { tabs, activeTabIndex, queryEditor, variableEditor } = useGraphiQL((state) => state);
  return ({ query, variables }) => {
    const shown = tabs.findIndex((tab) => tab.query === query);
    if (shown < 0) {
      addTab();
      queryEditor.setValue(query);
      variableEditor.setValue(variables && Object.keys(variables).length ? JSON.stringify(variables, null, 2) : "");
    } else if (shown !== activeTabIndex) {
      changeTab(shown);
    }
    if (window.matchMedia("(max-width: 700px)").matches) {
      setVisiblePlugin(null); // it covers the editor
    }
    if (variables && Object.keys(variables).length) {
      document.querySelector('.graphiql-editor-tools [data-name="variables"]').click(); // it may be closed
    }
    queryEditor.focus();
  };
}
