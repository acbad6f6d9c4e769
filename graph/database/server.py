"""One PostgreSQL server: the pool of connections to it, and statements that need no session.

A single statement sees one snapshot. It needs neither a session nor a transaction, and goes
directly to the driver.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from graph.database.driver_errors import translated
from graph.database.plans import total_cost, without_values
from graph.database.pool import Pool
from graph.database.poolers import Connector
from graph.database.reads import check_size
from graph.database.stopwatch import Stopwatch
from graph.database.worlds import world_of
from graph.errors import Interrupted, ReadOnly
from graph.viewer import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy import URL
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import PoolProxiedConnection

    from graph.database.reads import JsonQuery, JsonStatement
    from graph.database.worlds import World
    from graph.selection import Value
    from graph.settings import Settings
    from graph.viewer import Viewer

# A kept statement costs each backend 0.2 to 0.8 MB, so their number is bounded by memory.
KEPT_STATEMENTS = 50

_VERSION_WITH_JSON_SCALAR = 17


class Server:
    """One pool. Its statements run each by itself."""

    _typed = staticmethod(translated)

    def __init__(self, engine: AsyncEngine, max_answer_bytes: int) -> None:
        self.engine = engine
        # PostgreSQL does not send the texts of a larger answer.
        self.max_answer_bytes = max_answer_bytes
        # Called with the SQL and the parameters of each statement that runs as text.
        self.listeners: list[Callable[[str, Sequence[Any]], None]] = []
        self._turn = asyncio.Lock()

    async def fetch_json(
        self,
        query: JsonQuery,
        values: Sequence[Value],
        viewer: Viewer = SYSTEM,
        stopwatch: Stopwatch | None = None,
        replayed: tuple[int | None, ...] = (),
    ) -> Sequence[bytes]:
        """Run the statement of a whole operation; return the JSON text of its root fields.

        `replayed` is not empty on a replica: the position in the log that it must have replayed,
        or None for any.

        Raises:
            Unavailable, TimedOut: as `ReadSession.rows`.
            AnswerTooLarge: the answer is larger than `max_answer_bytes`.
        """
        world = world_of(viewer)
        stopwatch = stopwatch or Stopwatch()
        connection: Any = self.pool.take_idle()
        if connection is None:
            with stopwatch.connecting():
                connection = await self.take()
        driver: Any = connection.driver_connection
        try:
            statement = query.compiled(world) or await self._compiled(query, driver, world)
            parameters = statement.parameters(values, viewer.own)
            if replayed:
                statement = statement.on_replica
                parameters += replayed
            with stopwatch:
                stopwatch.note(statement.sql, parameters)
                columns = await self._row(driver, statement, parameters)
            stopwatch.rows += 1
            return check_size(columns, self.max_answer_bytes)
        except Exception as error:
            raise self.failed(driver, error) from error
        finally:
            self.give(connection)

    async def planned_cost(
        self,
        query: JsonQuery | None,
        values: Sequence[Value],
        viewer: Viewer,
        stopwatch: Stopwatch,
    ) -> float:
        """The planner's estimate for `fetch_json` with these values, in its own units.

        Raises:
            Unavailable, TimedOut: as `ReadSession.rows`.
        """
        if query is None:
            return 0.0
        return total_cost((await self._planned(query, values, viewer, stopwatch))[0])

    async def explain(self, query: JsonQuery, values: Sequence[Value], viewer: Viewer) -> list[str]:
        """The plan for `fetch_json`, in lines, without the values; raises as `planned_cost`."""
        return without_values(await self._planned(query, values, viewer, Stopwatch()))

    async def _planned(
        self, query: JsonQuery, values: Sequence[Value], viewer: Viewer, stopwatch: Stopwatch
    ) -> list[str]:
        world = world_of(viewer)
        connection = await self.take()
        driver: Any = connection.driver_connection
        try:
            statement = query.compiled(world) or await self._compiled(query, driver, world)
            stopwatch.text = f"EXPLAIN {statement.sql}"
            with stopwatch:
                prepared = await driver.prepare(stopwatch.text, name="")
                plan = await prepared.fetch(*statement.parameters(values, viewer.own))
        except Exception as error:
            raise self.failed(driver, error) from error
        finally:
            self.give(connection)
        return [line for (line,) in plan]

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
        """Compile the statement of a query: one at a time, and others run between."""
        async with self._turn:
            await asyncio.sleep(0)
            return query.statement(json_function(driver), world, self.max_answer_bytes)

    async def take(self) -> ConnectionPoolEntry | PoolProxiedConnection:
        """A connection that leaves no transaction behind; return it with `give`.

        Raises:
            Unavailable: no connection is available.
        """
        try:
            return await self.pool.take() or await self.engine.raw_connection()
        except Exception as error:
            raise self._typed(error) from error

    def failed(self, driver: Any, error: Exception) -> Exception:
        """The typed error for one that a statement on a connection ended with.

        A connection that was lost, or that leads to a standby, is not used again. The pool opens
        another, which may reach the new primary; so it does for all those to a standby.
        """
        failure = self._typed(error)
        if isinstance(failure, Interrupted | ReadOnly):
            driver.terminate()
        if isinstance(failure, ReadOnly):
            self.pool.distrust()
        return failure

    def give(self, connection: ConnectionPoolEntry | PoolProxiedConnection) -> None:
        """Return a connection from `take`."""
        if isinstance(connection, ConnectionPoolEntry):
            self.pool.give(connection)
        else:
            connection.close()

    @property
    def pool(self) -> Pool:
        return self.engine.sync_engine.pool  # type: ignore[return-value]  # `pooled_engine`'s

    def _row(
        self, driver: Any, statement: JsonStatement, parameters: list[Any]
    ) -> Awaitable[Sequence[Any]]:
        """The row of a statement, which the backend keeps with its plan from the second run on.

        A flood of statements that are seen once leaves nothing behind. After five runs PostgreSQL
        may plan a kept statement for any values. For a filter across tables it guesses then how
        soon it will find the rows of a page, and is often wrong: such a statement is not kept.
        """
        for listener in self.listeners:
            listener(statement.sql, parameters)
        statement.runs += 1
        if statement.runs == 1 or statement.needs_values:
            return _row_once(driver, statement.sql, parameters)
        return driver.fetchrow(statement.sql, *parameters)  # type: ignore[no-any-return]


async def _row_once(driver: Any, sql: str, parameters: list[Any]) -> Any:
    prepared = await driver.prepare(sql, name="")
    return await prepared.fetchrow(*parameters)


def pooled_engine(
    url: str | URL, settings: Settings, max_temp_megabytes: int | None = None, **arguments: Any
) -> AsyncEngine:
    """An engine with a pool of ours; `arguments` are the driver's, beside those of the settings."""
    engine = create_async_engine(
        url,
        connect_args=connect_arguments(settings, max_temp_megabytes) | arguments,
        poolclass=Pool,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_timeout_seconds,
        pool_recycle=settings.pool_recycle_seconds,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    refuse_closed_connections(engine)
    return engine


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


def refuse_closed_connections(engine: AsyncEngine) -> None:
    """Make the pool replace dead connections.

    The driver knows at once that a connection is dead, so this costs no round trip. Otherwise the
    pool would hand it out again and again.
    """
    event.listen(engine.sync_engine, "checkout", _refuse_closed_connection)


def _refuse_closed_connection(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: object
) -> None:
    if connection.driver_connection.is_closed():
        raise DisconnectionError
