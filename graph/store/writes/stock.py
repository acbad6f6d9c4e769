"""SqlText are taken from stock and put back, never more than there are.

Rows are locked in the order of their ids, so that two baskets with the same items never wait for
each other. Whoever waits sees what the other has left: the numbers are read under the lock. The
update asks once more, and `items_stock_check` stands behind it. Items whose stock is NULL are not
counted, and not locked.
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
    """Return when there are enough pieces of every item that is counted.

    Raises:
        InsufficientStock: with all items of which there are not.
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
) -> None:
    """Take pieces of items that are locked, and that there are enough of.

    Raises:
        InsufficientStock: there are not.
    """
    check_enough(stock, wanted)
    counted = {item: pieces for item, pieces in wanted.items() if stock[item] is not None}
    if not counted:
        return
    taken = await transaction.fetch(_TAKE, list(counted), list(counted.values()))
    if len(taken) != len(counted):
        rows = {row["id"] for row in taken}
        raise InsufficientStock(
            [Shortage(item, counted[item], stock[item] or 0) for item in counted.keys() - rows]
        )


async def locked(transaction: Transaction, items: list[int]) -> dict[int, int | None]:
    """The stock of those of the items that there are; None where it is not counted."""
    rows = await transaction.fetch(LOCK, items)
    return {row["id"]: row["stock"] for row in rows}


async def put_back(transaction: Transaction, pieces: Mapping[int, int]) -> None:
    if pieces:
        await transaction.fetch(_PUT_BACK, list(pieces), list(pieces.values()))


async def lock_named(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Take the items of all rows in the order of their ids: row by row they come in any order."""
    found = set()
    for row in rows:
        for line in row.get("lines") or ():
            try:
                found.add(key_of(line["item_id"], "Item"))
            except InvalidId:
                continue
    if found:
        await locked(transaction, sorted(found))
