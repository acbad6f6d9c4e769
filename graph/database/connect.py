"""Connects a command to its database: that of GRAPH_DATABASE_URL, or the embedded one."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy import exists, or_, select, text

from graph.database.catalog import catalog
from graph.database.embedded import kept_running, running_cluster
from graph.database.engine import Database
from graph.database.relationships import mappers
from graph.database.revisions import applied_revision, head_revision
from graph.errors import DatabaseUnreachable, DatabaseUnsuitable, PendingMigrations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection

    from graph.settings import Settings

_OLDEST_VERSION = 15

# The parameters of a URL become keyword arguments of the driver.
_UNKNOWN_PARAMETER = "connect() got an unexpected keyword argument"


@contextmanager
def reachable_store(settings: Settings) -> Iterator[Settings]:
    """Settings with a database URL.

    Without one, the embedded PostgreSQL runs until the block ends.
    """
    if settings.database_url is not None:
        yield settings
        return
    with running_cluster(settings.data_dir) as cluster, kept_running(cluster):
        yield settings.model_copy(update={"database_url": SecretStr(cluster.url())})


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Database]:
    """The database, after a check that graph can run on it.

    Raises:
        DatabaseUnreachable: no connection can be made.
        DatabaseUnsuitable: PostgreSQL is too old, or does not store UTF-8.
    """
    try:
        database = Database.connect(settings)
    except Exception as error:
        raise DatabaseUnreachable(settings.database_address, _reason(error)) from error
    try:
        try:
            async with database.engine.connect() as connection:
                await connection.run_sync(_check_suitable)
        except (DatabaseUnsuitable, GeneratorExit):
            raise
        except Exception as error:
            raise DatabaseUnreachable(settings.database_address, _reason(error)) from error
        yield database
    finally:
        await database.close()


async def check_migrated(database: Database) -> None:
    """Check that the database is at the revision that this code needs.

    Raises:
        PendingMigrations: it is at an earlier revision, at none, or at an unknown one.
    """
    revision = await _revision(database)
    if revision != head_revision():
        raise PendingMigrations(revision, head_revision())


async def is_migrated(database: Database) -> bool:
    return await _revision(database) == head_revision()


async def is_empty(database: Database) -> bool:
    """Whether no entity has a row."""
    async with database.engine.connect() as connection:
        found = or_(*(exists().select_from(entity) for entity in mappers(catalog.models).values()))
        return not await connection.scalar(select(found))


@dataclass(frozen=True)
class StoreState:
    lines: tuple[str, ...]
    can_be_served: bool


async def state_of(database: Database, settings: Settings) -> StoreState:
    """The state of a database, for `graph doctor`."""
    revision, head = await _revision(database), head_revision()
    async with database.engine.connect() as connection:
        version = await connection.scalar(text("SHOW server_version"))
        most = int(await connection.scalar(text("SHOW max_connections")) or 0)
        rules = await connection.scalar(text("SHOW is_superuser"))
    lines = [f"PostgreSQL {version}, at revision {revision or 'none'} of {head}"]
    if revision != head:
        lines.append("it cannot be served as it is: graph migrate")
    if settings.pool_size > most:
        lines.append(f"it takes {most} connections, less than GRAPH_POOL_SIZE")
    if rules == "on" and settings.database_url is not None:
        lines.append("graph signs in as a superuser; the owner of the tables would do")
    return StoreState(tuple(lines), revision == head)


async def _revision(database: Database) -> str | None:
    async with database.engine.connect() as connection:
        return await connection.run_sync(applied_revision)


def _check_suitable(connection: Connection) -> None:
    version = connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))
    if version < _OLDEST_VERSION:
        raise DatabaseUnsuitable(
            f"the database is PostgreSQL {version}; graph needs {_OLDEST_VERSION} or newer."
        )
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise DatabaseUnsuitable(
            f"the database stores text as {encoding}; graph needs UTF8."
            " Create it anew: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )


def _reason(error: Exception) -> str:
    """The reason why a connection failed, in one line, without Python's class names."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, TimeoutError):
        return "no answer in time"
    if isinstance(original, OSError) and original.errno and original.errno > 0:
        return os.strerror(original.errno)
    if isinstance(original, OSError) and original.strerror:
        return original.strerror
    text_ = str(original) or type(original).__name__
    text_ = text_.replace(_UNKNOWN_PARAMETER, "the URL has a parameter that is not known:")
    return text_.splitlines()[0].rstrip(".")
