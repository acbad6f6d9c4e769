"""Bring a database to a revision, up or down.

Each migration is a transaction of its own, together with the revision that it leads to. One that
works on a table while others use it (`graph.database.online`) leaves that transaction, does its
work in many short ones, and can be run again after an interruption: it goes on where it ended.

A lock that others hold is given up soon and tried again (`Waiting`): nobody queues behind it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text

from graph.database.effects import Step
from graph.database.poolers import shares_servers
from graph.database.retyping.locks import Waiting, patiently, set_waiting
from graph.database.revisions import ENGINE, store
from graph.errors import InvalidSetting, MigrationRefused, PendingMigrations

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graph.database.engine import Database
    from graph.database.revisions import Chain

logger = logging.getLogger(__name__)

# Any number will do, as long as every process that migrates takes the same.
_ADVISORY_LOCK = 0x67726170
_POLL_SECONDS = 0.1


async def migrate(
    database: Database, to: str = "head", waiting: Waiting | None = None
) -> tuple[str | None, str | None]:
    """Bring the database to revision `to`; return the revisions before and after.

    Two processes that migrate at once take turns: the second finds nothing left to do. The lock
    and the settings are the session's, and an index that is built while others write is built in no
    transaction: a pooler in front must give out whole sessions.

    Raises:
        InvalidSetting: there is no such revision.
        PendingMigrations: the database is at a revision of a newer version of graph, which does
            not serve this one.
        MigrationRefused: the rows do not allow it, others hold a table for too long, or a pooler
            in front gives out no sessions.
    """
    await _check_session(database)
    async with database.engine.connect() as connection:
        try:
            await _take_turn(connection)
            # A large table's migration may outlast any statement timeout.
            await connection.execute(text("SET statement_timeout = 0"))
            await connection.commit()
            return await connection.run_sync(_move, to, waiting or Waiting())
        finally:
            # The lock and the settings are the session's, and end with it.
            await connection.invalidate()


async def plan(database: Database, to: str = "head") -> list[Step]:
    """The migrations that `migrate` would apply or undo, in their order; nothing is changed.

    Raises:
        InvalidSetting: there is no such revision.
        PendingMigrations: as `migrate`.
    """
    async with database.engine.connect() as connection:
        return await connection.run_sync(_plan, to)


async def _check_session(database: Database) -> None:
    async with database.autocommit.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        if await shares_servers(database.engine, driver):
            raise MigrationRefused(
                "a pooler in transaction mode is in between, and migrations need a session."
                " Run graph migrate with PostgreSQL's own address in GRAPH_DATABASE_URL"
            )


async def _take_turn(connection: AsyncConnection) -> None:
    """Wait for the lock without a statement that waits.

    `pg_advisory_lock` would hold a snapshot, for which another's CREATE INDEX CONCURRENTLY waits.
    """
    waits = False
    while not await connection.scalar(
        text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}
    ):
        await connection.rollback()
        if not waits:
            logger.info("another process migrates this database: waiting for it to end")
        waits = True
        await asyncio.sleep(_POLL_SECONDS)
    await connection.commit()


def _move(connection: Connection, to: str, waiting: Waiting) -> tuple[str | None, str | None]:
    before = _applied(store(), connection)
    set_waiting(connection, waiting)
    for chain, target in _targets(to):
        patiently(
            connection,
            # It goes on after the last migration that was applied.
            lambda chain=chain, target=target: _run(connection, chain, target),  # type: ignore[misc]
            what="a table that a migration changes",
        )
    return before, _applied(store(), connection)


def _plan(connection: Connection, to: str) -> list[Step]:
    return [step for chain, target in _targets(to) for step in _steps(connection, chain, target)]


def _targets(to: str) -> list[tuple[Chain, str]]:
    """The chains in their order, each with its revision: the store's tables need the engine's."""
    last = [(ENGINE, "base")] if to == "base" else []
    return [(ENGINE, "head"), (store(), to), *last]


def _run(connection: Connection, chain: Chain, to: str) -> None:
    steps = _steps(connection, chain, to)
    if not steps:
        return
    try:
        run = command.upgrade if steps[0].is_upgrade else command.downgrade
        run(_config(chain, connection), to)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _steps(connection: Connection, chain: Chain, to: str) -> list[Step]:
    current = _applied(chain, connection)
    if current is not None and current > chain.head():
        if to == "head" and chain.is_served(connection):
            return []
        raise PendingMigrations(current, chain.head())
    scripts = ScriptDirectory.from_config(_config(chain, connection))
    try:
        is_upgrade = not _is_below(scripts, to, current)
        between = scripts._upgrade_revs if is_upgrade else scripts._downgrade_revs  # noqa: SLF001
        found = between(to, current)  # type: ignore[arg-type]
    except (CommandError, AssertionError) as error:
        raise InvalidSetting("--to", f"{error}" or "it must be a revision") from error
    return [Step.of(each.revision, chain.name, is_upgrade=is_upgrade) for each in found]


def _config(chain: Chain, connection: Connection) -> Config:
    config = Config()
    package, folder = chain.package.rsplit(".", 1)
    config.set_main_option("script_location", f"{package}:{folder}")
    config.attributes["connection"] = connection
    return config


def _applied(chain: Chain, connection: Connection) -> str | None:
    """The revision; Alembic begins its own transactions, so none is left open."""
    revision = chain.applied(connection)
    connection.rollback()
    return revision


def _is_below(scripts: ScriptDirectory, to: str, current: str | None) -> bool:
    if to == "base":
        return True
    if current is None or to == "head":
        return False
    ancestors = {script.revision for script in scripts.iterate_revisions(current, "base")}
    return to != current and to in ancestors
