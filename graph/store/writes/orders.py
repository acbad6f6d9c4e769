"""The rules for placing, advancing and cancelling orders."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from graph.database.writes import at_once, rows
from graph.database.writes.at_once import ChangeAtOnce, permitted
from graph.database.writes.values import INPUT, MOST_LINES, Values, check_version
from graph.errors import NotAllowed, ProblemCode, Reason, ReasonCode, ValidationFailed
from graph.store.models import OrderStatus
from graph.store.writes import stock
from graph.store.writes.rules import TRANSITIONS, OrderAction, check_allowed, target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.database.transaction import Transaction
    from graph.database.worlds import World
    from graph.viewer import Viewer

# One statement locks the items and looks up the customer, which is repeated in each row.
_LOCK_ALL = f"""
    WITH found AS ({stock.LOCK})
    SELECT EXISTS (SELECT FROM customers WHERE id = $2) AS customer, found.*
    FROM (VALUES (1)) AS once LEFT JOIN found ON true
"""  # noqa: S608
_PLACE = """
    WITH placed AS (INSERT INTO orders (customer_id) VALUES ($1) RETURNING id), lines AS (
        INSERT INTO order_lines (order_id, item_id, quantity, unit_price, item_name, taken)
        SELECT placed.id, items.id, line.quantity, items.selling_price, items.name, line.taken
        FROM placed
        CROSS JOIN unnest($2::bigint[], $3::smallint[], $4::smallint[]) WITH ORDINALITY
            AS line(id, quantity, taken, nth)
        JOIN items ON items.id = line.id
        ORDER BY line.nth)
    SELECT id FROM placed
"""
# The same as one statement. All items are counted, or none: the prices of others than those that
# are locked would be from before the statement waited for a lock.
_PLACE_AT_ONCE = """
    counted AS MATERIALIZED (
        SELECT id, stock, selling_price, name FROM items
        WHERE id = ANY($2::bigint[]) AND stock IS NOT NULL ORDER BY id FOR NO KEY UPDATE),
    found AS MATERIALIZED (
        SELECT id, stock, selling_price, name, pieces
        FROM unnest($2::bigint[], $3::integer[]) AS wanted(id, pieces) JOIN (
            SELECT id, stock, selling_price, name FROM counted UNION ALL
            SELECT id, stock, selling_price, name FROM items
            WHERE id = ANY($2::bigint[]) AND stock IS NULL) AS items USING (id)),
    possible AS MATERIALIZED (
        SELECT FROM (
            SELECT count(*) AS every, count(stock) AS counted,
                   coalesce(bool_and(stock >= pieces), TRUE) AS is_enough FROM found) AS items
        WHERE every = cardinality($2::bigint[]) AND counted IN (0, every) AND is_enough
        AND EXISTS (SELECT FROM ({customer}) AS customer)),
    taken AS (
        UPDATE items SET stock = items.stock - pieces FROM possible, found
        WHERE items.id = found.id AND found.stock IS NOT NULL),
    placed AS (INSERT INTO orders (customer_id) SELECT $1 FROM possible RETURNING *),
    lines AS (
        INSERT INTO order_lines (order_id, item_id, quantity, unit_price, item_name, taken)
        SELECT placed.id, found.id, line.quantity, selling_price, name,
               CASE WHEN stock IS NULL THEN 0 ELSE line.quantity END
        FROM placed
        CROSS JOIN unnest($4::bigint[], $5::smallint[]) WITH ORDINALITY AS line(id, quantity, nth)
        JOIN found ON found.id = line.id
        ORDER BY line.nth
        RETURNING *)
"""
_MOVE = "UPDATE orders SET status = $2 WHERE id = $1"
_LINES = """
    SELECT id, item_id, quantity - cancelled_quantity AS pieces, taken FROM order_lines
    WHERE order_id = $1
