import type { EventFactsFragment } from "../gql/graphql";
import { asTime, inWords } from "./format";

/** The last changes of an object, newest first. */
export function History({ events }: { events: EventFactsFragment[] }) {
  return (
    <section className="panel">
      <h2>History</h2>
      {events.length === 0 && <p className="hint">Nothing was recorded.</p>}
      <ol className="history">
        {events.toReversed().map((event) => (
          <li key={event.id}>
            <time dateTime={event.occurredAt}>{asTime(event.occurredAt)}</time>
            <p>
              <strong>
                {inWords(event.entity)} {event.kind.toLowerCase()}
              </strong>
              {event.actor && <span className="hint"> by {event.actor}</span>}
            </p>
            {event.kind !== "CREATED" && <Changes payload={event.payload} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** The payload of a change has `[before, after]` by field; that of a deleted row is null. */
function Changes({ payload }: { payload: unknown }) {
  const changes = Object.entries((payload ?? {}) as Record<string, unknown>).filter(
    (change): change is [string, [unknown, unknown]] => Array.isArray(change[1]) && change[0] !== "version",
  );
  return changes.map(([field, [before, after]]) => (
    <p key={field} className="hint">
      {field}: {String(before)} → {String(after)}
    </p>
  ));
}
