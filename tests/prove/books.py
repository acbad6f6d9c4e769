"""The invariants of a store, checked by SQL alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping

# Item -> pieces left and pieces sold: those in lines that were not cancelled.
_ITEMS = """
    SELECT items.id, stock, coalesce(sum(quantity - cancelled_quantity), 0)::integer AS sold
    FROM items LEFT JOIN order_lines ON item_id = items.id GROUP BY items.id ORDER BY items.id
"""
# Orders whose status and lines do not agree.
_HALF_CANCELLED = """
    SELECT orders.id FROM orders LEFT JOIN order_lines ON order_id = orders.id
    GROUP BY orders.id
    HAVING (status = 'CANCELLED') <> (coalesce(sum(quantity - cancelled_quantity), 0) = 0)
"""
_TABLES = {
    "customers": "Customer",
    "items": "Item",
    "orders": "Order",
    "order_lines": "OrderLine",
}


class Books:
    """The books of the store at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "")

    async def fetch(self, sql: str, *parameters: Any) -> list[Any]:
        connection = await asyncpg.connect(self._url)
        try:
            rows: list[Any] = await connection.fetch(sql, *parameters)
            return rows
        finally:
            await connection.close()

    async def pieces(self) -> dict[int, tuple[int, int]]:
        """Item -> pieces left, and pieces sold."""
        return {row["id"]: (row["stock"], row["sold"]) for row in await self.fetch(_ITEMS)}

    async def check(self, started_with: Mapping[int, int]) -> None:
        """Fail unless stock and sales add up, and the log tells how each row came to be."""
        for item, (left, sold) in (await self.pieces()).items():
            assert left >= 0
            assert left + sold == started_with[item], f"item {item}: {left} left, {sold} sold"
        assert await self.fetch(_HALF_CANCELLED) == []
        await self._check_history()

    async def _check_history(self) -> None:
        """Each event begins where the one before has ended, and the last one at the row."""
        told: dict[tuple[str, int], dict[str, Any] | None] = {}
        for event in await self.fetch("SELECT * FROM events ORDER BY id"):
            row_id, payload = (event["entity"], event["entity_id"]), json.loads(event["payload"])
            match event["kind"]:
                case "CREATED":
                    assert told.get(row_id) is None, f"{row_id} is created twice"
                    told[row_id] = payload
                case "DELETED":
                    assert told[row_id] == payload
                    told[row_id] = None
                case _:
                    row = told[row_id]
                    assert row is not None, f"{row_id} is changed before it is created"
                    for name, (before, after) in payload.items():
                        assert row[name] == before, f"{row_id}.{name} was {row[name]}"
                        row[name] = after
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for table, entity in _TABLES.items():
            all_rows = f"SELECT id, to_jsonb(rows) - 'id' AS row FROM {table} rows"  # noqa: S608
            for row in await self.fetch(all_rows):
                rows[entity, row["id"]] = json.loads(row["row"])
        assert {row_id: row for row_id, row in told.items() if row is not None} == rows