"""
_CANCEL = """
    UPDATE order_lines SET cancelled_quantity = cancelled_quantity + gone.pieces,
        taken = taken - gone.returned
    FROM unnest($1::bigint[], $2::integer[], $3::integer[]) AS gone(id, pieces, returned)
    WHERE order_lines.id = gone.id
"""


async def place(
    transaction: Transaction, given: Mapping[str, Any], path: tuple[str, ...] = INPUT
) -> int:
    """Place an order at the current prices; return its key.

    `path` leads to its values in the mutation's arguments.

    Raises:
        ValidationFailed: there are no lines or too many; the customer or an item does not exist; a
            quantity is out of range.
        InsufficientStock: items do not have enough stock; it lists all of them.
    """
    values = Values(given, path)
    customer, lines, items, quantities = _order(values, transaction.viewer)
    locked = await transaction.fetch(_LOCK_ALL, items, customer)
    found = {row["id"]: row["stock"] for row in locked}
    # In this order: a viewer finds out nothing from whether there is another statement.
    exists = await rows.exists_in_world(transaction, "Customer", customer) and locked[0]["customer"]
    if customer and not exists:
        values.wrong("customer_id", ProblemCode.NOT_FOUND, "There is no such customer.")
    for line, item in zip(lines, items, strict=True):
        if item and item not in found:
            line.wrong("item_id", ProblemCode.NOT_FOUND, "There is no such item.")
    values.check()
    taken = await stock.take(transaction, found, _pieces(items, quantities))
    # What is counted is taken whole. The row of an item that is not is not locked, and may be
    # counted by now: what was read decides.
    takes = [
        quantity if taken[item] else 0 for item, quantity in zip(items, quantities, strict=True)
    ]
    row = await transaction.first(_PLACE, customer, items, quantities, takes)
    key: int = row["id"]
    return key


def place_at_once(viewer: Viewer, world: World, given: Mapping[str, Any]) -> ChangeAtOnce | None:
    """As `place`, in one statement."""
    values = Values(given)
    try:
        customer, _, items, quantities = _order(values, viewer)
    except ValidationFailed:
        return None
    if values.problems:
        return None
    wanted = _pieces(items, quantities)
    queries, parameters = (
        _place_at_once(world),
        [customer, list(wanted), list(wanted.values()), items, quantities],
    )
    if "Customer" in world.rules:
        parameters.append(viewer.own)
    return ChangeAtOnce(queries, parameters, (("Order", "placed"), ("OrderLine", "lines")))


@cache
def _place_at_once(world: World) -> str:
    return _PLACE_AT_ONCE.format(customer=permitted(world, "Customer", key=1, own=6))


async def advance(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Pay, ship or deliver an order; return its key.

    Raises:
        ValidationFailed: the id is invalid, or there is no expected version.
        NotFound, Conflict, NotAllowed: as `lock`.
    """
    key, expected, action = _advance(Values(given))
    await lock(transaction, key, expected, action)
    await transaction.fetch(_MOVE, key, target(action))
    return key


def advance_at_once(viewer: Viewer, world: World, given: Mapping[str, Any]) -> ChangeAtOnce | None:
    """As `advance`, in one statement."""
    try:
        key, expected, action = _advance(Values(given))
    except ValidationFailed:
        return None
    return at_once.update_at_once(
        viewer,
        world,
        "Order",
        key,
        expected=expected,
        values={"status": target(action)},
        condition=_allowing(action),
    )


