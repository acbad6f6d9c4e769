"""A primary and a standby that follows it, of a test's own."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from graph.database.embedded import Cluster, binary, running_cluster
from graph.database.embedded.account import account_for
from graph.database.engine import Database
from graph.database.migrate import migrate
from tests.conftest import settings_for
from tests.database.test_embedded import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RULES = "pg_hba.conf"
_SMALL = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "40"}


@dataclass
class Pair:
    primary: Cluster
    standby: Cluster
    _stop_primary: ExitStack

    def stop_primary(self) -> None:
        """Stop it; the standby has all that was committed by then."""
        self._stop_primary.close()

    async def promote(self) -> None:
        assert await fetched(self.standby, "SELECT pg_promote(true, 60)") == [(True,)]

    async def caught_up(self) -> None:
        """Return when the standby has replayed all that the primary has written."""
        ((written,),) = await fetched(self.primary, "SELECT pg_current_wal_insert_lsn()::text")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
        for _ in range(1000):
            if await fetched(self.standby, replayed) == [(True,)]:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError

    def url_of_both(self) -> str:
        """The URL of whichever of them takes changes."""
        hosts = [each.environment()["PGHOST"] for each in (self.primary, self.standby)]
        tail = "&".join(f"host={host}:5432" for host in hosts)
        return f"postgresql+asyncpg://graph@/graph?{tail}&target_session_attrs=read-write"


@contextmanager
def replicated(folder: Path) -> Iterator[Pair]:
    """A migrated primary, and its standby; both are stopped when the block ends."""
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        primary = first.enter_context(running_cluster(_made(folder, "first"), settings=_SMALL))
        asyncio.run(_migrated(primary))
        copy = _made(folder, "second") / CLUSTER
        subprocess.run(
            [binary("pg_basebackup"), "-D", copy, "--checkpoint=fast", "--wal-method=stream"],
            env=os.environ | primary.environment(),
            check=True,
            timeout=60,
        )
        (copy / "standby.signal").touch()
        _give(copy)
        _let_in(folder / "first" / CLUSTER)
        asyncio.run(fetched(primary, "SELECT pg_reload_conf()"))
        follow = {
            "primary_conninfo": f"host={primary.environment()['PGHOST']} port=5432 user=graph",
            # A read that is in the way of recovery is ended at once.
            "max_standby_streaming_delay": "0",
        }
        standby = stack.enter_context(running_cluster(folder / "second", settings=_SMALL | follow))
        yield Pair(primary, standby, first)


async def fetched(cluster: Cluster, statement: str) -> list[Any]:
    connection = await asyncpg.connect(dsn_of(cluster))
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def dsn_of(cluster: Cluster) -> str:
    return cluster.superuser_url().replace("+asyncpg", "")


async def _migrated(primary: Cluster) -> None:
    database = Database.connect(settings_for(primary.url()))
    await migrate(database)
    await database.close()


def _made(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir(mode=0o755)
    return made


def _give(folder: Path) -> None:
    """Give a copy, and all in it, to the account that runs the original."""
    account = account_for(folder.parents[1] / "first" / CLUSTER)
    for path in (folder, *folder.rglob("*")):
        account.receive(path)


def _let_in(folder: Path) -> None:
    """Let the standby in, which may run as an account that is no client."""
    with (folder / _RULES).open("r+") as rules:
        text = rules.read()
        rules.seek(0)
        rules.write(f"local replication all trust\n{text}")
