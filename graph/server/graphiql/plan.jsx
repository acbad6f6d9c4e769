import { ms } from "./explain.jsx";

/** PostgreSQL's plan as a tree; `scanned` are the tables whose sequential scans deserve a warning. */
export function Plan({ plan, scanned }) {
  const timing = [
    plan["Planning Time"] !== undefined && `planning ${ms(plan["Planning Time"])}`,
    plan["Execution Time"] !== undefined && `execution ${ms(plan["Execution Time"])}`,
  ].filter(Boolean);
  return (
    <div className="plan" role="group" aria-label="Plan">
      <ul>
        <PlanNode node={plan.Plan} scanned={scanned} />
      </ul>
      {timing.length > 0 && <p>{timing.join(", ")}</p>}
    </div>
  );
}

function PlanNode({ node, scanned }) {
  const isWarned = node["Node Type"] === "Seq Scan" && scanned.has(node["Relation Name"]);
  const below = node.Plans ?? [];
  const conditions = ["Index Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "Sort Key", "Group Key"]
    .filter((name) => node[name])
    .map((name) => `${name}: ${[node[name]].flat().join(", ")}`);
  return (
    <li>
      <div className={isWarned ? "warned" : undefined}>
        {isWarned && <span role="img" aria-label="Sequential scan of a large table">⚠ </span>}
        <strong>{titleOf(node)}</strong>
        <small>{measured(node)}</small>
        {conditions.map((condition) => (
          <code key={condition}>{condition}</code>
        ))}
      </div>
      {below.length > 0 && (
        <ul>
          {below.map((each, index) => (
            <PlanNode key={index} node={each} scanned={scanned} />
          ))}
        </ul>
      )}
    </li>
  );
}

function titleOf(node) {
  const on = node["Relation Name"] ?? node["Function Name"] ?? node["CTE Name"];
  const by = node["Index Name"];
  const kind = node["Subplan Name"] ? `${node["Subplan Name"]}: ${node["Node Type"]}` : node["Node Type"];
  return [kind, on && `on ${on}`, by && `by ${by}`].filter(Boolean).join(" ");
}

function measured(node) {
  const rows = node["Actual Rows"];
  if (rows === undefined) {
    return ` about ${rowsOf(node["Plan Rows"])}, cost ${number(node["Total Cost"])}`;
  }
  const loops = node["Actual Loops"];
  const times = loops === 1 ? "" : ` × ${number(loops)}`;
  const time = node["Actual Total Time"];
  return ` ${rowsOf(rows)}${times} (about ${number(node["Plan Rows"])})${time === undefined ? "" : `, ${ms(time)}`}`;
}

const rowsOf = (rows) => `${number(rows)} ${rows === 1 ? "row" : "rows"}`;

const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });
