"""The event log: the table in which triggers write each change, in the transaction of the change.

Numbers of events come from a sequence, so they are not in the order of commits: a transaction may
commit number 7 when 9 can be read already. A number is *settled* when no event with this number or
a smaller one can still appear. An INSERT locks the table before it takes a number, and the lock is
released after the commit is visible. So all numbers up to the sequence's last one are settled once
the transactions that hold the lock now have ended (`graph.execution.live.follower`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, bindparam, null, select

from graph.database.catalog import catalog
from graph.database.dialect import DIALECT, with_constants
from graph.database.relationships import mapper_of
from graph.database.replay import ReplayLimits, oldest_cursor, pruned_through

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Table

    from graph.database.engine import Database

_POLL_SECONDS = 0.05


@dataclass(frozen=True, eq=False)
class EventLog:
    """What a store declares of its log.

    `entity` is that of the events in the schema; `entities` are those whose changes are logged.
    `kind` is what happened. `changed`, `key` and `columns` tell of each row of `table` which
    entity's row was changed, its key, and the names of the changed columns: NULL for a row that was
    created or deleted. `owner` is the key of the viewer whose own row it concerns; the rules that
    need the permission `own` show a viewer no other events.
    """

    entity: str
    entities: frozenset[str]
    table: Table
    kind: ColumnElement[str]
    changed: ColumnElement[str]
    key: ColumnElement[Any]
    columns: ColumnElement[Any]
    owner: ColumnElement[Any] | None = None
    own: str = ""

    @property
    def references(self) -> dict[str, str]:
        """The columns of events with keys of other rows, and the entities of these."""
        return {
            name: declared.references
            for (entity, name), declared in catalog.columns.items()
            if entity == self.entity and declared.references
        }


class Event(NamedTuple):
    """An event, as far as it decides who must hear of it.

    `columns` is None for a row that was created or deleted. `keys` has those of `references`.
    """

    number: int
    entity: str
    key: Any
    columns: frozenset[str] | None
    owner: Any
    keys: Mapping[str, Any]


class Holder(NamedTuple):
    """A transaction that has written events and has not ended."""

    pid: int
    application: str
    state: str
    seconds: float


class Look(NamedTuple):
    """The last number that was given away, who is writing, and the file of the sequence.

    The sequence has another file once its numbers have begun anew.
    """

    last: int
    writers: frozenset[str]
    sequence: int


def is_prepared(writer: str) -> bool:
    """Whether a transaction was prepared before the database restarted.

    It has another name since. So it may be any that wrote before, and no number is settled.
    """
    return writer.startswith("-1/")


class LogReader:
    """Reads a log by the connections of operations. It also works behind a pooler."""

    def __init__(
        self, database: Database, log: EventLog, replay: ReplayLimits | None = None
    ) -> None:
        self.log = log
        self._database = database
        self._replay = replay or ReplayLimits()

    async def look(self, known: int | None = None) -> Look:
        """Look at the log.

        The number may be of an event that is not visible yet. The transactions that have written
        events and have not ended are those after the number was read. While the number is `known`,
        nobody looks for them.
        """
        name = self.log.table.name
        last, writers, sequence = await self._database.first(_LOOK, f"{name}_id_seq", name, known)
        return Look(last, frozenset(writers or ()), sequence)

    async def settle(self, seconds: float) -> int | None:
        """The last number, once it has settled; None if a transaction does not end in time."""
        (last, writers, _), until = await self.look(), monotonic() + seconds
        while writers and monotonic() < until:
            await asyncio.sleep(_POLL_SECONDS)
            now = (await self.look()).writers
            writers = (writers & now) | set(filter(is_prepared, now))
        return None if writers else last

    async def oldest_cursor(self, last: int) -> int:
        """The smallest number after which all events up to `last` are replayed."""
        return await oldest_cursor(self._database, self.log.table.name, self._replay, last)

    async def pruned_through(self) -> int:
        """As `replay.pruned_through`."""
        return await pruned_through(self._database, self.log.table.name)

    async def holders(self, writers: frozenset[str]) -> list[Holder]:
        """What is known of these transactions."""
        rows = await self._database.all(_HOLDERS, list(writers))
        return [Holder(*row) for row in rows]

    async def events(self, after: int, upto: int, *, limit: int) -> list[Event]:
        """The visible events after one number and up to another, in order."""
        rows = await self._database.all(self._events, after, upto, limit)
        return [
            Event(
                number,
                entity,
                key,
                None if columns is None else frozenset(columns),
                owner,
                dict(zip(self.log.references, keys, strict=True)),
            )
            for number, entity, key, columns, owner, *keys in rows
        ]

    @cached_property
    def _events(self) -> str:
        log, shown = self.log, mapper_of(self.log.entity).local_table
        number = log.table.c.id
        owner: Any = null() if log.owner is None else log.owner
        statement = (
            select(log.table.c.id, log.changed, log.key, with_constants(log.columns), owner)
            .add_columns(*(shown.c[name] for name in log.references))
            .join(shown, shown.c.id == number)
            .where(
                number > bindparam("after", type_=BigInteger),
                number <= bindparam("upto", type_=BigInteger),
            )
            .order_by(number)
            .limit(bindparam("limit", type_=Integer))
        )
        return str(statement.compile(dialect=DIALECT))


# RowExclusiveLock is that of a statement which writes. An entry without a backend is a prepared
# transaction, which is a writer as well. The condition on the number makes PostgreSQL read the
# locks after it.
_LOOK = """
    SELECT last, CASE WHEN last IS DISTINCT FROM $3::bigint THEN (
        SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
        WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND last IS NOT NULL
          AND relation = $2::text::regclass
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) END,
        pg_relation_filenode($1::text::regclass)::bigint
    FROM (SELECT coalesce(pg_sequence_last_value($1::text::regclass), 0) AS last OFFSET 0) AS given
"""
_HOLDERS = """
    SELECT DISTINCT pid, coalesce(application_name, ''), coalesce(state, ''),
           coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE virtualtransaction = ANY($1::text[]) ORDER BY pid
"""
