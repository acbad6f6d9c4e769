"""Changes that one statement makes: all of a change, or nothing of it.

A rule takes several statements, and says why it refuses. Most changes are not refused, and many of
them can be one statement that also returns the payload: its own transaction, one round trip, and no
lock that waits for the client. Where it does nothing, or fails, the rule runs from the beginning.

The statement must read what it depends on under the lock of its rows: a join sees them as they were
before the statement waited for the lock.
"""

from __future__ import annotations

import re
from asyncio import CancelledError
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Enum, String

from graph.database.dialect import DIALECT
from graph.database.driver_errors import is_lost, typed, was_sent
from graph.database.relationships import mapper_of
from graph.database.server import json_function
from graph.database.worlds import OWN, text_in, world_of
from graph.database.writes.rows import column_name, select_by_key, table_name
from graph.errors import OutcomeUnknown, ReadOnly, TimedOut, Unconfirmed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.database.engine import Database
    from graph.database.reads import JsonQuery
    from graph.database.stopwatch import Stopwatch
    from graph.database.worlds import World
    from graph.selection import Value
    from graph.viewer import Viewer

_PLACEHOLDER = re.compile(r"\$(\d+)")


@dataclass(slots=True)
class ChangeAtOnce:
    """A change as the queries of a WITH clause, and their parameters.

    `rows` names the query that has the rows of an entity after the change, for each that it
    changes. The first of them has one row, whose key is the result of the rule, or none: then
    nothing was done. What relationships among these entities reach from that row is in `rows`.
    """

    queries: str
    parameters: Sequence[Any]
    rows: tuple[tuple[str, str], ...]

    @property
    def statement(self) -> str:
        """The change alone; it returns the key."""
        return f"WITH {self.queries} SELECT id FROM {self.rows[0][1]}"  # noqa: S608  our own


def update_at_once(
    viewer: Viewer,
    world: World,
    entity: str,
    key: int,
    *,
    expected: int | None,
    values: Mapping[str, Any],
    expressions: tuple[tuple[str, str], ...] = (),
    condition: str = "TRUE",
) -> ChangeAtOnce | None:
    """Set these values by attribute, if the row exists in the world, at the expected version.

    `expressions` are SQL for the new value of an attribute, in which `{value}` is the given one, as
    in `stock + {value}`. The row must meet the `condition`, which may name each value as in
    `stock >= {stock}`. Both see the row as it is under its lock.

    None where that is no single statement: nothing is set, or the entity refers to itself.
    """
    if not values or _refers_to_itself(entity):
        return None
    queries = _update(entity, tuple(values), expressions, condition, world)
    parameters = [key, expected, *values.values()]
    if entity in world.rules:
        parameters.append(viewer.own)
    return ChangeAtOnce(queries, parameters, ((entity, "changed"),))


def insert_at_once(
    entity: str, values: Mapping[str, Any], *, taken: str = ""
) -> ChangeAtOnce | None:
    """Add a row with these values by attribute.

    `taken` is SQL for rows that must not exist, which may name each value as in `name = {name}`: a
    row that violates a constraint would use up a key.

    None where that is no single statement: the entity refers to itself.
    """
    if _refers_to_itself(entity):
        return None
    queries = _insert(entity, tuple(values), taken)
    return ChangeAtOnce(queries, list(values.values()), ((entity, "added"),))


@lru_cache(maxsize=1024)
def permitted(world: World, entity: str, *, key: int, own: int) -> str:
    """SQL of the key of a row, if the row exists in a world.

    `key` and `own` are the positions of the parameters with that key, and with the viewer's own.
    """
    sql, names = text_in(world, select_by_key(entity, ("id",)))
    positions = {"key": key, OWN: own}
    return _PLACEHOLDER.sub(lambda found: f"${positions[names[int(found[1]) - 1]]}", sql)


