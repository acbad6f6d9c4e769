"""The rules for adding, changing and removing lines of an order that is not paid yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.writes import rows
from graph.database.writes.values import Values
from graph.errors import NotAllowed, NotFound, ProblemCode, Reason, ReasonCode
from graph.relay import to_global_id
from graph.store.writes import orders, stock
from graph.store.writes.rules import OrderAction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.database.transaction import Transaction

_INSERT = """
    INSERT INTO order_lines (order_id, item_id, quantity, taken) VALUES ($1, $2, $3, $4)
    RETURNING id
"""
_SET_QUANTITY = "UPDATE order_lines SET quantity = $2, taken = $3 WHERE id = $1"
_DELETE = "DELETE FROM order_lines WHERE id = $1"


async def add(transaction: Transaction, given: Mapping[str, Any]) -> tuple[int, int]:
    """Add a line to an order; return the keys of the order and the line.

    Raises:
        ValidationFailed: the quantity is out of range, or the item does not exist.
        NotFound: the order does not exist.
        Conflict: the order's version is not the expected one.
        NotAllowed: the order's status does not allow it.
        InsufficientStock: the item does not have enough stock.
    """
    values = Values(given)
    order, expected = values.key("order_id", "Order"), values.expected_version()
    item, quantity = values.key("item_id", "Item"), values.pieces()
    values.check()
    await orders.lock(transaction, order, expected, OrderAction.CHANGE_LINES)
    found = await stock.locked(transaction, [item])
    if item not in found:
        values.wrong("item_id", ProblemCode.NOT_FOUND, "There is no such item.")
        values.check()
    taken = await stock.take(transaction, found, {item: quantity})
    row = await transaction.first(_INSERT, order, item, quantity, taken[item])
    return order, row["id"]


async def change(transaction: Transaction, given: Mapping[str, Any]) -> tuple[int, int]:
    """Change the quantity of a line; return the keys of the order and the line.

    Raises:
        ValidationFailed, NotFound, Conflict, NotAllowed, InsufficientStock: as `add`.
    """
    values = Values(given)
    quantity = values.pieces()
    order, line, row = await _locked(transaction, values)
    cancelled: int = row["cancelled_quantity"]
    if quantity < cancelled:
        raise NotAllowed(
            Reason(
                ReasonCode.LESS_THAN_CANCELLED,
                f"The quantity must be at least {cancelled}: these pieces are cancelled.",
            )
        )
    moved = await _move_stock(transaction, row, quantity - row["quantity"])
    await transaction.fetch(_SET_QUANTITY, line, quantity, row["taken"] + moved)
    return order, line


async def remove(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Remove a line, and return what it took to stock; return the key of the order.

    Raises:
        ValidationFailed, NotFound, Conflict, NotAllowed: as `add`.
    """
    values = Values(given)
    order, line, row = await _locked(transaction, values)
    await stock.put_back(transaction, {row["item_id"]: row["taken"]})
    await transaction.fetch(_DELETE, line)
    return order


async def _locked(transaction: Transaction, values: Values) -> tuple[int, int, Any]:
    """Lock the order of a line; return the keys of the order and the line, and the line's row.

    Every change of a line locks its order first, so the line is read under that lock.
    """
    line, expected = values.key("id", "OrderLine"), values.expected_version()
    values.check()
    found = await rows.find(transaction, "OrderLine", line, "order_id")
    if found is None:
        raise NotFound("OrderLine", to_global_id("OrderLine", line))
    order: int = found["order_id"]
    await orders.lock(transaction, order, expected, OrderAction.CHANGE_LINES)
    row = await rows.find(
        transaction, "OrderLine", line, "item_id", "quantity", "cancelled_quantity", "taken"
    )
    if row is None:
        raise NotFound("OrderLine", to_global_id("OrderLine", line))
    return order, line, row


async def _move_stock(transaction: Transaction, line: Any, pieces: int) -> int:
    """Take pieces for a line from stock, or return them if the number is negative.

    Return how many more pieces the line has taken: negative if some went back.
    """
    item: int = line["item_id"]
    if pieces > 0:
        found = await stock.locked(transaction, [item])
        return (await stock.take(transaction, found, {item: pieces}))[item]
    back = stock.returned(line["taken"], -pieces)
    await stock.put_back(transaction, {item: back})
    return -back
