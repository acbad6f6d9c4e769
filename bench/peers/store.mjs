// The store for the servers in JavaScript: its schema, and resolvers with DataLoaders over node-postgres. The
// packages are those of the server, which passes them.
const TIMESTAMPTZ = 1184;

export const typeDefs = /* GraphQL */ `
  scalar BigInt
  scalar DateTime
  scalar Decimal

  type Customer {
    id: ID!
    databaseId: BigInt!
    firstName: String!
    lastName: String!
    username: String!
    email: String!
    address: String!
    town: String!
    createdOn: DateTime!
    updatedOn: DateTime!
    initials: String!
    orders(first: Int = 20): OrderConnection!
  }
  type Order {
    id: ID!
    databaseId: BigInt!
    datePlaced: DateTime!
    customer: Customer!
    lineItems(first: Int = 20): OrderLineConnection!
  }
  type OrderLine {
    id: ID!
    databaseId: BigInt!
    quantity: Int!
    item: Item!
  }
  type Item {
    id: ID!
    databaseId: BigInt!
    name: String!
    costPrice: Decimal!
    sellingPrice: Decimal!
  }
  type CustomerConnection {
    nodes: [Customer!]!
  }
  type OrderConnection {
    nodes: [Order!]!
  }
  type PageInfo {
    hasNextPage: Boolean!
  }
  type OrderPage {
    totalCount: Int!
    nodes: [Order!]!
    pageInfo: PageInfo!
  }
  type OrderLineConnection {
    nodes: [OrderLine!]!
  }

  input CustomerLookup @oneOf {
    databaseId: BigInt
  }
  type Query {
    customer(by: CustomerLookup!): Customer
    customers(first: Int = 20, after: String): CustomerConnection!
    orders(first: Int = 20, since: DateTime!, until: DateTime = "infinity"): OrderPage!
  }
`;

export function openStore(pg, DataLoader) {
  // "2026-01-31 12:00:00+00", as PostgreSQL writes it in UTC, needs no Date to become RFC 3339.
  pg.types.setTypeParser(TIMESTAMPTZ, (text) => `${text.replace(" ", "T")}:00`);

  // Where PostgreSQL is, node-postgres reads from PGHOST, PGPORT, PGUSER and PGDATABASE. Connections
  // are kept while the other servers have their turns, as a busy server would keep them.
  const pool = new pg.Pool({ max: 10, idleTimeoutMillis: 0 });

  async function rows(name, text, values) {
    // A named statement is prepared once per connection.
    return (await pool.query({ name, text, values })).rows;
  }

  const CUSTOMER = `id, first_name AS "firstName", last_name AS "lastName", username, email, address,
    town, created_on AS "createdOn", updated_on AS "updatedOn"`;
  const ORDER = `id, customer_id AS "customerId", date_placed AS "datePlaced"`;
  const LINE = `id, order_id AS "orderId", item_id AS "itemId", quantity`;
  const ITEM = `id, name, cost_price AS "costPrice", selling_price AS "sellingPrice"`;

  const CUSTOMER_BY_ID = `SELECT ${CUSTOMER} FROM customers WHERE id = $1`;
  const CUSTOMERS = `SELECT ${CUSTOMER} FROM customers WHERE id > $1 ORDER BY id LIMIT $2`;
  const WITHIN = "FROM orders WHERE date_placed >= $1 AND date_placed < $2";
  const PAGE = `SELECT ${ORDER} ${WITHIN} ORDER BY date_placed, id LIMIT $3`;
  const COUNT = `SELECT count(*)::int AS "totalCount" ${WITHIN}`;
  const CUSTOMERS_BY_ID = `SELECT ${CUSTOMER} FROM customers WHERE id = ANY($1::bigint[])`;
  const ITEMS = `SELECT ${ITEM} FROM items WHERE id = ANY($1::bigint[])`;
  const ORDERS = `SELECT page.* FROM unnest($1::bigint[]) AS parent (key) CROSS JOIN LATERAL (
    SELECT ${ORDER} FROM orders WHERE customer_id = parent.key ORDER BY id LIMIT $2) AS page`;
  const LINES = `SELECT page.* FROM unnest($1::bigint[]) AS parent (key) CROSS JOIN LATERAL (
    SELECT ${LINE} FROM order_lines WHERE order_id = parent.key ORDER BY id LIMIT $2) AS page`;

  // The rows of each key, in the order of the keys.
  function grouped(keys, found, column) {
    const groups = new Map(keys.map((key) => [key, { nodes: [] }]));
    for (const row of found) groups.get(row[column]).nodes.push(row);
    return keys.map((key) => groups.get(key));
  }

  // One for each page size that the request asks for.
  function pageLoader(name, text, column) {
    const loaders = new Map();
    return (first) => {
      let loader = loaders.get(first);
      if (!loader) {
        loader = new DataLoader(async (keys) =>
          grouped(keys, await rows(name, text, [keys, first]), column),
        );
        loaders.set(first, loader);
      }
      return loader;
    };
  }

  function keyLoader(name, text) {
    return new DataLoader(async (keys) => {
      const byId = new Map((await rows(name, text, [keys])).map((row) => [row.id, row]));
      return keys.map((key) => byId.get(key) ?? null);
    });
  }

  class Loaders {
    orders = pageLoader("orders", ORDERS, "customerId");
    lines = pageLoader("lines", LINES, "orderId");
    customers = keyLoader("customersById", CUSTOMERS_BY_ID);
    items = keyLoader("items", ITEMS);
  }

  const globalId = (noun) => ({ id }) => btoa(`${noun}:${id}`);
  const afterKey = (cursor) => (cursor ? JSON.parse(atob(cursor))[1] : 0);

  const resolvers = {
    Query: {
      customer: async (_, { by }) =>
        (await rows("customer", CUSTOMER_BY_ID, [by.databaseId]))[0] ?? null,
      customers: async (_, { first, after }) => ({
        nodes: await rows("customers", CUSTOMERS, [afterKey(after), first]),
      }),
      orders: async (_, { first, since, until }) => {
        const found = await rows("page", PAGE, [since, until, first + 1]);
        const pageInfo = { hasNextPage: found.length > first };
        return { since, until, nodes: found.slice(0, first), pageInfo };
      },
    },
    OrderPage: {
      totalCount: async ({ since, until }) =>
        (await rows("count", COUNT, [since, until]))[0].totalCount,
    },
    Customer: {
      id: globalId("Customer"),
      databaseId: ({ id }) => id,
      initials: ({ firstName, lastName }) => firstName.slice(0, 1) + lastName.slice(0, 1),
      orders: ({ id }, { first }, { loaders }) => loaders.orders(first).load(id),
    },
    Order: {
      id: globalId("Order"),
      databaseId: ({ id }) => id,
      customer: ({ customerId }, _, { loaders }) => loaders.customers.load(customerId),
      lineItems: ({ id }, { first }, { loaders }) => loaders.lines(first).load(id),
    },
    OrderLine: {
      id: globalId("OrderLine"),
      databaseId: ({ id }) => id,
      item: ({ itemId }, _, { loaders }) => loaders.items.load(itemId),
    },
    Item: { id: globalId("Item"), databaseId: ({ id }) => id },
  };
  return { resolvers, context: () => ({ loaders: new Loaders() }) };
}