async def cancel(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Cancel an order or some of its pieces, and return what they took to stock; return its key.

    Raises:
        ValidationFailed: as `advance`; a line is repeated, or belongs to another order.
        NotFound, Conflict: as `lock`.
        NotAllowed: as `lock`; a line has fewer pieces left.
    """
    values = Values(given)
    key, expected = values.key("id", "Order"), values.expected_version()
    wanted = _wanted(values) if values.given("lines") is not None else None
    values.check()
    await lock(transaction, key, expected, OrderAction.CANCEL)
    lines = {row["id"]: row for row in await transaction.fetch(_LINES, key)}
    left = {line: row["pieces"] for line, row in lines.items()}
    gone = left if wanted is None else _checked(values, wanted, left)
    gone = {line: pieces for line, pieces in gone.items() if pieces}
    # Before the lines, so that the trigger increments the order's version only once.
    if sum(gone.values()) == sum(left.values()):
        await transaction.fetch(_MOVE, key, OrderStatus.CANCELLED)
    back = {line: stock.returned(lines[line]["taken"], pieces) for line, pieces in gone.items()}
    if gone:
        await transaction.fetch(_CANCEL, list(gone), list(gone.values()), list(back.values()))
    pieces: Counter[int] = Counter()
    for line, number in back.items():
        pieces[lines[line]["item_id"]] += number
    await stock.put_back(transaction, pieces)
    return key


async def lock(
    transaction: Transaction, key: int, expected: int | None, action: OrderAction
) -> None:
    """Lock an order for the rest of the transaction, and check that it allows the action.

    Raises:
        NotFound: the order does not exist.
        Conflict: its version is not the expected one.
        NotAllowed: its status does not allow the action.
    """
    row = await rows.lock(transaction, "Order", key, "version", "status")
    check_version("Order", key, expected=expected, row=row)
    check_allowed(action, OrderStatus(row["status"]))


def _advance(values: Values) -> tuple[int, int | None, OrderAction]:
    """The key, the expected version and the action of an advance.

    Raises:
        ValidationFailed: the id is invalid.
    """
    key, expected = values.key("id", "Order"), values.expected_version()
    values.check()
    return key, expected, OrderAction(values.given("action"))


@cache
def _allowing(action: OrderAction) -> str:
    """SQL of the orders whose status allows an action."""
    sources, _ = TRANSITIONS[action]
    names = ", ".join(f"'{status}'" for status in sorted(sources))
    return f"status IN ({names})"


def _order(values: Values, viewer: Viewer) -> tuple[int, list[Values], list[int], list[int]]:
    """The customer, the lines, their items and their quantities in the values of an order.

    Raises:
        ValidationFailed: there are no lines or too many.
    """
    customer = _customer(values, viewer)
    lines = values.within("lines")
    if not 1 <= len(lines) <= MOST_LINES:
        values.wrong(
            "lines", ProblemCode.OUT_OF_RANGE, f"An order must have from 1 to {MOST_LINES} lines."
        )
        values.check()
    items = [line.key("item_id", "Item") for line in lines]
    return customer, lines, items, [line.pieces() for line in lines]


def _pieces(items: list[int], quantities: list[int]) -> dict[int, int]:
    """The pieces of all lines, by item."""
    pieces: dict[int, int] = {}
    for item, quantity in zip(items, quantities, strict=True):
        pieces[item] = pieces.get(item, 0) + quantity
    return pieces


def _customer(values: Values, viewer: Viewer) -> int:
    """The key of the customer who places an order: the viewer, unless another one is given."""
    if values.given("customer_id") is not None:
        return values.key("customer_id", "Customer")
    if viewer.own is None:
        values.wrong("customer_id", ProblemCode.REQUIRED, "A value is required.")
    return viewer.own or 0


def _wanted(values: Values) -> list[tuple[Values, int, int | None]]:
    """The lines to cancel as (values, key, pieces); the pieces are None for all that are left."""
    lines = values.within("lines")
    if not lines:
        values.wrong(
            "lines",
            ProblemCode.OUT_OF_RANGE,
            "'lines' must have a line; leave it out for all lines.",
        )
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
            line.wrong("id", ProblemCode.NOT_FOUND, "The order has no such line.")
        elif key in gone:
            line.wrong("id", ProblemCode.REPEATED, "The line is repeated.")
        else:
            gone[key] = left[key] if pieces is None else pieces
    values.check()
    if any(pieces > left[line] for line, pieces in gone.items()):
        raise NotAllowed(
            Reason(
                ReasonCode.NOTHING_LEFT, "A line has fewer pieces left than are to be cancelled."
            )
        )
    return gone
