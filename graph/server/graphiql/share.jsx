import { ToolbarMenu, UnStyledButton, useGraphiQL } from "@graphiql/react";
import { useEffect, useRef, useState } from "react";
import { selected } from "./operation.js";
import { isSignedIn } from "./sign-in.jsx";

// Headers with these words hold secrets, which stay here.
const SECRET = /auth|cookie|key|secret|token/i;

/** Copies what the editor holds: as a link, or as a command or code that sends it. */
export function Share() {
  const { queryEditor, variableEditor, headerEditor, operationName } = useGraphiQL((state) => state);
  const [note, setNote] = useState(null);
  const shown = useRef(null);

  useEffect(() => {
    if (!note || note.text) {
      return undefined;
    }
    const dismiss = (event) => !shown.current?.contains(event.target) && setNote(null);
    window.addEventListener("pointerdown", dismiss);
    return () => window.removeEventListener("pointerdown", dismiss);
  }, [note]);

  const request = () => ({
    query: queryEditor.getValue(),
    variables: variableEditor.getValue().trim(),
    headers: parsed(headerEditor?.getValue()),
    operationName: selected(queryEditor.getValue(), operationName).operationName,
  });

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      setNote({ said: "Copied." });
    } catch {
      setNote({ said: "Copy it from here:", text }); // pages without TLS may not write to the clipboard
    }
  }

  return (
    <>
      <ToolbarMenu button={<UnStyledButton type="button" className="graphiql-toolbar-button" aria-label="Share" title="Share"><ShareIcon /></UnStyledButton>}>
        <ToolbarMenu.Item onSelect={() => copy(linkTo(request()))}>Copy link</ToolbarMenu.Item>
        <ToolbarMenu.Item onSelect={() => copy(asCurl(request()))}>Copy as cURL</ToolbarMenu.Item>
        <ToolbarMenu.Item onSelect={() => copy(asFetch(request()))}>Copy as fetch</ToolbarMenu.Item>
      </ToolbarMenu>
      {note && (
        <div className="note" role="status" ref={shown}>
          {note.said}
          {note.text && <textarea readOnly value={note.text} rows={6} onFocus={(event) => event.target.select()} />}
          <button type="button" onClick={() => setNote(null)} aria-label="Close">
            ×
          </button>
        </div>
      )}
    </>
  );
}

function ShareIcon() {
  return (
    <svg className="graphiql-toolbar-icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <circle cx="6" cy="12" r="2.5" />
      <circle cx="17" cy="6" r="2.5" />
      <circle cx="17" cy="18" r="2.5" />
      <path d="m8.2 10.8 6.6-3.6M8.2 13.2l6.6 3.6" />
    </svg>
  );
}

/** An address that opens the operation; no header is in it. */
function linkTo({ query, variables }) {
  const link = new URL("/graphql", window.location.origin);
  link.searchParams.set("query", query);
  if (variables) {
    link.searchParams.set("variables", variables);
  }
  return link.href;
}

function asCurl(request) {
  const headers = Object.entries(headersOf(request)).map(([name, value]) => ` \\\n  -H ${quoted(`${name}: ${value}`)}`);
  return `curl ${quoted(`${window.location.origin}/graphql`)}${headers.join("")} \\\n  --data-raw ${quoted(bodyOf(request))}\n`;
}

function asFetch(request) {
  const headers = JSON.stringify(headersOf(request), null, 2).replaceAll("\n", "\n  ");
  const body = JSON.stringify(JSON.parse(bodyOf(request)), null, 2).replaceAll("\n", "\n  ");
  return `const response = await fetch(${JSON.stringify(`${window.location.origin}/graphql`)}, {
  method: "POST",
  headers: ${headers},
  body: JSON.stringify(${body}),
});
const { data, errors } = await response.json();
`;
}

function headersOf({ headers }) {
  const shown = Object.entries(headers).map(([name, value]) => [name, SECRET.test(name) ? `YOUR ${name}` : value]);
  const token = isSignedIn() ? { authorization: "Bearer YOUR TOKEN" } : {};
  return { "content-type": "application/json", ...token, ...Object.fromEntries(shown) };
}

function bodyOf({ query, variables, operationName }) {
  return JSON.stringify({
    query,
    ...(variables && { variables: parsed(variables) }),
    ...(operationName && { operationName }),
  });
}

function parsed(text) {
  try {
    return JSON.parse(text || "{}") ?? {};
  } catch {
    return {};
  }
}

/** A word of a POSIX shell. */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
