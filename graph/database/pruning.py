"""Removes old rows of a partitioned log, oldest first, and records how far it came.

A log has a number for each row, `id`, and a moment, `occurred_at`. What is removed is all rows up
to a number: none of them is younger than the limit, and none up to that number can still appear.
Whole partitions are dropped, which takes milliseconds. Other rows are deleted in batches, each a
transaction of its own, in which the log's guard lets a DELETE pass.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from graph.database.events import LogReader
from graph.database.partitions import add_ahead, add_first, partitions_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.database.engine import Database
    from graph.database.events import EventLog
    from graph.database.partitions import Partition

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Less than a tenth of a second each.
_DELETED_ROWS = 5_000
_CHECKED_ROWS = 50_000
# Others that use the log queue behind whoever waits for a stronger lock: for so long at most.
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '250ms'")
_LOCK_ATTEMPTS = 20
_PAUSE_SECONDS = 0.3
_LOCK_NOT_AVAILABLE = {"55P03", "40P01"}
_SETTLE_SECONDS = 30.0

_OLD = """
    WITH batch AS (
        SELECT id, occurred_at FROM {table} WHERE id > :after AND id <= :upto
        ORDER BY id LIMIT :rows
    ), young AS (SELECT min(id) AS first FROM batch WHERE occurred_at >= :limit)
    SELECT coalesce(young.first - 1, max(id)), count(id), young.first IS NULL
    FROM young LEFT JOIN batch ON true GROUP BY young.first
"""
_PASS_GUARD = text("SET LOCAL graph.pruning = 'on'")
_DELETE = "DELETE FROM {table} WHERE id > :after AND id <= :upto"
_THROUGH = text("SELECT through FROM pruned_logs WHERE log = :table")
_FORGET = text("DELETE FROM pruned_logs WHERE log = :table")
_RECORD = text("""
    INSERT INTO pruned_logs AS pruned (log, through) VALUES (:table, :through)
    ON CONFLICT (log) DO UPDATE SET pruned_at = now(),
        through = greatest(pruned.through, excluded.through)
""")


@dataclass(slots=True)
class Pruned:
    """What was removed: rows, and how many partitions as a whole."""

    rows: int = 0
    partitions: int = 0


async def begin_anew(session: AsyncSession, table: str) -> None:
    """Begin the log anew, within a transaction that has emptied it and restarted its numbers."""
    await session.execute(_FORGET, {"table": table})
    await (await session.connection()).run_sync(add_first, table)


async def add_partitions(database: Database, log: EventLog) -> None:
    """Make the log's next partitions ahead of time, if they are missing."""

    def add(connection: Connection) -> None:
        for name in add_ahead(connection, log.table.name):
            logger.info("%s: added the partition %s", log.table.name, name)

    await _with_brief_locks(database, add)


async def prune(
    database: Database,
    log: EventLog,
    *,
    older_than: timedelta,
    go_on: Callable[[], Awaitable[bool]] | None = None,
) -> Pruned:
    """Remove the oldest rows of a log, up to the first that is younger.

    `go_on` is called before each step, such as to renew a lease; False ends it. An interrupted run
    has removed what it recorded.

    Raises:
        Unavailable: the database cannot be reached.
    """
    run = _Run(database, log, older_than, go_on)
    await run.begin()
    while await run.step():
        pass
    return run.done


class _Run:
    """One run of pruning. `after` is the number up to which nothing is left."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        older_than: timedelta,
        go_on: Callable[[], Awaitable[bool]] | None,
    ) -> None:
        self.done = Pruned()
        self._database = database
        self._table = log.table.name
        self._log = LogReader(database, log)
        self._older_than = older_than
        self._go_on = go_on
        self._limit: datetime | None = None
        self._after = self._upto = 0
        self._partitions: list[Partition] = []

    async def begin(self) -> None:
        async with self._database.engine.begin() as connection:
            limit = text("SELECT now() - CAST(:older_than AS interval)")
            self._limit = await connection.scalar(limit, {"older_than": self._older_than})
            self._after = await connection.scalar(_THROUGH, {"table": self._table}) or 0
            self._partitions = await connection.run_sync(partitions_of, self._table)
        settled = await self._log.settle(_SETTLE_SECONDS)
        if settled is None:
            logger.warning("%s: a transaction has not ended; nothing is pruned", self._table)
        self._upto = settled or 0

    async def step(self) -> bool:
        """Remove a partition or a batch; False when nothing is left to remove."""
        if self._after >= self._upto or (self._go_on and not await self._go_on()):
            return False
        if self._partitions and self._partitions[0].upper - 1 <= self._upto:
            partition = self._partitions.pop(0)
            rows = await self._rows_if_all_are_old(partition)
            if rows is not None:
                await self._drop(partition, rows)
                return True
            self._partitions.clear()  # those after it are younger
        return await self._delete()

    async def _rows_if_all_are_old(self, partition: Partition) -> int | None:
        rows, after = 0, self._after
        while True:
            upto, found, old = await self._old(partition.name, after, _CHECKED_ROWS)
            if not old:
                return None
            if upto is None:
                return rows
            rows, after = rows + found, upto

    async def _drop(self, partition: Partition, rows: int) -> None:
        def drop(connection: Connection) -> None:
            connection.exec_driver_sql(f"DROP TABLE {partition.name}")
            self._record(connection, partition.upper - 1)

        await _with_brief_locks(self._database, drop)
        self._after = max(self._after, partition.upper - 1)
        self.done.rows += rows
        self.done.partitions += 1
        logger.info("%s: dropped the partition %s", self._table, partition.name)

    async def _delete(self) -> bool:
        upto, _, _ = await self._old(self._table, self._after, _DELETED_ROWS)
        if upto is None or upto <= self._after:
            return False
        async with self._database.engine.begin() as connection:
            await connection.execute(_PASS_GUARD)
            deleted = await connection.execute(
                text(_DELETE.format(table=self._table)), {"after": self._after, "upto": upto}
            )
            await connection.run_sync(self._record, upto)
        self._after = upto
        self.done.rows += deleted.rowcount
        return True

    async def _old(self, table: str, after: int, rows: int) -> tuple[int | None, int, bool]:
        """The last number before the first young row of a batch, its rows, and if all are old."""
        values = {"after": after, "upto": self._upto, "rows": rows, "limit": self._limit}
        async with self._database.engine.connect() as connection:
            found = await connection.execute(text(_OLD.format(table=table)), values)
            upto, number, old = found.one()
        return upto, number, old

    def _record(self, connection: Connection, through: int) -> None:
        connection.execute(_RECORD, {"table": self._table, "through": through})


async def _with_brief_locks(database: Database, work: Callable[[Connection], T]) -> T:
    """Do it in a transaction, and again while others hold a lock that it needs."""
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            async with database.engine.begin() as connection:
                await connection.execute(_LOCK_TIMEOUT)
                return await connection.run_sync(work)
        except DBAPIError as error:
            state: Any = getattr(error.orig, "sqlstate", None)
            if state not in _LOCK_NOT_AVAILABLE or attempt == _LOCK_ATTEMPTS:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError  # the loop returns or raises
