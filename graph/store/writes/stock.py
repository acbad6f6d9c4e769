"""Pieces are taken from stock and returned to it; stock never becomes negative.

Items are locked in the order of their ids, so that two orders with the same items never deadlock.
Stock is read under the lock. The update checks it once more, and so does the constraint
`items_stock_check`. Items whose stock is NULL are not tracked, and not locked.

A line stores how many pieces it took (`order_lines.taken`), and no more are ever returned. Lines
that exist when an item becomes tracked took nothing. A piece that such a line gets later is taken,
and is the first to be returned. So stock plus the pieces taken by all lines stays the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.reads import key_of
from graph.errors import InsufficientStock, InvalidId, Shortage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.database.transaction import Transaction

_COUNTED = """
    SELECT id, stock FROM items
    WHERE id = ANY($1::bigint[]) AND stock IS NOT NULL ORDER BY id FOR NO KEY UPDATE
"""
LOCK = f"""
    WITH counted AS ({_COUNTED})
    SELECT items.id, counted.stock FROM items LEFT JOIN counted USING (id)
    WHERE items.id = ANY($1::bigint[])
"""  # noqa: S608  nothing of it is a client's
_TAKE = """
    UPDATE items SET stock = stock - taken.pieces
    FROM unnest($1::bigint[], $2::integer[]) AS taken(id, pieces)
    WHERE items.id = taken.id AND stock >= taken.pieces
    RETURNING items.id
"""
_PUT_BACK = f"""
    UPDATE items SET stock = items.stock + given.pieces
    FROM ({_COUNTED}) AS counted
    JOIN unnest($1::bigint[], $2::integer[]) AS given(id, pieces) USING (id)
    WHERE items.id = counted.id
"""  # noqa: S608


def check_enough(stock: Mapping[int, int | None], wanted: Mapping[int, int]) -> None:
    """Check that every item has enough stock; both mappings are pieces by the item's key.

    Raises:
        InsufficientStock: items do not have enough stock; it lists all of them.
    """
    short = [
        Shortage(item, pieces, available)
        for item, pieces in wanted.items()
        if (available := stock.get(item)) is not None and available < pieces
    ]
    if short:
        raise InsufficientStock(short)


async def take(
    transaction: Transaction, stock: Mapping[int, int | None], wanted: Mapping[int, int]
) -> dict[int, int]:
    """Take pieces of locked items from stock; all mappings are pieces by the item's key.

    Return how many were taken, by item: all that are wanted, or none where they are not counted.

    Raises:
        InsufficientStock: items do not have enough stock; it lists all of them.
    """
    check_enough(stock, wanted)
    counted = {item: pieces for item, pieces in wanted.items() if stock[item] is not None}
    result = dict.fromkeys(wanted, 0) | counted
    if not counted:
        return result
    taken = await transaction.fetch(_TAKE, list(counted), list(counted.values()))
    if len(taken) != len(counted):
        rows = {row["id"] for row in taken}
        raise InsufficientStock(
            [Shortage(item, counted[item], stock[item] or 0) for item in counted.keys() - rows]
        )
    return result


async def locked(transaction: Transaction, items: list[int]) -> dict[int, int | None]:
    """Lock the items that exist; return their stock by key, None if it is not tracked."""
    rows = await transaction.fetch(LOCK, items)
    return {row["id"]: row["stock"] for row in rows}


def returned(taken: int, gone: int) -> int:
    """How many pieces go back to stock when so many of a line are gone: those taken go first."""
    return min(taken, gone)


async def put_back(transaction: Transaction, pieces: Mapping[int, int]) -> None:
    """Return pieces to stock, by the item's key."""
    pieces = {item: number for item, number in pieces.items() if number}
    if pieces:
        await transaction.fetch(_PUT_BACK, list(pieces), list(pieces.values()))


async def lock_named(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Lock the items of all orders at once, in the order of their ids."""
    found = set()
    for row in rows:
        for line in row.get("lines") or ():
            try:
                found.add(key_of(line["item_id"], "Item"))
            except InvalidId:
                continue
    if found:
        await locked(transaction, sorted(found))
