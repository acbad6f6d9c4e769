"""Filtered and sorted pages: the first orders of some time, and the customers of these orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bench.workloads.workload import Workload, spread

_REQUESTS = 500
_BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
_MONTH = timedelta(days=30)

_NODES = """\
    nodes {
      id
      datePlaced
      customer {
        firstName
        lastName
        town
      }
    }"""
_PAGE_INFO = """\
    pageInfo {
      hasNextPage
    }"""
_NODES_OF_POSTGRAPHILE = _NODES.replace("customer {", "customer: customerByCustomerId {")
_BY_HAND = ("strawberry", "yoga", "mercurius")

# One object of `nodes`, from a row of `orders` called `o`.
_NODE_SQL = """\
'{"id":"'||encode(textsend('Order:'||o.id), 'base64')||
  '","datePlaced":'||json_scalar(o.date_placed)||
  ',"customer":'||(
    SELECT '{"firstName":'||json_scalar(first_name)||
      ',"lastName":'||json_scalar(last_name)||
      ',"town":'||json_scalar(town)||'}'
    FROM customers WHERE id = o.customer_id
  )||'}', ',' ORDER BY o.date_placed, o.id"""


def _since(number: int, customers: int) -> datetime:
    """Orders are placed every 63 minutes, five for each customer; none after the last."""
    return _BEGAN + timedelta(minutes=63) * spread(number, _REQUESTS, 5 * customers)


def _month(number: int, customers: int) -> dict[str, Any]:
    since = _since(number, customers)
    return {"since": since.isoformat(), "until": (since + _MONTH).isoformat()}


PAGE = Workload(
    name="page",
    what="20 orders since some moment, by date, with their customers; whether there are more",
    text=f"""\
query page($since: DateTime!) {{
  orders(first: 20, where: {{datePlaced: {{gte: $since}}}}, orderBy: [{{datePlaced: ASC}}]) {{
{_NODES}
{_PAGE_INFO}
  }}
}}""",
    texts={
        **dict.fromkeys(
            _BY_HAND,
            f"""\
query page($since: DateTime!) {{
  orders(first: 20, since: $since) {{
{_NODES}
{_PAGE_INFO}
  }}
}}""",
        ),
        "postgraphile": f"""\
query page($since: Datetime!) {{
  orders: allOrders(
    first: 20, filter: {{datePlaced: {{greaterThanOrEqualTo: $since}}}}, orderBy: DATE_PLACED_ASC
  ) {{
{_NODES_OF_POSTGRAPHILE}
{_PAGE_INFO}
  }}
}}""",
    },
    without={"strawchemy": "it says no hasNextPage without a count"},
    requests=_REQUESTS,
    variables=lambda number, customers: {"since": _since(number, customers).isoformat()},
    sql=f"""\
SELECT textsend('{{"data":{{"orders":{{"nodes":['||coalesce(string_agg(
  {_NODE_SQL}) FILTER (WHERE o.n <= 20), '')||
  '],"pageInfo":{{"hasNextPage":'||(count(*) > 20)||'}}}}}}}}')
FROM (
  SELECT id, date_placed, customer_id, row_number() OVER (ORDER BY date_placed, id) AS n
  FROM orders WHERE date_placed >= $1 ORDER BY date_placed, id LIMIT 21
) AS o""",  # noqa: S608  no part is a client's
    parameters=lambda variables: (datetime.fromisoformat(variables["since"]),),
)

COUNTED_PAGE = Workload(
    name="counted-page",
    what="20 orders of a month, by date, with their customers; how many there are (685), and more",
    text=f"""\
query countedPage($since: DateTime!, $until: DateTime!) {{
  orders(
    first: 20, where: {{datePlaced: {{gte: $since, lt: $until}}}}, orderBy: [{{datePlaced: ASC}}]
  ) {{
    totalCount
{_NODES}
{_PAGE_INFO}
  }}
}}""",
    texts={
        **dict.fromkeys(
            _BY_HAND,
            f"""\
query countedPage($since: DateTime!, $until: DateTime!) {{
  orders(first: 20, since: $since, until: $until) {{
    totalCount
{_NODES}
{_PAGE_INFO}
  }}
}}""",
        ),
        "postgraphile": f"""\
query countedPage($since: Datetime!, $until: Datetime!) {{
  orders: allOrders(
    first: 20, filter: {{datePlaced: {{greaterThanOrEqualTo: $since, lessThan: $until}}}},
    orderBy: DATE_PLACED_ASC
  ) {{
    totalCount
{_NODES_OF_POSTGRAPHILE}
{_PAGE_INFO}
  }}
}}""",
        # What it counts beside a page is the page; whether there are more is read from the count.
        "strawchemy": """\
query countedPage($since: DateTime!, $until: DateTime!) {
  orders(
    limit: 20, filter: {datePlaced: {gte: $since, lt: $until}}, orderBy: [{datePlaced: ASC}]
  ) {
    id
    datePlaced
    customer {
      firstName
      lastName
      town
    }
  }
  all: countedOrders(filter: {datePlaced: {gte: $since, lt: $until}}) {
    aggregations {
      count
    }
  }
}""",
    },
    requests=_REQUESTS,
    variables=_month,
    sql=f"""\
SELECT textsend('{{"data":{{"orders":{{"totalCount":'||counted.n||
  ',"nodes":['||page.nodes||
  '],"pageInfo":{{"hasNextPage":'||(counted.n > 20)||'}}}}}}}}')
FROM (
  SELECT count(*) AS n FROM orders WHERE date_placed >= $1 AND date_placed < $2
) AS counted, (
  SELECT coalesce(string_agg(
  {_NODE_SQL}), '') AS nodes
  FROM (
    SELECT id, date_placed, customer_id FROM orders
    WHERE date_placed >= $1 AND date_placed < $2 ORDER BY date_placed, id LIMIT 20
  ) AS o
) AS page""",  # noqa: S608  no part is a client's
    parameters=lambda variables: (
        datetime.fromisoformat(variables["since"]),
        datetime.fromisoformat(variables["until"]),
    ),
)
