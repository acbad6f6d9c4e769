"""Four levels: customers, their orders, the lines of each, the item of each line."""

from __future__ import annotations

from bench.workloads.workload import Cursor, Workload, key_of, spread

_REQUESTS = 100

NESTED = Workload(
    name="nested",
    what="20 customers, 5 orders each, up to 10 lines each, with items' names and prices",
    text="""\
query nested($after: String) {
  customers(first: 20, after: $after) {
    nodes {
      id
      firstName
      orders(first: 5) {
        nodes {
          id
          datePlaced
          lineItems(first: 10) {
            nodes {
              quantity
              item {
                name
                sellingPrice
              }
            }
          }
        }
      }
    }
  }
}""",
    texts={
        "postgraphile": """\
query nested($after: Cursor) {
  customers: allCustomers(first: 20, after: $after) {
    nodes {
      id
      firstName
      orders: ordersByCustomerId(first: 5) {
        nodes {
          id
          datePlaced
          lineItems: orderLinesByOrderId(first: 10) {
            nodes {
              quantity
              item: itemByItemId {
                name
                sellingPrice
              }
            }
          }
        }
      }
    }
  }
}""",
        "strawchemy": """\
query nested($after: Int!) {
  customers(limit: 20, filter: {id: {gt: $after}}) {
    id
    firstName
    orders(limit: 5) {
      id
      datePlaced
      lineItems(limit: 10) {
        quantity
        item {
          name
          sellingPrice
        }
      }
    }
  }
}""",
    },
    requests=_REQUESTS,
    variables=lambda number, customers: {"after": Cursor(spread(number, _REQUESTS, customers))},
    sql="""\
SELECT textsend('{"data":{"customers":{"nodes":['||coalesce(string_agg(
  '{"id":"'||encode(textsend('Customer:'||c.id), 'base64')||
  '","firstName":'||json_scalar(c.first_name)||
  ',"orders":{"nodes":['||coalesce((
    SELECT string_agg(
      '{"id":"'||encode(textsend('Order:'||o.id), 'base64')||
      '","datePlaced":'||json_scalar(o.date_placed)||
      ',"lineItems":{"nodes":['||coalesce((
        SELECT string_agg('{"quantity":'||l.quantity||',"item":'||(
          SELECT '{"name":'||json_scalar(i.name)||',"sellingPrice":"'||i.selling_price||'"}}'
          FROM items i WHERE i.id = l.item_id), ',' ORDER BY l.id)
        FROM (
          SELECT id, item_id, quantity FROM order_lines
          WHERE order_id = o.id ORDER BY id LIMIT 10
        ) AS l), '')||']}}', ',' ORDER BY o.id)
    FROM (
      SELECT id, date_placed FROM orders WHERE customer_id = c.id ORDER BY id LIMIT 5
    ) AS o), '')||']}}', ',' ORDER BY c.id), '')||']}}}')
FROM (
  SELECT id, first_name FROM customers WHERE id > $1 ORDER BY id LIMIT 20
) AS c""",
    parameters=lambda variables: (key_of(variables["after"]),),
)
