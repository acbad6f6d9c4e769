import { useQuery } from "urql";

import { useLive } from "../api/live";
import { orderFor } from "../basket/basket";
import { CustomerDocument, CustomerLiveDocument } from "../gql/graphql";
import { Status } from "../orders/Status";
import { asMoney, asTime, nameOf, pathTo } from "../parts/format";
import { History } from "../parts/History";
import { Link, navigate, Page } from "../shell/router";
import { useViewer } from "../shell/viewer";
import { CustomerForm } from "./CustomerForm";

export function CustomerPage({ id }: { id: string }) {
  const { may, sees } = useViewer();
  const variables = { id, seesHistory: sees.seesHistory, seesActors: sees.seesActors };
  const [{ data, error }] = useQuery({ query: CustomerDocument, variables });
  useLive(CustomerLiveDocument, variables);
  const customer = data?.customer;
  if (!customer) return <Page title="Customer">{error ? <p role="alert">{error.message}</p> : <p>{data ? "It does not exist." : "Loading…"}</p>}</Page>;

  function order() {
    if (customer) orderFor({ id: customer.id, name: nameOf(customer) });
    navigate("/");
  }

  return (
    <Page
      title={nameOf(customer)}
      lead={may("orders:write") && <button onClick={order}>Order for {customer.firstName}</button>}
    >
      <div className="columns even">
        <CustomerForm customer={customer} />
        <div>
          <section className="panel">
            <h2>Last orders</h2>
            <ul className="rows" aria-label="Orders">
              {customer.orders.nodes.toReversed().map((order) => (
                <li key={order.id}>
                  <Link href={pathTo("orders", order.id)}>Order {order.databaseId}</Link>
                  <time dateTime={order.datePlaced} className="hint grow">
                    {asTime(order.datePlaced)}
                  </time>
                  <span className="price">{asMoney(order.total)}</span>
                  <Status status={order.status} />
                </li>
              ))}
            </ul>
            <p className="hint">{customer.orders.totalCount} in all</p>
          </section>
          {customer.history && <History events={customer.history.nodes} />}
        </div>
      </div>
    </Page>
  );
}
