"""Connections to PostgreSQL: one pool, and two kinds of sessions.

A *read session* serves one operation: it takes one connection at the first statement, and sees one
snapshot until it is closed, so that a nested answer is consistent. A *write session* is one
transaction for the ORM: committed when its block ends, rolled back when it raises. Mutations use a
`Transaction` (`graph.database.transaction`), which talks to the driver directly.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry

from graph.database.driver_errors import translated
from graph.database.pool import Pool
from graph.database.poolers import Connector
from graph.database.readiness import Readiness
from graph.database.reads import check_size
from graph.database.stopwatch import Stopwatch
from graph.database.table_sizes import TableSizes
from graph.database.worlds import OWN, dialect_in, world_of
from graph.errors import Interrupted, ReadOnly
from graph.viewer import SYSTEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.pool import PoolProxiedConnection

    from graph.database.reads import JsonQuery, JsonStatement
    from graph.database.worlds import World
    from graph.selection import Value
    from graph.settings import Settings
    from graph.viewer import Viewer

Row: TypeAlias = sqlalchemy.Row[Any]

# A kept statement costs each backend 0.2 to 0.8 MB, so their number is bounded by memory.
KEPT_STATEMENTS = 50

_VERSION_WITH_JSON_SCALAR = 17

# In the first line of a plan.
_TOTAL_COST = re.compile(r"cost=[0-9.]+?\.\.([0-9.]+)")


class ReadSession:
    """The session of one operation; it runs its statements one after another.

    Two tasks must not use an `AsyncSession` at once, and the resolvers of an operation are many
    tasks: hence the lock.
    """

    def __init__(
        self,
        session: AsyncSession,
        viewer: Viewer,
        stopwatch: Stopwatch,
        max_answer_bytes: int,
    ) -> None:
        self.max_answer_bytes = max_answer_bytes
        self._session = session
        self._stopwatch = stopwatch
        self._lock = asyncio.Lock()
        self.world = world_of(viewer)
        self._own = viewer.own

    async def rows(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Run a SELECT; return all of its rows.

        Raises:
            Unavailable: the database cannot be reached, or no connection is available.
            TimedOut: the statement ran longer than `statement_timeout_seconds`.
        """
        async with self._lock:
            connection = await self._connection()  # the wait for one does not count
            try:
                with self._stopwatch:
                    found = await execute_in(
                        self.world,
                        connection,
                        statement,
                        parameters,
                        self._own,
                        stopwatch=self._stopwatch,
                    )
                    return found.all()
            except Exception as error:
                raise await self._failed(connection, error) from error

    async def fetch_json(self, query: JsonQuery, values: Sequence[Value]) -> Sequence[bytes]:
        """As `Database.fetch_json`, within the session's snapshot."""
        async with self._lock:
            connection = await self._connection()
            try:
                driver = (await connection.get_raw_connection()).driver_connection
                statement = query.statement(
                    json_function(driver), self.world, self.max_answer_bytes
                )
                parameters = tuple(statement.parameters(values, self._own))
                with self._stopwatch:
                    self._stopwatch.note(statement.sql, parameters)
                    columns = (await connection.exec_driver_sql(statement.sql, parameters)).one()
                return check_size(columns, self.max_answer_bytes)
            except Exception as error:
                raise await self._failed(connection, error) from error

    async def _connection(self) -> AsyncConnection:
        try:
            with self._stopwatch.connecting():
                return await self._session.connection()
        except Exception as error:
            raise translated(error) from error

    async def _failed(self, connection: AsyncConnection, error: Exception) -> Exception:
        """As `Database.failed`; but a change is refused here by the session, so it is a defect."""
        failure = translated(error)
        if isinstance(failure, ReadOnly):
            return error
        if isinstance(failure, Interrupted) and not connection.invalidated:
            await connection.invalidate()
        return failure

    async def close(self) -> None:
        await self._session.close()


class WriteSession(AsyncSession):
    """One transaction that may change the store. Its block must not commit."""


