"""Connects a command to its database: that of GRAPH_DATABASE_URL, or the embedded one."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy import exists, or_, select, text

from graph.database import webhooks
from graph.database.catalog import catalog
from graph.database.embedded import kept_running, running_cluster
from graph.database.engine import Database
from graph.database.log_state import log_lines
from graph.database.poolers import Pooling, lost_settings, pooling_of, shares_servers
from graph.database.relationships import mappers
from graph.database.replica_state import replica_lines
from graph.database.revisions import applied_revision, head_revision, is_served
from graph.database.server import server_settings
from graph.database.server_state import server_lines
from graph.errors import DatabaseUnreachable, DatabaseUnsuitable, PendingMigrations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection

    from graph.settings import Settings

_OLDEST_VERSION = 15

_ASCII_ONLY = (
    "LC_CTYPE knows upper and lower case of ASCII only: eqIgnoreCase, its kin and look-ups by"
    " e-mail address take É and é for two letters (a search does not)."
    " CREATE DATABASE ... LOCALE 'C.UTF-8' TEMPLATE template0"
)

# From this share on there is time for a migration still, but not much reason to wait.
_WARN_FROM_SHARE = 0.5
# By the sequence's own end; one that begins anew there has none. An integer key's has it at 2**31.
_SEQUENCES = """
    SELECT sequencename AS name, coalesce(last_value, min_value - 1) AS last, max_value AS most,
           CAST((coalesce(last_value, min_value - 1) - min_value + 1)
                / (CAST(max_value AS numeric) - min_value + 1) AS double precision) AS share
    FROM pg_sequences WHERE schemaname = current_schema() AND NOT cycle AND increment_by > 0
    ORDER BY share DESC, name
"""
_TRACKING_HINT = (
    "statements are parsed and planned each time: transaction mode with max_prepared_statements"
    " (PgBouncer 1.21) would spare that"
)

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
        DatabaseUnreachable: nobody answers there, or refuses to let graph in.
        DatabaseUnsuitable: an old PostgreSQL, one that does not store UTF-8, a pooler in front
            that drops settings which nobody made for the role or the database, or replicas
            of a primary that does not wait for commits to be flushed.
    """
    try:
        database = Database.connect(settings)
    except Exception as error:
        raise DatabaseUnreachable(settings.database_address, _reason(error)) from error
    try:
        try:
            async with database.engine.connect() as connection:
                await connection.run_sync(_check_suitable)
                if settings.replica_urls:
                    await connection.run_sync(_check_commits)
                await connection.run_sync(_check_settings, server_settings(settings))
        except (DatabaseUnsuitable, GeneratorExit):
            raise
        except Exception as error:
            raise DatabaseUnreachable(settings.database_address, _reason(error)) from error
        yield database
    finally:
        await database.close()


async def role_of(database: Database) -> str:
    """The role with whose privileges commands run, quoted where SQL needs that."""
    async with database.engine.connect() as connection:
        return str(await connection.scalar(text("SELECT quote_ident(current_user)")))


async def check_migrated(database: Database) -> None:
    """Check that the database is at a revision that this code works on.

    Raises:
        PendingMigrations: it is at an earlier revision, at none, or at one that does not serve it.
    """
    if not await _is_served(database):
        raise PendingMigrations(await _revision(database), head_revision())


async def is_migrated(database: Database) -> bool:
    """Whether there is nothing to apply."""
    return await _is_served(database) and (await _revision(database) or "") >= head_revision()


async def is_empty(database: Database) -> bool:
    """Whether no entity has a row."""
    async with database.engine.connect() as connection:
        found = or_(*(exists().select_from(entity) for entity in mappers(catalog.models).values()))
        return not await connection.scalar(select(found))


@dataclass(frozen=True)
class StoreState:
    lines: tuple[str, ...]
    can_be_served: bool


async def state_of(database: Database, settings: Settings, workers: int = 1) -> StoreState:
    """The state of a database, for `graph doctor`, and for so many workers."""
    revision, head = await _revision(database), head_revision()
    served = await _is_served(database)
    async with database.engine.connect() as connection:
        version = await connection.scalar(text("SHOW server_version"))
        rules = await connection.scalar(text("SHOW is_superuser"))
        folds = await connection.scalar(text("SELECT lower('ÄЖΩ') = 'äжω'"))
        # The function comes with a revision.
        search_folds = text("SELECT graph_lower('ÄЖΩ') = 'äжω'")
        searches = not served or await connection.scalar(search_folds)
        used = (await connection.execute(text(_SEQUENCES))).all()
        server = await connection.run_sync(
            lambda sync: list(server_lines(sync, settings, workers, is_migrated=served))
        )
    lines = [f"PostgreSQL {version}, at revision {revision or 'none'} of {head}"]
    lines += await _pooler(database)
    lines += await replica_lines(database)
    if not served:
        lines.append("it cannot be served as it is: graph migrate")
    elif revision != head:
        lines.append(f"this version of graph works on {revision} too")
    lines += [_sequence_line(*each) for each in used]
    if served and catalog.log is not None:
        lines += await log_lines(database, catalog.log)
        lines += [f"Danger: {each}" for each in await webhooks.problems(database)]
    lines += server
    if not folds:
        lines.append(_ASCII_ONLY)
    if not searches:
        lines.append("no collation knows all letters, so that a search takes É and é for two")
    if rules == "on" and settings.database_url is not None:
        lines.append("graph signs in as a superuser; the owner of the tables would do")
    return StoreState(tuple(lines), served)


def _sequence_line(name: str, last: int, most: int, share: float) -> str:
    line = f"sequence {name} has come to {last:,} of {most:,} ({share:.1%})"
    if share < _WARN_FROM_SHARE:
        return line
    return f"Danger: {line}; when it is used up, no row can be added"


async def _pooler(database: Database) -> list[str]:
    """What stands in front of PostgreSQL."""
    async with database.autocommit.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        shares = await shares_servers(database.engine, driver)
    pooling = pooling_of(driver)
    if pooling is Pooling.NONE:
        return []
    if pooling is Pooling.TRACKING:
        return ["a pooler in transaction mode stands in front; it tracks prepared statements"]
    mode = "transaction mode" if shares else "session mode, as it seems,"
    return [f"a pooler in {mode} stands in front; no statement stays prepared", _TRACKING_HINT]


async def _is_served(database: Database) -> bool:
    async with database.engine.connect() as connection:
        return await connection.run_sync(is_served)


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


def _check_commits(connection: Connection) -> None:
    """Check that what others see was flushed: so far a consistency token reaches."""
    if connection.scalar(text("SHOW synchronous_commit")) == "off":
        raise DatabaseUnsuitable(
            "synchronous_commit is off, and GRAPH_REPLICA_URLS is set: a client could miss its own"
            " changes on a replica. Set it to on, for the role or the database"
        )


def _check_settings(connection: Connection, wanted: dict[str, str]) -> None:
    lost = lost_settings(connection, wanted)
    if not lost:
        return
    role, database = connection.execute(
        text("SELECT quote_ident(current_user), quote_ident(current_database())")
    ).one()
    commands = "; ".join(
        f"ALTER ROLE {role} IN DATABASE {database} SET {name} = '{value}'"
        for name, value in lost.items()
    )
    raise DatabaseUnsuitable(
        f"a pooler drops the settings {', '.join(lost)}. Let PostgreSQL make them, then send"
        f" RECONNECT to the pooler: {commands}"
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
