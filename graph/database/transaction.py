"""The transaction of a mutation: statements that change the store, and reads of their results.

The rules' statements are plain SQL and go directly to the driver. So a `Transaction` takes its
connection directly from the pool; a `LoadingTransaction` has one of SQLAlchemy's around it, for the
statements of the loaders. Errors of the driver are translated here: a violated constraint becomes a
domain error by its name, a deadlock a `RetryableConflict`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from graph.database.catalog import catalog
from graph.database.driver_errors import is_lost, is_outdated, translated
from graph.database.engine import execute_in
from graph.database.reads import check_size
from graph.database.server import json_function
from graph.database.stopwatch import Stopwatch
from graph.database.worlds import OWN, text_in, world_of
from graph.errors import (
    DomainError,
    GraphError,
    OutcomeUnknown,
    TimedOut,
    Unavailable,
    Unconfirmed,
)
from graph.viewer import SYSTEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import Executable, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graph.database.engine import Database, Row
    from graph.database.reads import JsonQuery
    from graph.selection import Value
    from graph.viewer import Viewer

# An arbitrary number that all processes share.
_QUEUE = 0x71756575

_SERIALIZATION_FAILURE = "40001"
_DEADLOCK = "40P01"
_LOCK_TIMEOUT = "55P03"

_VERSION_WITH_TRANSACTION_TIMEOUT = 17


class RetryableConflict(Exception):
    """Another transaction, or a migration, was in the way: this one may begin anew."""


class Transaction:
    """One transaction.

    It lives as long as its block, and is rolled back unless it was committed.
    """

    def __init__(
        self,
        database: Database,
        driver: Any,
        viewer: Viewer,
        *,
        reads: Stopwatch | None = None,
        changes: Stopwatch | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self.viewer = viewer
        # What is read, and what may be changed.
        self.world = self.changing = world_of(viewer)
        self._database = database
        self._driver = driver
        self._reads = reads or Stopwatch()
        self._changes = changes or Stopwatch()
        self._max_seconds = max_seconds
        self._began = 0.0
        # An operation's resolvers are many tasks; a connection does one thing at a time.
        self._lock = asyncio.Lock()

    async def begin(self, *, is_dry_run: bool = False) -> None:
        """Begin; what is changed now is the viewer's doing.

        A dry run takes new keys from elsewhere: none that a row could have had is lost with it.
        """
        async with self._lock:
            try:
                self._began = monotonic()
                await self._driver.execute(f"BEGIN{self._bound()}")
                if (actor := self.viewer.subject) is not None:
                    await self._driver.execute("SELECT set_config('graph.actor', $1, true)", actor)
                if is_dry_run:
                    await self._driver.execute("SET LOCAL graph.dry_run = 'on'")
            except Exception as error:
                raise self._translated(error) from error

    def _bound(self) -> str:
        """The end of a transaction that takes too long, and of its locks (from PostgreSQL 17)."""
        is_known = self._driver.get_server_version().major >= _VERSION_WITH_TRANSACTION_TIMEOUT
        if self._max_seconds is None or not is_known:
            return ""
        return f"; SET LOCAL transaction_timeout = {round(self._max_seconds * 1000)}"

    async def queue(self) -> None:
        """Wait for all other transactions that queue: repeated ones run one at a time."""
        await self.fetch("SELECT pg_advisory_xact_lock($1)", _QUEUE)

    async def fetch(self, sql: str, *parameters: Any) -> list[Any]:
        """Run a statement; return its rows.

        Raises:
            DomainError: the statement violates a constraint that stands for a rule of the store.
            RetryableConflict: a deadlock, or a lock that was not available in time.
            Unavailable: the connection was lost; nothing was changed.
        """
        return await self._fetch(sql, parameters, self._changes)

    async def _fetch(self, sql: str, parameters: Sequence[Any], stopwatch: Stopwatch) -> list[Any]:
        async with self._lock:
            for listener in self._database.listeners:
                listener(sql, parameters)
            try:
                with stopwatch:
                    stopwatch.note(sql, parameters)
                    rows: list[Any] = await self._driver.fetch(sql, *parameters)
            except Exception as error:
                raise self._translated(error) from error
            stopwatch.rows += len(rows)
            return rows

    async def first(self, sql: str, *parameters: Any) -> Any:
        """The first row of a statement, or None."""
        rows = await self.fetch(sql, *parameters)
        return rows[0] if rows else None

    async def first_in_world(self, statement: Select[Any], key: Any) -> Any:
        """The first row, or None, of a SELECT by `key` among the rows that may be changed."""
        sql, names = text_in(self.changing, statement)
        parameters = {"key": key, OWN: self.viewer.own}
        return await self.first(sql, *(parameters[name] for name in names))

    async def copy(
        self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Copy rows into a table with COPY, which is faster than INSERT."""
        async with self._lock:
            try:
                with self._changes:
                    await self._driver.copy_records_to_table(table, columns=columns, records=rows)
            except Exception as error:
                raise self._translated(error) from error

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A savepoint: the changes of the block are rolled back if it raises a domain error."""
        await self.fetch("SAVEPOINT attempt")
        try:
            yield
        except DomainError:
            await self.fetch("ROLLBACK TO SAVEPOINT attempt")
            raise
        await self.fetch("RELEASE SAVEPOINT attempt")

    async def fetch_json(self, query: JsonQuery, values: Sequence[Value]) -> Sequence[bytes]:
        """As `Database.fetch_json`, after all changes so far."""
        most = self._database.max_answer_bytes
        statement = query.statement(json_function(self._driver), self.world, most)
        parameters = statement.parameters(values, self.viewer.own)
        (columns,) = await self._fetch(statement.sql, parameters, self._reads)
        return check_size(columns, most)

    async def explain(
        self, sql: str, parameters: Sequence[Any], *, analyze: bool
    ) -> tuple[list[str], Any]:
        """The types of a statement's parameters, and its plan with these values, as JSON.

        With `analyze` the statement runs; it must be a SELECT, and the transaction is read-only
        from now on.

        Raises:
            Unavailable, TimedOut, RetryableConflict: as `fetch`.
        """
        options = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
        async with self._lock:
            try:
                with self._reads:
                    await self._driver.execute("SET TRANSACTION READ ONLY")
                    prepared = await self._driver.prepare(f"EXPLAIN ({options}) {sql}", name="")
                    (plan,) = await prepared.fetchval(*parameters)
            except Exception as error:
                raise self._translated(error) from error
        return [type_.name for type_ in prepared.get_parameters()], plan

    async def commit(self) -> None:
        """Commit the changes.

        Raises:
            OutcomeUnknown: the connection was lost before the commit was confirmed.
            Unconfirmed: the task was cancelled meanwhile.
        """
        async with self._lock:
            try:
                await self._driver.execute("COMMIT")
            except asyncio.CancelledError as error:
                raise Unconfirmed from error
            except Exception as error:
                if self._driver.is_closed() or is_lost(error):
                    self._driver.terminate()
                    raise OutcomeUnknown from error
                raise self._translated(error) from error

    async def rollback(self) -> None:
        async with self._lock:
            if self._driver.is_in_transaction():
                try:
                    await self._driver.execute("ROLLBACK")
                except Exception as error:
                    raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, GraphError):
            return error
        original: Any = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(original, "sqlstate", None)
        if state in {_SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT} or is_outdated(error):
            return RetryableConflict()
        if (refusal := catalog.domain_error_of(original)) is not None:
            return refusal
        if self._driver.is_closed():  # PostgreSQL ends the connection with the transaction
            overdue = self._max_seconds and monotonic() - self._began >= self._max_seconds
            return TimedOut() if overdue else Unavailable()
        return self._database.failed(self._driver, error)


class LoadingTransaction(Transaction):
    """A transaction whose rows the loaders can read, too."""

    connection: AsyncConnection

    async def rows(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Run a SELECT of the loaders, as `ReadSession.rows`, after all changes so far."""
        async with self._lock:
            try:
                with self._reads:
                    result = await execute_in(
                        self.world,
                        self.connection,
                        statement,
                        parameters,
                        self.viewer.own,
                        stopwatch=self._reads,
                    )
                    rows = result.all()
            except Exception as error:
                raise self._translated(error) from error
        self._reads.rows += len(rows)
        return rows


