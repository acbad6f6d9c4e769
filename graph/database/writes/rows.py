"""One row: locked, inserted or updated, with exactly the given columns.

A column that is not given keeps its value, or gets its default; None is written as NULL.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from graph.database.relationships import mapper_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Select

    from graph.database.transaction import Transaction


async def lock(
    transaction: Transaction, entity: str, key: int, *columns: str, deletes: bool = False
) -> Any:
    """Lock a row until the transaction ends, so that it can be changed; return its columns.

    None if the row does not exist, or not for a viewer who makes such a change. `deletes` also
    keeps others from referring to the row.
    """
    return await transaction.first_in_world(_lock(entity, columns, deletes=deletes), key)


async def find(transaction: Transaction, entity: str, key: int, *columns: str) -> Any:
    """As `lock`, but the row is only read."""
    return await transaction.first_in_world(select_by_key(entity, columns), key)


async def exists_in_world(transaction: Transaction, entity: str, key: int) -> bool:
    """Whether a row, which exists, exists for a viewer who makes such a change."""
    if entity not in transaction.changing.rules:
        return True
    return await find(transaction, entity, key, "id") is not None


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
def select_by_key(entity: str, columns: tuple[str, ...]) -> Select[Any]:
    """Such as `SELECT items.stock FROM items WHERE items.id = $1`."""
    named = mapper_of(entity).columns
    key = bindparam("key", type_=named["id"].type)
    return select(*(named[name] for name in columns)).where(named["id"] == key)


@cache
def _lock(entity: str, columns: tuple[str, ...], *, deletes: bool) -> Select[Any]:
    """The same with `FOR NO KEY UPDATE`, or with `FOR UPDATE` if the row will be deleted."""
    return select_by_key(entity, columns).with_for_update(key_share=not deletes)


@cache
def _insert(entity: str, attributes: tuple[str, ...]) -> str:
    """Such as `INSERT INTO items ("name", "stock") VALUES ($1, $2) RETURNING id`."""
    columns = ", ".join(column_name(entity, name) for name in attributes)
    placeholders = ", ".join(f"${nth}" for nth in range(1, len(attributes) + 1))
    return f"INSERT INTO {table_name(entity)} ({columns}) VALUES ({placeholders}) RETURNING id"  # noqa: S608  names of the models


@cache
def _update(entity: str, attributes: tuple[str, ...]) -> str:
    """Such as `UPDATE items SET "name" = $2 WHERE id = $1`."""
    columns = ", ".join(
        f"{column_name(entity, name)} = ${nth}" for nth, name in enumerate(attributes, start=2)
    )
    return f"UPDATE {table_name(entity)} SET {columns} WHERE id = $1"  # noqa: S608  as above


def table_name(entity: str) -> str:
    return str(mapper_of(entity).local_table)


def column_name(entity: str, attribute: str) -> str:
    return f'"{mapper_of(entity).columns[attribute].name}"'
