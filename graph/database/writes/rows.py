"""INSERT and UPDATE of one row, with exactly the given columns.

A column that is not given keeps its value, or gets its default; None is written as NULL.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from graph.database.relationships import mapper_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.database.transaction import Transaction


async def insert(transaction: Transaction, entity: str, values: Mapping[str, Any]) -> int:
    """Add a row with these values by attribute; return its key. Raises as `Transaction.fetch`."""
    row = await transaction.first(_insert(entity, tuple(values)), *values.values())
    key: int = row["id"]
    return key


async def update(
    transaction: Transaction, entity: str, key: int, values: Mapping[str, Any]
) -> None:
    """Set these values by attribute, if any; the row exists. Raises as `Transaction.fetch`."""
    if values:
        await transaction.fetch(_update(entity, tuple(values)), key, *values.values())


@cache
def _insert(entity: str, attributes: tuple[str, ...]) -> str:
    """Such as `INSERT INTO items ("name", "stock") VALUES ($1, $2) RETURNING id`."""
    columns = ", ".join(_column(entity, name) for name in attributes)
    placeholders = ", ".join(f"${nth}" for nth in range(1, len(attributes) + 1))
    return f"INSERT INTO {_table(entity)} ({columns}) VALUES ({placeholders}) RETURNING id"  # noqa: S608  names of the models


@cache
def _update(entity: str, attributes: tuple[str, ...]) -> str:
    """Such as `UPDATE items SET "name" = $2 WHERE id = $1`."""
    columns = ", ".join(
        f"{_column(entity, name)} = ${nth}" for nth, name in enumerate(attributes, start=2)
    )
    return f"UPDATE {_table(entity)} SET {columns} WHERE id = $1"  # noqa: S608  as above


def _table(entity: str) -> str:
    return str(mapper_of(entity).local_table)


def _column(entity: str, attribute: str) -> str:
    return f'"{mapper_of(entity).columns[attribute].name}"'
