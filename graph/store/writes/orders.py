"""Orders are placed, advanced and cancelled."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from graph.database.writes.values import INPUT, MOST_LINES, Values, check_version
from graph.errors import NotAllowed, Reason
from graph.store.models import OrderStatus
from graph.store.writes import stock
from graph.store.writes.rules import OrderAction, check_allowed, target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.database.transaction import Transaction

# The customer stands in each row: one statement for all that an order names.
_LOCK_ALL = f"""
    WITH found AS ({stock.LOCK})
    SELECT EXISTS (SELECT FROM customers WHERE id = $2) AS customer, found.*
    FROM (VALUES (1)) AS once LEFT JOIN found ON true
"""  # noqa: S608
_PLACE = """
    WITH placed AS (INSERT INTO orders (customer_id) VALUES ($1) RETURNING id), lines AS (
        INSERT INTO order_lines (order_id, item_id, quantity, unit_price, item_name)
        SELECT placed.id, items.id, line.quantity, items.selling_price, items.name
        FROM placed
        CROSS JOIN unnest($2::bigint[], $3::smallint[]) WITH ORDINALITY AS line(id, quantity, nth)
        JOIN items ON items.id = line.id
        ORDER BY line.nth)
    SELECT id FROM placed
"""
_LOCK = "SELECT id, version, status FROM orders WHERE id = $1 FOR NO KEY UPDATE"
_MOVE = "UPDATE orders SET status = $2 WHERE id = $1"
_LINES = "SELECT id, item_id, quantity - cancelled AS pieces FROM order_lines WHERE order_id = $1"
_CANCEL = """
    UPDATE order_lines SET cancelled = cancelled + gone.pieces
    FROM unnest($1::bigint[], $2::integer[]) AS gone(id, pieces)
    WHERE order_lines.id = gone.id
"""


async def place(
    transaction: Transaction, given: Mapping[str, Any], path: tuple[str, ...] = INPUT
) -> int:
    """Place an order, at the prices of this moment; return its key.

    `path` leads to it through the mutation's arguments.

    Raises:
        ValidationFailed: no lines; customers or items that there are not; quantities out of range.
        InsufficientStock: with all items of which there are not enough.
    """
    values = Values(given, path)
    customer = values.key("customer_id", "Customer")
    lines = values.within("lines")
    if not 1 <= len(lines) <= MOST_LINES:
        values.wrong("lines", "OUT_OF_RANGE", f"An order has from 1 to {MOST_LINES} lines.")
        values.check()
    items = [line.key("item_id", "Item") for line in lines]
    quantities = [line.pieces() for line in lines]
    rows = await transaction.fetch(_LOCK_ALL, items, customer)
    found = {row["id"]: row["stock"] for row in rows}
    if customer and not rows[0]["customer"]:
        values.wrong("customer_id", "NOT_FOUND", "There is no such customer.")
    for line, item in zip(lines, items, strict=True):
        if item and item not in found:
            line.wrong("item_id", "NOT_FOUND", "There is no such item.")
    values.check()
    wanted: Counter[int] = Counter()
    for item, quantity in zip(items, quantities, strict=True):
        wanted[item] += quantity
    await stock.take(transaction, found, wanted)
    row = await transaction.first(_PLACE, customer, items, quantities)
    key: int = row["id"]
    return key


async def advance(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Pay, ship or deliver an order.

    Raises:
        ValidationFailed, NotFound, Conflict: as all updates.
        NotAllowed: the order's status does not allow it.
    """
    values = Values(given)
    key, expected = values.key("id", "Order"), values.expected_version()
    values.check()
    action = OrderAction(values.given("action"))
    await lock(transaction, key, expected, action)
    await transaction.fetch(_MOVE, key, target(action))
    return key


async def cancel(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Cancel an order, or some of its pieces, and put them back in stock.

    Raises:
        ValidationFailed, NotFound, Conflict: as all updates; lines that are not the order's.
        NotAllowed: the order's status does not allow it; fewer pieces are left.
    """
    values = Values(given)
    key, expected = values.key("id", "Order"), values.expected_version()
    wanted = _wanted(values) if values.given("lines") is not None else None
    values.check()
    await lock(transaction, key, expected, OrderAction.CANCEL)
    rows = {row["id"]: row for row in await transaction.fetch(_LINES, key)}
    left = {line: row["pieces"] for line, row in rows.items()}
    gone = left if wanted is None else _checked(values, wanted, left)
    gone = {line: pieces for line, pieces in gone.items() if pieces}
    # First, so that its version moves once.
    if sum(gone.values()) == sum(left.values()):
        await transaction.fetch(_MOVE, key, OrderStatus.CANCELLED)
    if gone:
        await transaction.fetch(_CANCEL, list(gone), list(gone.values()))
    pieces: Counter[int] = Counter()
    for line, number in gone.items():
        pieces[rows[line]["item_id"]] += number
    await stock.put_back(transaction, pieces)
    return key


async def lock(
    transaction: Transaction, key: int, expected: int | None, action: OrderAction
) -> None:
    """Take an order for this transaction, to do something with it that its status allows.

    Raises:
        NotFound, Conflict, NotAllowed: it is not there, not as it was read, or does not allow it.
    """
    row = await transaction.first(_LOCK, key)
    check_version("Order", key, expected=expected, row=row)
    check_allowed(action, OrderStatus(row["status"]))


def _wanted(values: Values) -> list[tuple[Values, int, int | None]]:
    """The lines to be cancelled, and how many pieces of each; None for all."""
    lines = values.within("lines")
    if not lines:
        values.wrong("lines", "OUT_OF_RANGE", "Name a line, or leave 'lines' out for all of them.")
    return [
        (
            line,
            line.key("id", "OrderLine"),
            line.pieces() if line.given("quantity") is not None else None,
        )
        for line in lines
    ]


def _checked(
    values: Values, wanted: list[tuple[Values, int, int | None]], left: Mapping[int, int]
) -> dict[int, int]:
    gone: dict[int, int] = {}
    for line, key, pieces in wanted:
        if key not in left:
            line.wrong("id", "NOT_FOUND", "The order has no such line.")
        elif key in gone:
            line.wrong("id", "REPEATED", "The line is named twice.")
        else:
            gone[key] = left[key] if pieces is None else pieces
    values.check()
    if any(pieces > left[line] for line, pieces in gone.items()):
        raise NotAllowed(
            Reason("NOTHING_LEFT", "More pieces are to be cancelled than a line has left.")
        )
    return gone
