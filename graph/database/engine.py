"""The primary's database: its pool, and two kinds of sessions.

A *read session* serves one operation: it takes one connection at the first statement, and sees one
snapshot until it is closed, so that a nested answer is consistent. A *write session* is one
transaction for the ORM: committed when its block ends, rolled back when it raises. Mutations use a
`Transaction` (`graph.database.transaction`), which talks to the driver directly.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import sqlalchemy
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from graph.database.driver_errors import translated
from graph.database.readiness import Readiness
from graph.database.reads import check_size
from graph.database.replicas import FreshReader, Replicas
from graph.database.server import (
    Server,
    connect_arguments,
    json_function,
    pooled_engine,
    refuse_closed_connections,
)
from graph.database.stopwatch import Stopwatch
from graph.database.table_sizes import TableSizes
from graph.database.worlds import OWN, dialect_in, world_of
from graph.errors import Interrupted, ReadOnly
from graph.telemetry import steps
from graph.viewer import SYSTEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graph.database.consistency import ConsistencyToken
    from graph.database.reads import JsonQuery
    from graph.database.replicas import Reader
    from graph.database.worlds import World
    from graph.selection import Value
    from graph.settings import Settings
    from graph.viewer import Viewer

Row: TypeAlias = sqlalchemy.Row[Any]


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
            if steps.get() is not None:
                self._stopwatch.text = str(statement)
            try:
                with self._stopwatch:
                    result = await execute_in(
                        self.world,
                        connection,
                        statement,
                        parameters,
                        self._own,
                        stopwatch=self._stopwatch,
                    )
                    rows = result.all()
            except Exception as error:
                raise await self._failed(connection, error) from error
        self._stopwatch.rows += len(rows)
        return rows

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
                self._stopwatch.rows += 1
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


class Database(Server):
    """The primary, and the sessions on it. One per application."""

    def __init__(self, engine: AsyncEngine, spare: AsyncEngine, max_answer_bytes: int) -> None:
        super().__init__(engine, max_answer_bytes)
        # Of a `Transaction`, which begins and ends by itself.
        self.autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        snapshot = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._read = async_sessionmaker(snapshot, autoflush=False, expire_on_commit=False)
        self._read_once = async_sessionmaker(
            self.autocommit, autoflush=False, expire_on_commit=False
        )
        self._write = async_sessionmaker(engine, class_=WriteSession, expire_on_commit=False)
        self._readiness = Readiness(spare)
        self.sizes = TableSizes(spare)
        self.replicas: Replicas | None = None

    @classmethod
    def connect(cls, settings: Settings, *, max_temp_megabytes: int | None = None) -> Self:
        """A pool for `settings.database_url`. The first statement opens the first connection.

        `max_temp_megabytes` bounds the temporary files of a statement, where the role may do so.
        """
        assert settings.database_url is not None  # noqa: S101  embedded has been resolved by now
        # Whoever reads from replicas must know that this is none.
        primary = {"target_session_attrs": "primary"} if settings.replica_urls else {}
        engine = pooled_engine(
            settings.database_url.get_secret_value(), settings, max_temp_megabytes, **primary
        )
        spare = create_async_engine(
            engine.url,
            connect_args=connect_arguments(settings) | primary,
            pool_size=1,
            max_overflow=0,
            hide_parameters=True,
        )
        refuse_closed_connections(spare)
        database = cls(engine, spare, settings.max_answer_bytes)
        if settings.replica_urls:
            database.replicas = Replicas.connect(database, settings, max_temp_megabytes)
        return database

    def read(
        self, viewer: Viewer = SYSTEM, stopwatch: Stopwatch | None = None, *, once: bool = False
    ) -> ReadSession:
        """The session of one operation, in the viewer's world.

        One that reads `once` needs no transaction: its only statement sees one snapshot.
        """
        session = self._read_once() if once else self._read()
        return ReadSession(session, viewer, stopwatch or Stopwatch(), self.max_answer_bytes)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        async with self._write() as session, session.begin():
            yield session

    def reader(self, token: ConsistencyToken | None) -> Reader:
        """What answers compiled reads that must see what a token stands for."""
        return self if self.replicas is None else FreshReader(self.replicas, token)

    @property
    def can_read_elsewhere(self) -> bool:
        """Whether replicas answer reads while the primary is away."""
        return self.replicas is not None and self.replicas.can_be_read

    async def check_ready(self) -> None:
        """Check that the store can be used, on a connection that no operation uses.

        Raises:
            Unavailable, WrongRevision, ReadOnly: as `Readiness.check`.
        """
        await self._readiness.check()

    async def close(self) -> None:
        if self.replicas is not None:
            await self.replicas.close()
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
