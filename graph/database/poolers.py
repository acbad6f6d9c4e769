"""Connections of the driver, opened so that no pooler in between can mix up two clients.

A pooler in transaction mode (PgBouncer, and others that work like it) lends a server connection for
one transaction, so two round trips of a client may meet two servers. A statement without a name
lives on one of them, until anybody there prepares another: a Bind that comes after the Sync of its
Parse gets the rows of somebody else's query. So with a pooler in between either

- the pooler tracks named statements (PgBouncer from 1.21 on, `max_prepared_statements`) and brings
  them to the server that is used next. Statements are kept as on a direct connection; one without a
  name is parsed again in the round trip that binds it.
- or no statement has a name, and each is parsed in the round trip that binds it. In session mode
  nothing else would be necessary, but nobody can tell that mode from the other by asking.

The driver sends a statement's Parse again, in front of its Bind, once it is marked as unprepared.
The first Parse, a round trip before, only serves to describe parameters and columns: these depend
on the text alone.

A pooler refuses start-up parameters that it does not know, or drops them if it is configured so.
`connect` then goes without them, and `lost_settings` finds which of them nobody has set instead.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.exceptions import (
    InsufficientPrivilegeError,
    PostgresError,
    ProtocolViolationError,
)
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

_STATEMENTS_DESCRIBED = 200

# Start-up parameters that every PgBouncer knows, and sets on the server that a client uses.
_TRACKED_SETTINGS = ("application_name", "timezone")
_UNSUPPORTED = "unsupported startup parameter"

_TRIES = 3
# A pooler makes up the process number of the server that it gives to a client.
_SERVER_PID = "SELECT pg_backend_pid()"
_OWN_NAME = "SELECT name FROM pg_prepared_statements WHERE name = '{0}' OR statement LIKE '%{0}%'"

_LOST = text("""
    SELECT name, value
    FROM unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS wanted(name, value)
    WHERE current_setting(name, true) IS DISTINCT FROM set_config(name, value, true)
