import { useRef } from "react";

import { useChange } from "../api/change";
import { AdvanceOrderDocument, CancelOrderDocument, type OrderAction, type OrderDetailFragment } from "../gql/graphql";
import { inWords } from "../parts/format";
import { Refusal } from "../parts/Refusal";

const LABELS: Record<Exclude<OrderAction, "CHANGE_LINES">, string> = {
  PAY: "Record the payment",
  SHIP: "Ship",
  DELIVER: "Deliver",
  CANCEL: "Cancel the order",
};

/**
 * All that can be done with an order, and why the rest cannot.
 *
 * The server says both, by the rules that its mutations have: no rule is written a second time here.
 * A button that is not allowed can still be reached, as its reason is worth reading.
 */
export function Actions({ order }: { order: OrderDetailFragment }) {
  const advancing = useChange(AdvanceOrderDocument, (data) => data.advanceOrder);
  const cancelling = useChange(CancelOrderDocument, (data) => data.cancelOrder);
  const question = useRef<HTMLDialogElement>(null);
  const common = { id: order.id, expectedVersion: { version: order.version } };

  function start(action: OrderAction) {
    if (action === "CANCEL") question.current?.showModal();
    else if (action !== "CHANGE_LINES") void advancing.send({ ...common, action });
  }

  return (
    <section className="panel">
      <h2>Actions</h2>
      <ul className="actions">
        {order.actions.map(({ name, allowed, reasons }) =>
          name === "CHANGE_LINES" ? null : (
            <li key={name}>
              <button
                aria-disabled={!allowed}
                aria-describedby={allowed ? undefined : `why-${name}`}
                className={name === "CANCEL" ? "danger" : ""}
                onClick={() => allowed && start(name)}
              >
                {LABELS[name] ?? inWords(name)}
              </button>
              {!allowed && (
                <p id={`why-${name}`} className="hint">
                  {reasons.map((reason) => reason.message).join(" ")}
                </p>
              )}
            </li>
          ),
        )}
      </ul>
      <Refusal change={advancing} />
      <Refusal change={cancelling} />
      <dialog ref={question} aria-labelledby="question">
        <form method="dialog">
          <h2 id="question">Cancel order {order.databaseId}?</h2>
          <p>What it took from stock is put back.</p>
          <div className="row">
            <button>Keep it</button>
            <button className="danger" onClick={() => void cancelling.send(common)}>
              Cancel it
            </button>
          </div>
        </form>
      </dialog>
    </section>
  );
}