@asynccontextmanager
async def transaction(
    database: Database,
    viewer: Viewer = SYSTEM,
    *,
    is_dry_run: bool = False,
    reads: Stopwatch | None = None,
    changes: Stopwatch | None = None,
    max_seconds: float | None = None,
) -> AsyncIterator[Transaction]:
    """A transaction on a connection of its own; its block commits.

    Raises:
        Unavailable: no connection is available.
    """
    changes = changes or Stopwatch()
    with changes.connecting():
        connection = await database.take()
    try:
        driver = connection.driver_connection
        running = Transaction(
            database, driver, viewer, reads=reads, changes=changes, max_seconds=max_seconds
        )
        async with _begun(running, driver, is_dry_run=is_dry_run):
            yield running
    finally:
        database.give(connection)


@asynccontextmanager
async def loading_transaction(
    database: Database,
    viewer: Viewer = SYSTEM,
    *,
    is_dry_run: bool = False,
    reads: Stopwatch | None = None,
    changes: Stopwatch | None = None,
    max_seconds: float | None = None,
) -> AsyncIterator[LoadingTransaction]:
    """As `transaction`, for loaders as well."""
    changes = changes or Stopwatch()
    try:
        with changes.connecting():
            connection = await database.autocommit.connect()
    except Exception as error:
        raise translated(error) from error
    try:
        driver = (await connection.get_raw_connection()).driver_connection
        running = LoadingTransaction(
            database, driver, viewer, reads=reads, changes=changes, max_seconds=max_seconds
        )
        running.connection = connection
        async with _begun(running, driver, is_dry_run=is_dry_run):
            yield running
    finally:
        await connection.close()


@asynccontextmanager
async def _begun(running: Transaction, driver: Any, *, is_dry_run: bool) -> AsyncIterator[None]:
    """The transaction from its beginning to its end.

    A connection on which it may not have ended is closed; the pool replaces it.
    """
    try:
        await running.begin(is_dry_run=is_dry_run)
        yield
        await running.rollback()
    except Exception:
        try:
            if driver.is_in_transaction():
                await driver.execute("ROLLBACK")
        except Exception:  # noqa: BLE001  it is lost: so is its transaction
            driver.terminate()
        raise
    except BaseException:
        # A task that is cancelled does not wait: PostgreSQL rolls back when the connection is gone.
        driver.terminate()
        raise
