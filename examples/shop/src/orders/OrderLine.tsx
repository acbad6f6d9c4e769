import { useState, type FormEvent } from "react";

import { useChange } from "../api/change";
import { ChangeOrderLineDocument, RemoveOrderLineDocument, type LineFactsFragment, type OrderDetailFragment, type RefusedFragment } from "../gql/graphql";
import { Field } from "../parts/Field";
import { asMoney, pathTo } from "../parts/format";
import { problemAt, Refusal } from "../parts/Refusal";
import { Link } from "../shell/router";

type Props = { line: LineFactsFragment; order: OrderDetailFragment; canChange: boolean };

/** One line. What is wrong with its quantity is said at the quantity, all else below the line. */
export function OrderLine({ line, order, canChange }: Props) {
  const [typed, setTyped] = useState<string>();
  const changing = useChange(ChangeOrderLineDocument, (data) => data.changeOrderLine, () => setTyped(undefined));
  const removing = useChange(RemoveOrderLineDocument, (data) => data.removeOrderLine);
  const expectedVersion = { version: order.version };
  const left = line.quantity - line.cancelledQuantity;

  function submit(event: FormEvent) {
    event.preventDefault();
    void changing.send({ id: line.id, expectedVersion, quantity: Math.trunc(Number(typed)) });
  }

  const atQuantity = quantityProblem(changing.refused);
  return (
    <li>
      <Link href={pathTo("items", line.item.id)} className="grow">
        {line.itemName}
      </Link>
      {canChange ? (
        <form className="row" onSubmit={submit} noValidate>
          <Field
            label="Pieces"
            aria-label={`Pieces of ${line.itemName}`}
            type="number"
            value={typed ?? String(line.quantity)}
            problem={atQuantity}
            onChange={setTyped}
          />
          {typed !== undefined && <button disabled={changing.isSending}>Change</button>}
        </form>
      ) : (
        <span>
          {left} × {asMoney(line.unitPrice)}
          {line.cancelledQuantity > 0 && <span className="hint"> ({line.cancelledQuantity} cancelled)</span>}
        </span>
      )}
      <p className="price">{asMoney(line.subtotal)}</p>
      {canChange && (
        <button
          className="quiet"
          onClick={() => void removing.send({ id: line.id, expectedVersion })}
          disabled={removing.isSending}
          aria-label={`Remove ${line.itemName}`}
        >
          Remove
        </button>
      )}
      {!atQuantity && <Refusal change={changing} />}
      <Refusal change={removing} />
    </li>
  );
}

function quantityProblem(refused: RefusedFragment | undefined): string | undefined {
  if (refused?.__typename === "InsufficientStock") return `Only ${refused.shortages[0]?.available} more in stock.`;
  return problemAt(refused, "quantity");
}
