"""What files may hold, by entity: what a row must be in itself, before it is staged.

A batch is copied into temporary tables and merged from there (`merging`) by the natural key:
customers by username, items by name, orders by customer and moment. `ordinal` tells apart what
shares a key. What is not given of a row that is there stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.transfer.rows import Entity, one_of, text, whole_number
from graph.errors import ProblemCode
from graph.schema.scalars import parse_datetime, parse_decimal
from graph.store.models import OrderStatus
from graph.store.transfer import merging

if TYPE_CHECKING:
    from graph.database.transfer.rows import Staged
    from graph.database.writes.values import Values

_CUSTOMER = ("first_name", "last_name", "username", "email", "address", "town")
_MOST_ORDINAL = 2**31 - 1


def _moment(value: Any) -> str:
    """As text: the driver takes the first and the last moment there are for infinity."""
    return parse_datetime(text(value)).isoformat()


def _customer(number: int, values: Values) -> Staged:
    texts = values.texts("Customer", *_CUSTOMER, required=True)
    values.email("email")
    moments = (values.given("created_on"), values.given("updated_on"))
    return {"staged_customers": [(number, *texts.values(), *moments)]}


def _item(number: int, values: Values) -> Staged:
    name = values.texts("Item", "name", required=True)["name"]
    prices = [values.money(price, required=True) for price in ("cost_price", "selling_price")]
    stock = values.stock() if values.given("stock") is not None else None
    ordinal = _ordinal(values, "ordinal")
    return {"staged_items": [(number, name, *prices, stock, "stock" in values, ordinal)]}


def _order(number: int, values: Values) -> Staged:
    for name in ("username", "date_placed"):
        if values.given(name) is None:
            values.wrong(name, ProblemCode.REQUIRED, "It must be given, and not be null.")
    if "lines" not in values:
        values.wrong(
            "lines", ProblemCode.REQUIRED, "It must be given; an order without lines has []."
        )
    lines = values.within("lines")
    order = (
        number,
        values.given("username"),
        values.given("date_placed"),
        values.given("status"),
        _ordinal(values, "ordinal"),
        any(line.given("taken") is not None for line in lines),
        len(lines),
    )
    staged = [(number, nth, *_line(line)) for nth, line in enumerate(lines)]
    return {"staged_orders": [order], "staged_lines": staged}


def _line(line: Values) -> tuple[Any, ...]:
    if line.given("item") is None:
        line.wrong("item", ProblemCode.REQUIRED, "It must be given, and not be null.")
    quantity = line.pieces()
    cancelled = _pieces_of(line, "cancelled_quantity", quantity)
    taken = _pieces_of(line, "taken", quantity - (cancelled or 0))
    name, price = None, None
    if line.given("item_name") is not None:
        name = line.texts("OrderLine", "item_name", required=False)["item_name"]
    if line.given("unit_price") is not None:
        price = line.money("unit_price", required=False)
    ordinal = _ordinal(line, "item_ordinal")
    return (line.given("item"), ordinal, name, quantity, cancelled, taken, price)


def _ordinal(values: Values, name: str) -> int | None:
    return values.number(name, 1, _MOST_ORDINAL) if values.given(name) is not None else None


def _pieces_of(line: Values, name: str, most: int) -> int | None:
    return line.number(name, 0, most) if line.given(name) is not None else None


ENTITIES: dict[str, Entity] = {
    "customers": Entity(
        fields={
            **dict.fromkeys(
                ("firstName", "lastName", "username", "email", "address", "town"), text
            ),
            **dict.fromkeys(("createdOn", "updatedOn"), _moment),
        },
        tables=merging.CUSTOMER_TABLES,
        read=_customer,
        resolve=merging.RESOLVE_CUSTOMERS,
        refuse=merging.REFUSE_CUSTOMERS,
        merge=merging.MERGE_CUSTOMERS,
    ),
    "items": Entity(
        fields={
            "name": text,
            "ordinal": whole_number,
            "costPrice": parse_decimal,
            "sellingPrice": parse_decimal,
            "stock": whole_number,
        },
        tables=merging.ITEM_TABLES,
        read=_item,
        resolve=merging.RESOLVE_ITEMS,
        refuse=merging.REFUSE_ITEMS,
        merge=merging.MERGE_ITEMS,
    ),
    "orders": Entity(
        fields={
            "username": text,
            "datePlaced": _moment,
            "ordinal": whole_number,
            "status": one_of(OrderStatus),
            "lines": {
                "item": text,
                "itemOrdinal": whole_number,
                "itemName": text,
                "quantity": whole_number,
                "cancelledQuantity": whole_number,
                "taken": whole_number,
                "unitPrice": parse_decimal,
            },
        },
        tables=merging.ORDER_TABLES,
        read=_order,
        resolve=merging.RESOLVE_ORDERS,
        refuse=merging.REFUSE_ORDERS,
        merge=merging.MERGE_ORDERS,
        has_lists=True,
    ),
}
