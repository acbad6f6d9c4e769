import { CustomersDocument } from "../gql/graphql";
import { nameOf, pathTo } from "../parts/format";
import { InfiniteList } from "../parts/InfiniteList";
import { usePages } from "../parts/pages";
import { SearchField } from "../parts/SearchField";
import { Link, Page, useFilters } from "../shell/router";

export function CustomersPage() {
  const [filters, setFilter] = useFilters();
  const [text, town] = [filters.get("search"), filters.get("town")];
  const where = { ...(text && { search: text }), ...(town && { town: { startsWithIgnoreCase: town } }) };
  const list = usePages(CustomersDocument, { where }, (data) => data.customers);
  return (
    <Page title="Customers">
      <search className="filters">
        <SearchField label="Search" value={text ?? ""} onSearch={(value) => setFilter("search", value)} />
        <SearchField label="Town" value={town ?? ""} onSearch={(value) => setFilter("town", value)} />
      </search>
      <InfiniteList label="Customers" className="rows" list={list}>
        {list.rows?.map((customer) => (
          <li key={customer.id}>
            <Link href={pathTo("customers", customer.id)}>{nameOf(customer)}</Link>
            <span className="grow hint">{customer.email}</span>
            <span>{customer.town}</span>
          </li>
        ))}
      </InfiniteList>
    </Page>
  );
}