class Database:
    """The pool and its sessions. One per application."""

    def __init__(self, engine: AsyncEngine, spare: AsyncEngine, max_answer_bytes: int) -> None:
        self.engine = engine
        # PostgreSQL does not send the texts of a larger answer.
        self.max_answer_bytes = max_answer_bytes
        # Of a `Transaction`, which begins and ends by itself.
        self.autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        # Called with the SQL and the parameters of each statement that runs as text.
        self.listeners: list[Callable[[str, Sequence[Any]], None]] = []
        snapshot = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._read = async_sessionmaker(snapshot, autoflush=False, expire_on_commit=False)
        self._write = async_sessionmaker(engine, class_=WriteSession, expire_on_commit=False)
        self._readiness = Readiness(spare)
        self.sizes = TableSizes(spare)
        self._turn = asyncio.Lock()

    @classmethod
    def connect(cls, settings: Settings, *, max_temp_megabytes: int | None = None) -> Self:
        """A pool for `settings.database_url`. The first statement opens the first connection.

        `max_temp_megabytes` bounds the temporary files of a statement, where the role may do so.
        """
        assert settings.database_url is not None  # noqa: S101  embedded has been resolved by now
        engine = create_async_engine(
            settings.database_url.get_secret_value(),
            connect_args=connect_arguments(settings, max_temp_megabytes),
            poolclass=Pool,
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_seconds,
            pool_recycle=settings.pool_recycle_seconds,
            pool_use_lifo=True,
            hide_parameters=True,
        )
        spare = create_async_engine(
            engine.url,
            connect_args=connect_arguments(settings),
            pool_size=1,
            max_overflow=0,
            hide_parameters=True,
        )
        for each in (engine, spare):
            event.listen(each.sync_engine, "checkout", _refuse_closed_connection)
        return cls(engine, spare, settings.max_answer_bytes)

    def read(self, viewer: Viewer = SYSTEM, stopwatch: Stopwatch | None = None) -> ReadSession:
        """The session of one operation, in the viewer's world."""
        return ReadSession(self._read(), viewer, stopwatch or Stopwatch(), self.max_answer_bytes)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        async with self._write() as session, session.begin():
            yield session

    async def fetch_json(
        self,
        query: JsonQuery,
        values: Sequence[Value],
        viewer: Viewer = SYSTEM,
        stopwatch: Stopwatch | None = None,
    ) -> Sequence[bytes]:
        """Run the statement of a whole operation; return the JSON text of its root fields.

        One statement sees one snapshot. It needs neither a session nor a transaction, and goes
        directly to the driver.

        Raises:
            Unavailable, TimedOut: as `ReadSession.rows`.
            AnswerTooLarge: the answer is larger than `max_answer_bytes`.
        """
        stopwatch = stopwatch or Stopwatch()
        with stopwatch.connecting():
            connection = await self.take()
        driver: Any = connection.driver_connection
        try:
            statement = await self._compiled(query, driver, world_of(viewer))
            parameters = statement.parameters(values, viewer.own)
            with stopwatch:
                stopwatch.note(statement.sql, parameters)
                columns = await self._fetch(driver, statement, parameters)
            return check_size(columns, self.max_answer_bytes)
        except Exception as error:
            raise self.failed(driver, error) from error
        finally:
            self.give(connection)

    async def planned_cost(
        self, query: JsonQuery | None, values: Sequence[Value], viewer: Viewer, stopwatch: Stopwatch
    ) -> float:
        """The planner's estimate for `fetch_json` with these values, in its own units.

        Raises:
            Unavailable, TimedOut: as `ReadSession.rows`.
        """
        if query is None:
            return 0.0
        connection = await self.take()
        driver: Any = connection.driver_connection
        try:
            statement = await self._compiled(query, driver, world_of(viewer))
            with stopwatch:
                prepared = await driver.prepare(f"EXPLAIN {statement.sql}", name="")
                plan = await prepared.fetchval(*statement.parameters(values, viewer.own))
        except Exception as error:
            raise self.failed(driver, error) from error
        finally:
            self.give(connection)
        cost = _TOTAL_COST.search(plan)
        return float(cost[1]) if cost else 0.0

    async def first(self, sql: str, *parameters: Any) -> Any:
        """The first row, or None, of a statement that is a transaction of its own.

        Raises:
            Unavailable, TimedOut: as `ReadSession.rows`.
        """
        return next(iter(await self.all(sql, *parameters)), None)

    async def all(self, sql: str, *parameters: Any) -> Sequence[Any]:
        """All rows; see `first`."""
        connection = await self.take()
        driver: Any = connection.driver_connection
        try:
            for listener in self.listeners:
                listener(sql, parameters)
            return cast("Sequence[Any]", await driver.fetch(sql, *parameters))
        except Exception as error:
            raise self.failed(driver, error) from error
        finally:
            self.give(connection)

    async def _compiled(self, query: JsonQuery, driver: Any, world: World) -> JsonStatement:
        """The statement of a query. New ones are compiled one at a time, and others run between."""
        if query.is_compiled(world):
            return query.statement(json_function(driver), world, self.max_answer_bytes)
        async with self._turn:
            await asyncio.sleep(0)
            return query.statement(json_function(driver), world, self.max_answer_bytes)

    async def take(self) -> ConnectionPoolEntry | PoolProxiedConnection:
        """A connection that leaves no transaction behind; return it with `give`.

        Raises:
            Unavailable: no connection is available.
        """
        try:
            return await cast("Pool", self.engine.pool).take() or await self.engine.raw_connection()
        except Exception as error:
            raise translated(error) from error

    def failed(self, driver: Any, error: Exception) -> Exception:
        """The typed error for one that a statement on a connection ended with.

        A connection that was lost, or that leads to a standby, is not used again. The pool opens
        another, which may reach the new primary; so it does for all those to a standby.
        """
        failure = translated(error)
        if isinstance(failure, Interrupted | ReadOnly):
            driver.terminate()
        if isinstance(failure, ReadOnly):
            cast("Pool", self.engine.pool).distrust()
        return failure

    def give(self, connection: ConnectionPoolEntry | PoolProxiedConnection) -> None:
        """Return a connection from `take`."""
        if isinstance(connection, ConnectionPoolEntry):
            cast("Pool", self.engine.pool).give(connection)
        else:
            connection.close()

    async def _fetch(self, driver: Any, statement: JsonStatement, parameters: list[Any]) -> Any:
        for listener in self.listeners:
            listener(statement.sql, parameters)
        statement.runs += 1
        # SegmentedLRU by the backend, with its plan, from the second time on: a flood of
        # statements that are seen once leaves nothing behind.
        if statement.runs > 1:
            return await driver.fetchrow(statement.sql, *parameters)
        prepared = await driver.prepare(statement.sql, name="")
        return await prepared.fetchrow(*parameters)

    async def check_ready(self) -> None:
        """Check that the store can be used, on a connection that no operation uses.

        Raises:
            Unavailable: the database cannot be reached, or is not at the head revision.
            ReadOnly: it is a standby.
        """
        await self._readiness.check()

    async def close(self) -> None:
        await self.sizes.close()
        await self._readiness.close()
        await self.engine.dispose()


