"""Bring a database to a revision, up or down, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text

from graph.database.revisions import ENGINE, store
from graph.errors import InvalidSetting, PendingMigrations

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from graph.database.engine import Database
    from graph.database.revisions import Chain

# Any number will do, as long as every process that migrates takes the same.
_ADVISORY_LOCK = 0x67726170


async def migrate(database: Database, to: str = "head") -> tuple[str | None, str | None]:
    """Bring the database to revision `to`; return the revisions before and after.

    Two processes that migrate at once take turns: the second finds nothing left to do.

    Raises:
        InvalidSetting: there is no such revision.
        PendingMigrations: the database is at a revision of a newer version of graph.
    """
    async with database.engine.begin() as connection:
        # A large table's migration, or the wait for the lock, may outlast any statement timeout.
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
        )
        return await connection.run_sync(_move, to)


def _move(connection: Connection, to: str) -> tuple[str | None, str | None]:
    chain = store()
    before = chain.applied(connection)
    if before is not None and before > chain.head():
        raise PendingMigrations(before, chain.head())
    command.upgrade(_config(ENGINE, connection), "head")
    config = _config(chain, connection)
    try:
        downwards = _is_below(ScriptDirectory.from_config(config), to, before)
        (command.downgrade if downwards else command.upgrade)(config, to)
    except (CommandError, AssertionError) as error:
        raise InvalidSetting("--to", f"{error}" or "it names no revision") from error
    if to == "base":
        command.downgrade(_config(ENGINE, connection), "base")
    return before, chain.applied(connection)


def _config(chain: Chain, connection: Connection) -> Config:
    config = Config()
    package, folder = chain.package.rsplit(".", 1)
    config.set_main_option("script_location", f"{package}:{folder}")
    config.attributes["connection"] = connection
    return config


def _is_below(scripts: ScriptDirectory, to: str, current: str | None) -> bool:
    if current is None or to == "head":
        return False
    if to == "base":
        return True
    ancestors = {script.revision for script in scripts.iterate_revisions(current, "base")}
    return to != current and to in ancestors
