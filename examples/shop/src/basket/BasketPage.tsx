import { type FormEvent } from "react";
import { useMutation, useQuery } from "urql";

import { useLive } from "../api/live";
import { ItemsByIdDocument, ItemsLiveDocument, PlaceOrderDocument, type ItemFactsFragment, type RefusedFragment } from "../gql/graphql";
import { Stock } from "../items/Stock";
import { Field } from "../parts/Field";
import { asMoney, pathTo } from "../parts/format";
import { problemAt, Refusal } from "../parts/Refusal";
import { Link, navigate, Page } from "../shell/router";
import { useViewer } from "../shell/viewer";
import { emptyBasket, orderFor, removeFromBasket, setQuantity, useBasket, type Line } from "./basket";

export function BasketPage() {
  const { lines, key, customer } = useBasket();
  const viewer = useViewer();
  const ids = lines.map((line) => line.itemId);
  const [{ data: items }] = useQuery({ query: ItemsByIdDocument, variables: { ids } });
  useLive(ItemsLiveDocument, { ids });

  const [{ data, error, fetching }, placeOrder] = useMutation(PlaceOrderDocument);
  const answer = data?.placeOrder;
  const refused = answer && "code" in answer ? answer : undefined;

  async function submit(event: FormEvent) {
    event.preventDefault();
    // The key is that of the basket, not of the click: the same basket is one order.
    const result = await placeOrder({ key, input: { customerId: customer?.id, lines } });
    if (result.data?.placeOrder?.__typename !== "OrderSaved") return;
    emptyBasket();
    navigate(pathTo("orders", result.data.placeOrder.order.id));
  }

  if (lines.length === 0) {
    return (
      <Page title="Basket">
        <p>
          There is nothing in it yet. <Link href="/">To the items</Link>
        </p>
      </Page>
    );
  }
  const known = new Map(items?.nodes.flatMap((node) => (node?.__typename === "Item" ? [[node.id, node]] : [])));
  const orderer = viewer.customer ? "yourself" : customer?.name;
  return (
    <Page title="Basket">
      <form className="panel" onSubmit={submit} noValidate>
        <ul className="lines" aria-label="Lines">
          {lines.map((line, index) => (
            <BasketLine key={line.itemId} line={line} index={index} item={known.get(line.itemId)} refused={refused} isLocked={fetching} />
          ))}
        </ul>
        <p>
          {orderer ? `You order for ${orderer}.` : "For whom do you order?"}{" "}
          {!viewer.customer && <Link href="/customers">Choose a customer</Link>}
          {customer && (
            <button type="button" className="quiet" onClick={() => orderFor(undefined)}>
              For nobody
            </button>
          )}
        </p>
        {refused?.__typename !== "InsufficientStock" && (
          <Refusal change={{ refused, failure: error?.message }} hasFields />
        )}
        <button className="primary" disabled={fetching || !orderer}>
          {fetching ? "Sending the order…" : "Place the order"}
        </button>
      </form>
    </Page>
  );
}

type Props = { line: Line; index: number; item: ItemFactsFragment | undefined; refused: RefusedFragment | undefined; isLocked: boolean };

function BasketLine({ line, index, item, refused, isLocked }: Props) {
  const name = item?.name ?? "…";
  return (
    <li>
      <div className="grow">
        <Link href={pathTo("items", line.itemId)}>{name}</Link>
        {item && <Stock stock={item.stock} />}
      </div>
      <Field
        label="Pieces"
        aria-label={`Pieces of ${name}`}
        type="number"
        value={String(line.quantity)}
        // An order that was sent is not changed while nobody knows whether it arrived.
        disabled={isLocked}
        problem={shortageOf(line, refused) ?? problemAt(refused, "lines", String(index), "quantity")}
        onChange={(value) => setQuantity(line.itemId, Math.trunc(Number(value)))}
      />
      <p className="price">{item && asMoney(item.sellingPrice)}</p>
      <button type="button" className="quiet" disabled={isLocked} onClick={() => removeFromBasket(line.itemId)} aria-label={`Remove ${name}`}>
        Remove
      </button>
    </li>
  );
}

function shortageOf(line: Line, refused: RefusedFragment | undefined): string | undefined {
  if (refused?.__typename !== "InsufficientStock") return undefined;
  const shortage = refused.shortages.find(({ item }) => item.id === line.itemId);
  if (!shortage) return undefined;
  return shortage.available ? `Only ${shortage.available} left.` : "Sold out.";
}
