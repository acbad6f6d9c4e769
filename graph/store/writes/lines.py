"""Lines of an order that nobody has paid yet are added, changed and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.writes.values import Values
from graph.errors import NotAllowed, NotFound, Reason
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
_ORDER_OF = "SELECT order_id FROM order_lines WHERE id = $1"
_LINE = "SELECT item_id, quantity, cancelled, taken FROM order_lines WHERE id = $1"
_SET_QUANTITY = "UPDATE order_lines SET quantity = $2, taken = $3 WHERE id = $1"
_DELETE = "DELETE FROM order_lines WHERE id = $1"


async def add(transaction: Transaction, given: Mapping[str, Any]) -> tuple[int, int]:
    """Add a line to an order; return the keys of the order and the line.

    Raises:
        ValidationFailed, NotFound, Conflict: as all updates; the version is the order's.
        NotAllowed: the order's status does not allow it.
        InsufficientStock: there are not enough pieces.
    """
    values = Values(given)
    order, expected = values.key("order_id", "Order"), values.expected_version()
    item, quantity = values.key("item_id", "Item"), values.pieces()
    values.check()
    await orders.lock(transaction, order, expected, OrderAction.CHANGE_LINES)
    found = await stock.locked(transaction, [item])
    if item not in found:
        values.wrong("item_id", "NOT_FOUND", "There is no such item.")
        values.check()
    taken = await stock.take(transaction, found, {item: quantity})
    row = await transaction.first(_INSERT, order, item, quantity, taken[item])
    return order, row["id"]


async def change(transaction: Transaction, given: Mapping[str, Any]) -> tuple[int, int]:
    """Change how many pieces a line has; return the keys of the order and the line.

    Raises:
        ValidationFailed, NotFound, Conflict, NotAllowed, InsufficientStock: as `add`.
    """
    values = Values(given)
    quantity = values.pieces()
    order, line, row = await _locked(transaction, values)
    if quantity < row["cancelled"]:
        raise NotAllowed(
            Reason("LESS_THAN_CANCELLED", f"{row['cancelled']} pieces of it are cancelled.")
        )
    moved = await _move_stock(transaction, row, quantity - row["quantity"])
    await transaction.fetch(_SET_QUANTITY, line, quantity, row["taken"] + moved)
    return order, line


async def remove(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Remove a line, and put back what it took from stock; return the key of the order.

    Raises:
        ValidationFailed, NotFound, Conflict, NotAllowed: as `add`.
    """
    values = Values(given)
    order, line, row = await _locked(transaction, values)
    await stock.put_back(transaction, {row["item_id"]: row["taken"]})
    await transaction.fetch(_DELETE, line)
    return order


async def _locked(transaction: Transaction, values: Values) -> tuple[int, int, Any]:
    """The keys of the order and the line, and the line, once the order is taken.

    Whoever changes a line has its order first, so the line is read when that is ours.
    """
    line, expected = values.key("id", "OrderLine"), values.expected_version()
    values.check()
    found = await transaction.first(_ORDER_OF, line)
    if found is None:
        raise NotFound("OrderLine", to_global_id("OrderLine", line))
    order: int = found["order_id"]
    await orders.lock(transaction, order, expected, OrderAction.CHANGE_LINES)
    row = await transaction.first(_LINE, line)
    if row is None:
        raise NotFound("OrderLine", to_global_id("OrderLine", line))
    return order, line, row


async def _move_stock(transaction: Transaction, line: Any, pieces: int) -> int:
    """Take so many more pieces for a line; return how many more it has taken.

    Less than none are put back, as far as the line took them.
    """
    item: int = line["item_id"]
    if pieces > 0:
        found = await stock.locked(transaction, [item])
        return (await stock.take(transaction, found, {item: pieces}))[item]
    back = stock.returned(line["taken"], -pieces)
    await stock.put_back(transaction, {item: back})
    return -back
