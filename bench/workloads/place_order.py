"""An order of three lines is placed, and its pieces are taken from stock.

Items that are asked for here are never sold out: the store's have no limit, three hundred do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.workloads.workload import Workload, global_id, key_in, spread

_REQUESTS = 100
_LINES = 3
# Items are those of the demo store.
_ITEMS = 200

# All in one statement, which no API can have that says why it refuses.
_SQL = """\
WITH wanted AS (
  SELECT id, quantity, nth FROM unnest($2::bigint[], $3::integer[])
  WITH ORDINALITY AS w(id, quantity, nth)
), {taken}placed AS (
  INSERT INTO {schema}orders (customer_id) VALUES ($1) RETURNING id, status
), lines AS (
  INSERT INTO {schema}order_lines (order_id, item_id, quantity, unit_price, item_name{lines})
  SELECT placed.id, items.id, wanted.quantity, selling_price, name{values}
  FROM placed, wanted JOIN {schema}items ON items.id = wanted.id ORDER BY nth
  RETURNING id, quantity, unit_price, item_name
)
SELECT textsend('{{"data":{{"placeOrder":{{"order":{{"status":'||
  (SELECT json_scalar(status) FROM placed)||',"total":"'||sum(quantity * unit_price)||
  '","lineItems":{{"nodes":['||
  string_agg('{{"quantity":'||quantity||',"unitPrice":"'||unit_price||
    '","itemName":'||json_scalar(item_name)||'}}', ',' ORDER BY id)||']}}}}}}}}}}')
FROM lines"""
_TAKEN = """locked AS MATERIALIZED (
  SELECT id, stock FROM items WHERE id = ANY($2) ORDER BY id FOR NO KEY UPDATE
), taken AS (
  UPDATE items SET stock = items.stock - wanted.quantity
  FROM wanted JOIN locked USING (id)
  WHERE items.id = wanted.id AND items.stock >= wanted.quantity
), """


def _variables(number: int, customers: int) -> dict[str, Any]:
    customer = 1 + spread(number, _REQUESTS, customers)
    items = [1 + (number * _LINES + line * 61) % _ITEMS for line in range(_LINES)]
    lines = [{"itemId": global_id("Item", item), "quantity": 1 + item % 3} for item in items]
    return {"input": {"customerId": global_id("Customer", customer), "lines": lines}}


def _hot_variables(number: int, customers: int) -> dict[str, Any]:
    customer = 1 + spread(number, _REQUESTS, customers)
    line = {"itemId": global_id("Item", 1), "quantity": 1}
    return {"input": {"customerId": global_id("Customer", customer), "lines": [line]}}


def _parameters(variables: dict[str, Any]) -> tuple[Any, ...]:
    given = variables["input"]
    return (
        key_in(given["customerId"]),
        [key_in(line["itemId"]) for line in given["lines"]],
        [line["quantity"] for line in given["lines"]],
    )


PLACE = Workload(
    name="place",
    what="an order of 3 lines, its pieces taken from stock",
    text="""\
mutation place($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    ... on OrderSaved {
      order {
        status
        total
        lineItems(first: 10) {
          nodes {
            quantity
            unitPrice
            itemName
          }
        }
      }
    }
  }
}""",
    requests=_REQUESTS,
    variables=_variables,
    sql=_SQL.format(
        schema="plain.",
        taken="",
        lines="",
        values="",
    ),
    sql_with_features=_SQL.format(
        schema="", taken=_TAKEN, lines=", taken", values=", wanted.quantity"
    ),
    parameters=_parameters,
    without={
        "yoga": "its schema only reads",
        "mercurius": "its schema only reads",
        "strawchemy": "its keys are no ids",
        "postgraphile": "its mutations write one row each",
    },
)
HOT = replace(
    PLACE,
    name="hot",
    what="an order of one piece of the item that everybody orders",
    variables=_hot_variables,
)