async def execute_in(
    world: World,
    connection: AsyncConnection,
    statement: Executable,
    parameters: Mapping[str, Any],
    own: Any,
    *,
    stopwatch: Stopwatch,
) -> CursorResult[Any]:
    """Run a SELECT in a world; `own` is the key of the viewer's own row."""
    written: Any = connection.sync_connection
    written.dialect = dialect_in(world, connection.engine.dialect)
    result = await connection.execute(statement, {**parameters, OWN: own})
    context: Any = result.context
    stopwatch.note(context.statement, context.parameters[0])
    return result


def json_function(driver: Any) -> str:
    """The SQL function that turns a scalar into JSON: `json_scalar` from PostgreSQL 17 on."""
    old = driver.get_server_version().major < _VERSION_WITH_JSON_SCALAR
    return "to_json" if old else "json_scalar"


def connect_arguments(settings: Settings, max_temp_megabytes: int | None = None) -> dict[str, Any]:
    """The driver's arguments for each connection; a reset in the pool returns to these settings."""
    return {
        "timeout": settings.connect_timeout_seconds,
        "prepared_statement_cache_size": KEPT_STATEMENTS,
        "statement_cache_size": KEPT_STATEMENTS,
        "max_cacheable_statement_size": 0,  # no limit: a wide operation is a long text
        "server_settings": {"application_name": "graph", **server_settings(settings)},
        "async_creator_fn": Connector(max_temp_megabytes),
    }


def server_settings(settings: Settings) -> dict[str, str]:
    """What PostgreSQL must be set to for each of our connections."""
    return {
        "timezone": "UTC",
        "statement_timeout": str(round(settings.statement_timeout_seconds * 1000)),
        "jit": "off",
        "random_page_cost": "1.1",
        "max_parallel_workers_per_gather": "0",
    }


def _refuse_closed_connection(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: object
) -> None:
    """Make the pool replace a dead connection.

    The driver knows at once that a connection is dead, so this costs no round trip. Otherwise the
    pool would hand it out again and again.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError
