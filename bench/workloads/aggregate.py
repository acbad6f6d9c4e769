"""Sums and counts of children, for each parent of a page."""

from __future__ import annotations

from bench.workloads.workload import Cursor, Workload, key_of, spread

_REQUESTS = 100

AGGREGATE = Workload(
    name="aggregate",
    what="20 customers, and of the orders of each how many there are and what they cost",
    text="""\
query aggregate($after: String) {
  customers(first: 20, after: $after) {
    nodes {
      id
      orders {
        aggregates {
          count
          sum {
            total
          }
        }
      }
    }
  }
}""",
    texts={
        "strawchemy": """\
query aggregate($after: Int!) {
  customers(limit: 20, filter: {id: {gt: $after}}) {
    id
    orders: ordersAggregate {
      count
      sum {
        total
      }
    }
  }
}"""
    },
    without={
        "yoga": "no aggregates in its schema",
        "mercurius": "no aggregates in its schema",
        "postgraphile": "aggregates are a plugin",
    },
    requests=_REQUESTS,
    variables=lambda number, customers: {"after": Cursor(spread(number, _REQUESTS, customers))},
    # Grouped once for all customers of the page.
    sql="""\
SELECT textsend('{"data":{"customers":{"nodes":['||coalesce(string_agg(
  '{"id":"'||encode(textsend('Customer:'||id), 'base64')||
  '","orders":{"aggregates":{"count":'||count||
  ',"sum":{"total":'||coalesce('"'||total||'"', 'null')||'}}}}', ',' ORDER BY id), '')||']}}}')
FROM (
  SELECT c.id, count(o.id) AS count, sum(o.total) AS total
  FROM (SELECT id FROM customers WHERE id > $1 ORDER BY id LIMIT 20) AS c
  LEFT JOIN LATERAL (
    SELECT o.id, coalesce(sum(l.quantity * i.selling_price), 0.00) AS total
    FROM orders o
    LEFT JOIN order_lines l ON l.order_id = o.id
    LEFT JOIN items i ON i.id = l.item_id
    WHERE o.customer_id = c.id
    GROUP BY o.id
  ) AS o ON true
  GROUP BY c.id
) AS page""",
    parameters=lambda variables: (key_of(variables["after"]),),
)
