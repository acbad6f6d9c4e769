import { useQuery } from "urql";

import { useLive } from "../api/live";
import { OrderDocument, OrderLiveDocument } from "../gql/graphql";
import { asMoney, asTime, nameOf, pathTo } from "../parts/format";
import { History } from "../parts/History";
import { Link, Page } from "../shell/router";
import { useViewer } from "../shell/viewer";
import { Actions } from "./Actions";
import { OrderLine } from "./OrderLine";
import { Status } from "./Status";

export function OrderPage({ id }: { id: string }) {
  const { sees } = useViewer();
  const variables = { id, seesActors: sees.seesActors };
  const [{ data, error }] = useQuery({ query: OrderDocument, variables });
  useLive(OrderLiveDocument, variables);
  const order = data?.order;
  if (!order) return <Page title="Order">{error ? <p role="alert">{error.message}</p> : <p>{data ? "It does not exist." : "Loading…"}</p>}</Page>;
  const changing = order.actions.find((action) => action.name === "CHANGE_LINES");
  return (
    <Page title={`Order ${order.databaseId}`} lead={<Status status={order.status} />}>
      <p>
        <Link href={pathTo("customers", order.customer.id)}>{nameOf(order.customer)}</Link>, {asTime(order.datePlaced)}
      </p>
      <div className="columns">
        <div>
          <section className="panel">
            <h2>Lines</h2>
            <ul className="lines" aria-label="Lines">
              {order.lineItems.nodes.map((line) => (
                <OrderLine key={line.id} line={line} order={order} canChange={changing?.allowed ?? false} />
              ))}
            </ul>
            {!changing?.allowed && (
              <p className="hint">
                The lines cannot be changed. {changing?.reasons.map((reason) => reason.message).join(" ")}
              </p>
            )}
            <p className="total">
              Total <strong className="price">{asMoney(order.total)}</strong>
            </p>
          </section>
          <Actions order={order} />
        </div>
        <History events={order.history.nodes} />
      </div>
    </Page>
  );
}
