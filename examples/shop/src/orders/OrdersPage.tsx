import { useLive } from "../api/live";
import { NewOrdersDocument, OrdersDocument, OrdersLiveDocument, type OrderStatus, type OrderWhere } from "../gql/graphql";
import { Select } from "../parts/Field";
import { asMoney, asTime, nameOf, pathTo } from "../parts/format";
import { InfiniteList } from "../parts/InfiniteList";
import { inParts, usePages } from "../parts/pages";
import { SearchField } from "../parts/SearchField";
import { Link, Page, useFilters } from "../shell/router";
import { useViewer } from "../shell/viewer";
import { Status, STATUSES } from "./Status";

function conditions(filters: URLSearchParams): OrderWhere[] {
  const where: OrderWhere[] = [];
  const status = filters.get("status");
  if (status) where.push({ status: { eq: status as OrderStatus } });
  const text = filters.get("search");
  if (text) where.push({ customer: { search: text } });
  return where;
}

export function OrdersPage() {
  const { may } = useViewer();
  const [filters, setFilter] = useFilters();
  const where = conditions(filters);
  // The list ends where it ended when it was read: rows do not move while somebody reads them.
  const newest = filters.get("until");
  const until: OrderWhere[] = newest ? [{ databaseId: { lte: newest } }] : [];
  const list = usePages(OrdersDocument, { where: { and: [...where, ...until] } }, (data) => data.orders);
  const orders = list.rows ?? [];
  return (
    <Page title="Orders">
      <search className="filters">
        {may("store:read") && (
          <SearchField label="Customer" value={filters.get("search") ?? ""} onSearch={(text) => setFilter("search", text)} />
        )}
        <Select
          label="Status"
          value={filters.get("status") ?? ""}
          choices={{ "": "All", ...STATUSES }}
          onChange={(status) => setFilter("status", status)}
        />
      </search>
      {list.rows && (
        <NewOrders
          where={{ and: [...where, { databaseId: { gt: orders[0]?.databaseId ?? newest ?? "0" } }] }}
          onShow={(last) => setFilter("until", last)}
        />
      )}
      <InfiniteList label="Orders" className="rows" list={list}>
        {orders.map((order) => (
          <li key={order.id}>
            <Link href={pathTo("orders", order.id)}>Order {order.databaseId}</Link>
            <span className="grow">{nameOf(order.customer)}</span>
            <span className="price">{asMoney(order.total)}</span>
            <time dateTime={order.datePlaced} className="hint">
              {asTime(order.datePlaced)}
            </time>
            <Status status={order.status} />
          </li>
        ))}
      </InfiniteList>
      {inParts(orders).map((part) => (
        <LiveOrders key={part[0]?.id} ids={part.map((order) => order.id)} />
      ))}
    </Page>
  );
}

/** Tells of orders that came since, and shows them on demand. */
function NewOrders({ where, onShow }: { where: OrderWhere; onShow: (newest: string) => void }) {
  const found = useLive(NewOrdersDocument, { where })?.live.orders;
  const count = found?.count.value ?? 0;
  const newest = found?.nodes[0]?.databaseId;
  return (
    <div role="status">
      {newest && (
        <button className="news" onClick={() => onShow(newest)}>
          {count === 1 ? "1 new order" : `${count} new orders`}: show
        </button>
      )}
    </div>
  );
}

function LiveOrders({ ids }: { ids: string[] }) {
  useLive(OrdersLiveDocument, { ids });
  return null;
}
