"""A filtered and sorted page: the first orders since some moment, and who placed them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bench.workloads.workload import Workload, spread

_REQUESTS = 500
_BEGAN = datetime(2020, 1, 1, tzinfo=UTC)

PAGE = Workload(
    name="page",
    what="20 orders since some moment, by date, with their customers; whether there are more",
    text="""\
query page($since: DateTime!) {
  orders(first: 20, where: {datePlaced: {gte: $since}}, orderBy: [{datePlaced: ASC}]) {
    nodes {
      id
      datePlaced
      customer {
        firstName
        lastName
        town
      }
    }
    pageInfo {
      hasNextPage
    }
  }
}""",
    texts={
        "strawberry": """\
query page($since: DateTime!) {
  orders(first: 20, since: $since) {
    nodes {
      id
      datePlaced
      customer {
        firstName
        lastName
        town
      }
    }
    pageInfo {
      hasNextPage
    }
  }
}"""
    },
    without={
        "yoga": "no filters in its schema",
        "mercurius": "no filters in its schema",
        "postgraphile": "filters are a plugin",
    },
    requests=_REQUESTS,
    # Orders are placed every 63 minutes, five for each customer; none was placed after the last.
    variables=lambda number, customers: {
        "since": (
            _BEGAN + timedelta(minutes=63) * spread(number, _REQUESTS, 5 * customers)
        ).isoformat()
    },
    sql="""\
SELECT textsend('{"data":{"orders":{"nodes":['||coalesce(string_agg(
  '{"id":"'||encode(textsend('Order:'||o.id), 'base64')||
  '","datePlaced":'||json_scalar(o.date_placed)||
  ',"customer":'||(
    SELECT '{"firstName":'||json_scalar(first_name)||
      ',"lastName":'||json_scalar(last_name)||
      ',"town":'||json_scalar(town)||'}'
    FROM customers WHERE id = o.customer_id
  )||'}', ',' ORDER BY o.date_placed, o.id) FILTER (WHERE o.n <= 20), '')||
  '],"pageInfo":{"hasNextPage":'||(count(*) > 20)||'}}}}')
FROM (
  SELECT id, date_placed, customer_id, row_number() OVER (ORDER BY date_placed, id) AS n
  FROM orders WHERE date_placed >= $1 ORDER BY date_placed, id LIMIT 21
) AS o""",
    parameters=lambda variables: (datetime.fromisoformat(variables["since"]),),
)
