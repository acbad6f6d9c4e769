"""An order of three lines is placed, and its pieces are taken from stock.

Items that are asked for here are never sold out: the store's have no limit, three hundred do.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from bench.workloads.workload import Workload, spread

_REQUESTS = 100
_LINES = 3
# Items are those of the demo store.
_ITEMS = 200


def _variables(number: int, customers: int) -> dict[str, Any]:
    customer = 1 + spread(number, _REQUESTS, customers)
    items = [1 + (number * _LINES + line * 61) % _ITEMS for line in range(_LINES)]
    lines = [{"itemId": _id("Item", item), "quantity": 1 + item % 3} for item in items]
    return {"input": {"customerId": _id("Customer", customer), "lines": lines}}


def _parameters(variables: dict[str, Any]) -> tuple[Any, ...]:
    given = variables["input"]
    return (
        _key(given["customerId"]),
        [_key(line["itemId"]) for line in given["lines"]],
        [line["quantity"] for line in given["lines"]],
    )


def _id(entity: str, key: int) -> str:
    return b64encode(f"{entity}:{key}".encode()).decode()


def _key(text: str) -> int:
    return int(b64decode(text).split(b":")[1])


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
    # All in one statement, which no API can have that says why it refuses.
    sql="""\
WITH wanted AS (
  SELECT id, quantity, nth FROM unnest($2::bigint[], $3::integer[])
  WITH ORDINALITY AS w(id, quantity, nth)
), locked AS MATERIALIZED (
  SELECT id, stock FROM items WHERE id = ANY($2) ORDER BY id FOR NO KEY UPDATE
), taken AS (
  UPDATE items SET stock = items.stock - wanted.quantity
  FROM wanted JOIN locked USING (id)
  WHERE items.id = wanted.id AND items.stock >= wanted.quantity
), placed AS (
  INSERT INTO orders (customer_id) VALUES ($1) RETURNING id, status
), lines AS (
  INSERT INTO order_lines (order_id, item_id, quantity, unit_price, item_name)
  SELECT placed.id, items.id, wanted.quantity, selling_price, name
  FROM placed, wanted JOIN items ON items.id = wanted.id ORDER BY nth
  RETURNING id, quantity, unit_price, item_name
)
SELECT textsend('{"data":{"placeOrder":{"order":{"status":'||
  (SELECT json_scalar(status) FROM placed)||',"total":"'||sum(quantity * unit_price)||
  '","lineItems":{"nodes":['||
  string_agg('{"quantity":'||quantity||',"unitPrice":"'||unit_price||
    '","itemName":'||json_scalar(item_name)||'}', ',' ORDER BY id)||']}}}}}')
FROM lines""",
    parameters=_parameters,
    without={
        "yoga": "its schema only reads",
        "postgraphile": "its mutations write one row each",
    },
)
