import { Button, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect } from "react";
import { Plan } from "./plan.jsx";
import { update, useRuns } from "./runs.js";
import { Sql } from "./sql.jsx";

const STAGES = {
  parse: "parse",
  validate: "validate",
  plan: "plan",
  place: "wait for a place",
  connection: "wait for a connection",
  compile: "write SQL",
  statement: "statements",
  resolve: "resolvers",
  encode: "encode",
};

export const EXPLAIN_PLUGIN = { title: "Explain", icon: GaugeIcon, content: Explain };

function GaugeIcon(props) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" {...props}>
      <path d="M4.2 18.5a9.5 9.5 0 1 1 15.6 0M12 14l4.5-5.5" />
      <circle cx="12" cy="14" r="1.5" fill="currentColor" />
    </svg>
  );
}

function Explain() {
  const { last } = useRuns();
  const { run } = useGraphiQLActions();
  const isFetching = useGraphiQL((state) => state.isFetching);

  useEffect(() => {
    update({ explains: true });
    return () => update({ explains: false });
  }, []);

  function analyze() {
    update({ analyzes: true });
    run();
  }

  return (
    <section className="explain" aria-label="Explain">
      <header>
        <h2>Explain</h2>
        <Button onClick={run} disabled={isFetching}>
          Run
        </Button>
        <Button
          onClick={analyze}
          disabled={isFetching || last?.type === "mutation"}
          title="Run the statements of a query once more, for their actual times and rows"
        >
          Analyze
        </Button>
      </header>
      {last?.explain && <Run run={last.explain} type={last.type} />}
      {last?.refusal && <p role="alert">{last.refusal}</p>}
      {!last && <p>While this panel is open, the server explains each run: where the time goes, what it costs, and how PostgreSQL does it.</p>}
    </section>
  );
}

function Run({ run, type }) {
  const scanned = new Set(run.warnings.map((warning) => warning.table));
  return (
    <>
      <dl className="facts">
        <Fact name="Status" value={run.status} isBad={run.status !== 200} />
        <Fact name="Server" value={ms(run.ms)} />
        <Fact name="Answer" value={bytes(run.bytes)} />
        {run.cost && <Fact name="Charged" value={count(run.cost.charged)} />}
      </dl>
      {run.warnings.length > 0 && (
        <ul className="warnings" aria-label="Warnings">
          {run.warnings.map((warning, index) => (
            <li key={index}>{warning.message}</li>
          ))}
        </ul>
      )}
      <Stages stages={run.stages} total={run.ms} />
      {run.cost && <Cost cost={run.cost} />}
      {run.statements.map((statement, index) => (
        <Statement key={index} statement={statement} number={index + 1} scanned={scanned} type={type} />
      ))}
      {run.omittedStatements > 0 && <p>… and {count(run.omittedStatements)} more statements.</p>}
    </>
  );
}

function Fact({ name, value, isBad = false }) {
  return (
    <div className={isBad ? "bad" : undefined}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Stages({ stages, total }) {
  return (
    <details open>
      <summary>Time</summary>
      <table className="stages">
        <tbody>
          {Object.entries(stages).map(([name, time]) => (
            <tr key={name} className={time === 0 ? "none" : undefined}>
              <th scope="row">{STAGES[name] ?? name}</th>
              <td>
                <Bar share={time / total} />
              </td>
              <td>{ms(time)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function Cost({ cost }) {
  const most = Math.max(...cost.fields.map((field) => field.cost), 1);
  return (
    <details open>
      <summary>
        Cost <small>{count(cost.requested)} of {count(cost.limit)} that one operation may cost</small>
      </summary>
      <table className="cost">
        <tbody>
          {cost.fields.map(({ path, cost: each }) => {
            const keys = path.split(".");
            return (
              <tr key={path}>
                <th scope="row" title={path} style={{ paddingInlineStart: `${keys.length - 1}em` }}>
                  {keys.at(-1)}
                </th>
                <td>
                  <Bar share={each / most} />
                </td>
                <td>{count(each)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p>
        {count(cost.actual)} for the objects that came{cost.time === undefined ? "" : `, ${count(cost.time)} for the time of statements`};
        charged with the explanation: {count(cost.charged)}.
      </p>
    </details>
  );
}

function Statement({ statement, number, scanned, type }) {
  const { sql, ms: time, parameters, plan } = statement;
  return (
    <details open={number === 1} className="statement">
      <summary>
        Statement {number} <small>{ms(time)}</small>
      </summary>
      {plan ? <Plan plan={plan} scanned={scanned} /> : <p>{type === "mutation" ? "A mutation has no plan." : "There is no plan."}</p>}
      <Sql text={sql} />
      {parameters?.length > 0 && (
        <p>
          Parameters: <code>{parameters.map((name, index) => `$${index + 1} ${name}`).join(", ")}</code>
        </p>
      )}
    </details>
  );
}

const Bar = ({ share }) => <div className="bar" style={{ inlineSize: `${Math.min(100, 100 * share)}%` }} />;

const count = (number) => (number === null ? "any" : number.toLocaleString("en"));

export const ms = (time) => `${time < 10 ? time.toFixed(2) : time.toFixed(1)} ms`;

const bytes = (size) => (size < 1_000 ? `${size} B` : `${(size / 1_000).toFixed(1)} kB`);
