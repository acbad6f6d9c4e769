"""The rules for adding and changing items and their stock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.writes import at_once, rows
from graph.database.writes.values import INPUT, Values, check_version
from graph.errors import (
    InsufficientStock,
    NotAllowed,
    ProblemCode,
    Reason,
    ReasonCode,
    Shortage,
    ValidationFailed,
)
from graph.relay import INT4_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.database.transaction import Transaction
    from graph.database.worlds import World
    from graph.database.writes.at_once import ChangeAtOnce
    from graph.viewer import Viewer

_TEXTS = ("name",)
_PRICES = ("cost_price", "selling_price")

_SET_STOCK = "UPDATE items SET stock = $2 WHERE id = $1"


async def create(
    transaction: Transaction, given: Mapping[str, Any], path: tuple[str, ...] = INPUT
) -> int:
    """Add an item; return its key. `path` leads to its values in the mutation's arguments.

    Raises:
        ValidationFailed: the name, a price or the stock is invalid.
    """
    values = Values(given, path)
    new = _new(values)
    values.check()
    return await rows.insert(transaction, "Item", new)


def create_at_once(_: Viewer, __: World, given: Mapping[str, Any]) -> ChangeAtOnce | None:
    """As `create`, in one statement."""
    values = Values(given)
    new = _new(values)
    return None if values.problems else at_once.insert_at_once("Item", new)


async def update(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Change the provided values of an item; return its key.

    Raises:
        ValidationFailed: as `create`.
        NotFound: the item does not exist.
        Conflict: its version is not the expected one.
    """
    values, key, expected, changes = _changes(given)
    values.check()
    row = await rows.lock(transaction, "Item", key, "version")
    check_version("Item", key, expected=expected, row=row)
    await rows.update(transaction, "Item", key, changes)
    return key


def update_at_once(viewer: Viewer, world: World, given: Mapping[str, Any]) -> ChangeAtOnce | None:
    """As `update`, in one statement."""
    values, key, expected, changes = _changes(given)
    if values.problems:
        return None
    return at_once.update_at_once(viewer, world, "Item", key, expected=expected, values=changes)


async def adjust_stock(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Change the stock `by` a number of pieces, or set it `to` one, or end its tracking.

    Raises:
        ValidationFailed: a number is out of range.
        NotFound, Conflict: as `update`.
        NotAllowed: `by`, for an item whose stock is not tracked.
        InsufficientStock: the result would be negative.
    """
    key, expected, by, to, change = _adjustment(Values(given))
    row = await rows.lock(transaction, "Item", key, "version", "stock")
    check_version("Item", key, expected=expected, row=row)
    stock = to if by is None else _moved(key, row["stock"], by, change)
    await transaction.fetch(_SET_STOCK, key, stock)
    return key


def adjust_stock_at_once(
    viewer: Viewer, world: World, given: Mapping[str, Any]
) -> ChangeAtOnce | None:
    """As `adjust_stock`, in one statement."""
    try:
        key, expected, by, to, _ = _adjustment(Values(given))
    except ValidationFailed:
        return None
    if by is None:
        return at_once.update_at_once(
            viewer, world, "Item", key, expected=expected, values={"stock": to}
        )
    return at_once.update_at_once(
        viewer,
        world,
        "Item",
        key,
        expected=expected,
        values={"stock": by},
        expressions=(("stock", "stock + {value}"),),
        condition=f"stock + {{stock}}::bigint BETWEEN 0 AND {INT4_MAX}",
    )


def _new(values: Values) -> dict[str, Any]:
    """The values of a new item."""
    texts = values.texts("Item", *_TEXTS, required=True)
    prices = {name: values.money(name, required=True) for name in _PRICES}
    stock = values.stock() if values.given("stock") is not None else None
    return {**texts, **prices, "stock": stock}


def _adjustment(values: Values) -> tuple[int, int | None, int | None, int | None, Values]:
    """The key, the expected version, and the change: `by`, or else `to`; and its values.

    Raises:
        ValidationFailed: a number is out of range.
    """
    key, expected = values.key("id", "Item"), values.expected_version()
    change = values.inside("change")
    by = change.number("by", -INT4_MAX, INT4_MAX) if "by" in change else None
    to = change.stock("to") if "to" in change else None
    if "untracked" in change:
        change.only_true("untracked")
    values.check()
    return key, expected, by, to, change


def _changes(given: Mapping[str, Any]) -> tuple[Values, int, int | None, dict[str, Any]]:
    """The values of an update; the key, the expected version and the new values in them."""
    values = Values(given)
    key, expected = values.key("id", "Item"), values.expected_version()
    texts = values.texts("Item", *_TEXTS, required=False)
    prices = {name: values.money(name, required=False) for name in _PRICES if name in values}
    return values, key, expected, texts | prices


def _moved(key: int, stock: int | None, by: int, values: Values) -> int:
    if stock is None:
        raise NotAllowed(
            Reason(
                ReasonCode.NOT_COUNTED, "The item's stock is not tracked; set it with 'to' first."
            )
        )
    if stock + by < 0:
        raise InsufficientStock([Shortage(key, -by, stock)])
    if stock + by > INT4_MAX:
        values.wrong(
            "by", ProblemCode.OUT_OF_RANGE, f"The stock must not exceed {INT4_MAX} pieces."
        )
        values.check()
    return stock + by