async def change_at_once(
    database: Database,
    change: ChangeAtOnce,
    query: JsonQuery,
    values: Sequence[Value],
    *,
    viewer: Viewer,
    stopwatch: Stopwatch,
) -> tuple[Any, Sequence[bytes]] | None:
    """Make a change, and read its payload, in one statement.

    Returns the key of the row and the payload's columns; None if the change was not possible, and
    nothing was done.

    Raises:
        NotChanged: the payload reads other rows than those of the change.
        Unavailable, TimedOut, ReadOnly: as `Database.fetch_json`; nothing was done.
        OutcomeUnknown: the connection was lost before the statement was confirmed.
        Unconfirmed: the task was cancelled meanwhile.
    """
    with stopwatch.connecting():
        connection = await database.take()
    driver: Any = connection.driver_connection
    try:
        statement = query.statement_after(
            change.rows, json_function(driver), world_of(viewer), database.max_answer_bytes
        )
        parameters = [*statement.parameters(values, viewer.own), *change.parameters]
        actor = None
        if viewer.subject is not None:
            parameters.append(viewer.subject)
            actor = len(parameters)
        offset = len(parameters) - len(change.parameters) - (actor is not None)
        sql = _combined(change.queries, change.rows[0][1], statement.sql, offset, actor)
        for listener in database.listeners:
            listener(sql, parameters)
        with stopwatch:
            stopwatch.note(sql, parameters)
            row = await _first(database, driver, sql, parameters)
    finally:
        database.give(connection)
    if row is None or row["key"] is None:
        return None
    *columns, _size, key = row
    return key, columns


async def _first(database: Database, driver: Any, sql: str, parameters: Sequence[Any]) -> Any:
    """The row of a statement that is its own transaction; None if PostgreSQL refused it."""
    try:
        return await driver.fetchrow(sql, *parameters)
    except CancelledError as error:
        raise Unconfirmed from error
    except Exception as error:
        is_told, is_gone = was_sent(error), driver.is_closed() or is_lost(error)
        if is_told and not is_gone and not isinstance(typed(error), TimedOut | ReadOnly):
            return None
        failure = database.failed(driver, error)
        raise (failure if is_told else OutcomeUnknown()) from error


@lru_cache(maxsize=1024)
def _combined(queries: str, first: str, read: str, offset: int, actor: int | None) -> str:
    """The statement that makes a change, and reads its payload.

    The parameters of the payload come first, then those of the change from `offset` on. `actor` is
    the position of the actor of the events.
    """
    queries = _PLACEHOLDER.sub(lambda found: f"${int(found[1]) + offset}", queries)
    acting = f", set_config('graph.actor', ${actor}, true) AS actor" if actor else ""
    return f"""
        WITH {queries}
        SELECT made.*, (SELECT id FROM {first}) AS key FROM ({read}) AS made{acting}
    """  # noqa: S608  our own


@cache
def _update(
    entity: str,
    attributes: tuple[str, ...],
    expressions: tuple[tuple[str, str], ...],
    condition: str,
    world: World,
) -> str:
    """Such as `changed AS (UPDATE items SET "name" = $3 WHERE ... RETURNING *)`."""
    placeholders = {name: f"${nth}" for nth, name in enumerate(attributes, start=3)}
    new = dict.fromkeys(attributes, "{value}") | dict(expressions)
    columns = ", ".join(
        f"{column_name(entity, name)} = {new[name].format(value=placeholder)}"
        for name, placeholder in placeholders.items()
    )
    key = "$1"
    if entity in world.rules:
        key = f"({permitted(world, entity, key=1, own=len(attributes) + 3)})"
    return f"""changed AS (
        UPDATE {table_name(entity)} SET {columns}
        WHERE id = {key} AND ($2::integer IS NULL OR version = $2)
        AND {condition.format(**placeholders)} RETURNING *)
    """  # noqa: S608  names of the models


@cache
def _insert(entity: str, attributes: tuple[str, ...], taken: str) -> str:
    """Such as `added AS (INSERT INTO items ("name") SELECT $1::VARCHAR WHERE ... RETURNING *)`."""
    placeholders = {
        name: f"${nth}::{_parameter_type(entity, name)}"
        for nth, name in enumerate(attributes, start=1)
    }
    names = ", ".join(column_name(entity, name) for name in attributes)
    free = f"NOT EXISTS ({taken.format(**placeholders)})" if taken else "TRUE"
    return f"""added AS (
        INSERT INTO {table_name(entity)} ({names}) SELECT {", ".join(placeholders.values())}
        WHERE {free} RETURNING *)
    """


def _parameter_type(entity: str, attribute: str) -> str:
    """The SQL type of a parameter for a column; not one of a length, which a cast would cut to."""
    type_ = mapper_of(entity).columns[attribute].type
    is_text = isinstance(type_, String) and not (isinstance(type_, Enum) and type_.native_enum)
    return "text" if is_text else type_.compile(DIALECT)


@cache
def _refers_to_itself(entity: str) -> bool:
    """Whether a row refers to other rows of its entity, or may do so across others."""
    return any(each.mapper.class_.__name__ == entity for each in mapper_of(entity).relationships)
