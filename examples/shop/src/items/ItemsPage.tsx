import { useLive } from "../api/live";
import { addToBasket } from "../basket/basket";
import { ItemsDocument, ItemsLiveDocument, type ItemFactsFragment, type ItemOrderBy, type ItemWhere } from "../gql/graphql";
import { Select } from "../parts/Field";
import { asMoney, pathTo } from "../parts/format";
import { InfiniteList } from "../parts/InfiniteList";
import { inParts, usePages } from "../parts/pages";
import { SearchField } from "../parts/SearchField";
import { Link, Page, useFilters } from "../shell/router";
import { Picture } from "./Picture";
import { Stock } from "./Stock";

const SORTS: Record<string, ItemOrderBy> = {
  name: { name: "ASC" },
  cheapest: { sellingPrice: "ASC" },
  dearest: { sellingPrice: "DESC" },
  newest: { databaseId: "DESC" },
};

/** The conditions that a page's filters stand for; those that are not set are left out. */
function conditions(filters: URLSearchParams): ItemWhere {
  const where: ItemWhere[] = [];
  const text = filters.get("search");
  if (text) where.push({ search: text });
  if (filters.get("price")) where.push({ sellingPrice: { lte: filters.get("price")! } });
  // Where stock is null it is not counted, and the item can always be sold.
  if (filters.get("stock") === "in") where.push({ or: [{ stock: { gt: 0 } }, { stock: { isNull: true } }] });
  if (filters.get("stock") === "out") where.push({ stock: { eq: 0 } });
  return { and: where };
}

export function ItemsPage() {
  const [filters, setFilter] = useFilters();
  const orderBy = [SORTS[filters.get("sort") ?? "name"] ?? { name: "ASC" as const }];
  const list = usePages(ItemsDocument, { where: conditions(filters), orderBy }, (data) => data.items);
  const items = list.rows ?? [];
  return (
    <Page title="Items">
      <search className="filters">
        <SearchField label="Search" value={filters.get("search") ?? ""} onSearch={(text) => setFilter("search", text)} />
        <Select
          label="Stock"
          value={filters.get("stock") ?? ""}
          choices={{ "": "All", in: "In stock", out: "Sold out" }}
          onChange={(value) => setFilter("stock", value)}
        />
        <Select
          label="Price"
          value={filters.get("price") ?? ""}
          choices={{ "": "Any", "10.00": "Up to 10", "25.00": "Up to 25", "50.00": "Up to 50" }}
          onChange={(value) => setFilter("price", value)}
        />
        <Select
          label="Sort by"
          value={filters.get("sort") ?? "name"}
          choices={{ name: "Name", cheapest: "Lowest price", dearest: "Highest price", newest: "Newest" }}
          onChange={(value) => setFilter("sort", value)}
        />
      </search>
      <InfiniteList label="Items" className="cards" list={list}>
        {items.map((item) => (
          <ItemCard key={item.id} item={item} />
        ))}
      </InfiniteList>
      {inParts(items).map((part) => (
        <LiveItems key={part[0]?.id} ids={part.map((item) => item.id)} />
      ))}
    </Page>
  );
}

function ItemCard({ item }: { item: ItemFactsFragment }) {
  return (
    <li className="card">
      <Picture name={item.name} />
      <h2>
        <Link href={pathTo("items", item.id)}>{item.name}</Link>
      </h2>
      <p className="price">{asMoney(item.sellingPrice)}</p>
      <Stock stock={item.stock} />
      <button onClick={() => addToBasket(item.id)} disabled={item.stock === 0} aria-label={`Add ${item.name} to the basket`}>
        Add
      </button>
    </li>
  );
}

function LiveItems({ ids }: { ids: string[] }) {
  useLive(ItemsLiveDocument, { ids });
  return null;
}
