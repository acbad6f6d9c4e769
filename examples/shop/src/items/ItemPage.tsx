import { useState, type FormEvent } from "react";
import { useQuery } from "urql";

import { useChange } from "../api/change";
import { useLive } from "../api/live";
import { addToBasket } from "../basket/basket";
import { AdjustStockDocument, ItemDocument, ItemLiveDocument, type ItemDetailFragment } from "../gql/graphql";
import { Field } from "../parts/Field";
import { asMoney } from "../parts/format";
import { History } from "../parts/History";
import { problemAt, Refusal } from "../parts/Refusal";
import { Page } from "../shell/router";
import { useViewer } from "../shell/viewer";
import { Picture } from "./Picture";
import { Stock } from "./Stock";

export function ItemPage({ id }: { id: string }) {
  const { may, sees } = useViewer();
  const variables = { id, ...sees };
  const [{ data, error }] = useQuery({ query: ItemDocument, variables });
  useLive(ItemLiveDocument, variables);
  const item = data?.item;
  if (!item) return <Page title="Item">{error ? <p role="alert">{error.message}</p> : <p>{data ? "It does not exist." : "Loading…"}</p>}</Page>;
  return (
    <Page title={item.name}>
      <div className="columns">
        <section className="panel">
          <h2>Price and stock</h2>
          <Picture name={item.name} />
          <p className="price large">{asMoney(item.sellingPrice)}</p>
          {item.costPrice && <p className="hint">It costs the store {asMoney(item.costPrice)}.</p>}
          <Stock stock={item.stock} />
          <button className="primary" onClick={() => addToBasket(item.id)} disabled={item.stock === 0}>
            Add to the basket
          </button>
          {may("stock:write") && <AdjustStock item={item} />}
        </section>
        {item.history && <History events={item.history.nodes} />}
      </div>
    </Page>
  );
}

/** A delivery, or a loss: the change is relative, so two clerks at once do not undo each other. */
function AdjustStock({ item }: { item: ItemDetailFragment }) {
  const [pieces, setPieces] = useState("");
  const change = useChange(AdjustStockDocument, (data) => data.adjustStock, () => setPieces(""));
  function submit(event: FormEvent) {
    event.preventDefault();
    const by = Number(pieces);
    void change.send({ id: item.id, expectedVersion: { version: item.version }, change: { by } });
  }
  const { refused } = change;
  const isShort = refused?.__typename === "InsufficientStock";
  return (
    <form className="row" onSubmit={submit}>
      <Field
        label="Change the stock by"
        type="number"
        required
        placeholder="-2"
        value={pieces}
        problem={isShort ? `There are only ${refused.shortages[0]?.available}.` : problemAt(refused, "change", "by")}
        onChange={setPieces}
      />
      <button>Change</button>
      {!isShort && <Refusal change={change} hasFields />}
    </form>
  );
}
