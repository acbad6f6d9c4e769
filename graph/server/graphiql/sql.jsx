import { useState } from "react";

const PARTS = /('(?:[^']|'')*')|(\$\d+)|\b(SELECT|FROM|WHERE|GROUP BY|ORDER BY|HAVING|LIMIT|OFFSET|UNION|ALL|JOIN|LEFT|CROSS|LATERAL|ON|WITH|AS|AND|OR|NOT|IN|EXISTS|IS|NULL|CASE|WHEN|THEN|ELSE|END|INSERT INTO|UPDATE|DELETE|SET|VALUES|RETURNING|ASC|DESC|FOR|NO KEY|ANY|CAST)\b/g;
const KINDS = [undefined, "string", "parameter", "keyword"];

/** A statement that can be copied. */
export function Sql({ text }) {
  const [label, setLabel] = useState("Copy");

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setLabel("Copied");
    } catch {
      setLabel("Select and copy it");
    }
  }

  return (
    <div className="sql">
      <button type="button" onClick={copy}>
        {label}
      </button>
      <pre tabIndex={0} aria-label="SQL">
        <code>{highlighted(text)}</code>
      </pre>
    </div>
  );
}

function highlighted(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(PARTS)) {
    const kind = KINDS[found.findIndex((group, index) => index > 0 && group !== undefined)];
    parts.push(text.slice(end, found.index), <span key={found.index} className={kind}>{found[0]}</span>);
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}