""")


class Pooling(StrEnum):
    """What stands between the driver and PostgreSQL, as far as can be told."""

    NONE = "none"
    TRACKING = "tracking"  # transaction mode; named statements follow the client
    PLAIN = "plain"  # session mode, or transaction mode where no statement outlives a transaction


class _Tracked(asyncpg.Connection):  # type: ignore[misc]
    """Behind a pooler that tracks named statements, but none without a name."""

    async def prepare(self, query: str, *, name: str | None = None, **options: Any) -> Any:
        prepared = await super().prepare(query, name=name, **options)
        if name == "":
            prepared._state.mark_unprepared()  # noqa: SLF001  of a superclass's making
        return prepared


class _Nameless(asyncpg.Connection):  # type: ignore[misc]
    """Behind any other pooler. It is opened without a cache, and so without names.

    The descriptions of statements are kept, on this side only: what runs again is one round trip.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._described: OrderedDict[str, Any] = OrderedDict()

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        return await self._run("fetch", query, args, options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        return await self._run("fetchrow", query, args, options)

    async def _run(
        self, method: str, query: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        prepared = self._described.pop(query, None) or await self.prepare(query)
        try:
            rows = await getattr(prepared, method)(*args, **options)
        except asyncpg.InterfaceError:
            # Nothing was sent, so the server still waits for the end of what described the
            # statement, and the pooler cannot lend it to others.
            await self.execute("")
            raise
        # Not where it failed: a column may have another type than when it was described.
        self._described[query] = prepared
        if len(self._described) > _STATEMENTS_DESCRIBED:
            self._described.popitem(last=False)
        return rows


_CLASSES: dict[Pooling, type[Any]] = {
    Pooling.NONE: asyncpg.Connection,
    Pooling.TRACKING: _Tracked,
    Pooling.PLAIN: _Nameless,
}


class Connector:
    """Opens connections of the driver. What the last one met is expected of the next."""

    def __init__(self, max_temp_megabytes: int | None = None) -> None:
        self._expected = Pooling.NONE
        self._drops_settings = False
        # None once the role was not allowed to set it: superusers and roles with a GRANT are.
        self._max_temp_megabytes = max_temp_megabytes

    async def __call__(self, **arguments: Any) -> Any:
        """Open a connection: the arguments are those of `asyncpg.connect`.

        Raises:
            OSError, PostgresError: it cannot be opened.
            ConnectionError: the way to the server changed at each try.
        """
        for _ in range(_TRIES):
            tried = self._expected
            connection = await self._open(tried, arguments)
            try:
                self._expected = await _detect(connection)
            except BaseException:
                connection.terminate()
                raise
            if self._expected is tried:
                return await self._with_temp_limit(connection)
            await connection.close()
        raise ConnectionError("the database is reached in another way each time")

    async def _with_temp_limit(self, connection: Any) -> Any:
        """Bound the temporary files of each statement; through a pooler it would bind others."""
        if self._max_temp_megabytes is not None and self._expected is Pooling.NONE:
            limit = f"{self._max_temp_megabytes}MB"
            try:
                await connection.execute(f"SET temp_file_limit = '{limit}'")
            except InsufficientPrivilegeError:
                self._max_temp_megabytes = None
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _open(self, pooling: Pooling, arguments: dict[str, Any]) -> Any:
        more: dict[str, Any] = {"connection_class": _CLASSES[pooling]}
        if pooling is Pooling.PLAIN:
            more["statement_cache_size"] = 0
        if not self._drops_settings:
            try:
                return await asyncpg.connect(**(arguments | more))
            except ProtocolViolationError as error:
                if _UNSUPPORTED not in str(error):
                    raise
                self._drops_settings = True
        known = {name: arguments["server_settings"][name] for name in _TRACKED_SETTINGS}
        return await asyncpg.connect(**(arguments | more | {"server_settings": known}))


def pooling_of(driver: Any) -> Pooling:
    """What stands in front of the server of this connection."""
    return next(pooling for pooling, class_ in _CLASSES.items() if type(driver) is class_)


async def server_pid(driver: Any) -> int:
    """The process that serves the connection now, asked in one message, whatever is in between."""
    parts: list[bytes] = []

    async def collect(data: bytes) -> None:
        parts.append(data)

    await driver.copy_from_query(_SERVER_PID, output=collect)
    return int(b"".join(parts))


async def shares_servers(engine: AsyncEngine, driver: Any) -> bool:
    """Whether the pooler lends a server for one transaction: two clients in turn have the same one.

    A busy pooler in transaction mode can give them two by chance, and is then taken for one in
    session mode.
    """
    pooling = pooling_of(driver)
    if pooling is not Pooling.PLAIN:
        return pooling is Pooling.TRACKING
    _, arguments = engine.dialect.create_connect_args(engine.url)
    other = await asyncpg.connect(**arguments, statement_cache_size=0)
    try:
        servers = [await server_pid(each) for each in (driver, other, driver)]
    finally:
        await other.close()
    return servers[0] != servers[2] or servers[0] == servers[1]


def lost_settings(connection: Connection, wanted: Mapping[str, str]) -> dict[str, str]:
    """Which settings do not hold, though the connection was opened with them."""
    names, values = list(wanted), list(wanted.values())
    rows = connection.execute(_LOST, {"names": names, "values": values})
    return {row.name: row.value for row in rows}


async def _detect(connection: Any) -> Pooling:
    if await server_pid(connection) == connection.get_server_pid():
        return Pooling.NONE
    return Pooling.TRACKING if await _tracks_names(connection) else Pooling.PLAIN


async def _tracks_names(connection: Any) -> bool:
    """Whether a named statement has another name on the server: its pooler's.

    All of it is one transaction, on one server, where nothing is left.
    """
    name = f"graph_{secrets.token_hex(8)}"
    await connection.execute("BEGIN")
    try:
        prepared = await connection.prepare(_OWN_NAME.format(name), name=name)
        found: str | None = await prepared.fetchval()
        if found == name:
            await connection.execute(f"DEALLOCATE {name}")
    except PostgresError:
        return False  # a pooler that allows none
    finally:
        await connection.execute("ROLLBACK")
    return found is not None and found != name
