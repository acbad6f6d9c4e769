"""A primary and standbys that follow it, of a test's own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from graph.database.embedded import Cluster, binary
from graph.database.embedded.account import account_for
from graph.database.engine import Database
from graph.database.migrate import migrate
from tests.conftest import settings_for
from tests.database.embedded import CLUSTER, postmaster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SMALL = {"fsync": "off", "shared_buffers": "16MB"}


@dataclass
class Group:
    """A primary and its standbys. Each of them can be stopped, and started again."""

    primary: Cluster
    standbys: list[Cluster]
    running: list[Cluster]
    folder: Path

    @property
    def standby(self) -> Cluster:
        return self.standbys[0]

    def stop(self, cluster: Cluster) -> None:
        """Stop it in order: standbys have all that a primary has committed by then."""
        self.running.remove(cluster)
        cluster.__exit__(None, None, None)

    def start(self, cluster: Cluster) -> None:
        cluster.__enter__()
        self.running.append(cluster)
        if cluster is self.primary and self.standbys:
            self.let_standbys_in()

    def let_standbys_in(self) -> None:
        """They may run as an account that is no client. A start writes the rules anew."""
        rules = self.folder / "primary" / CLUSTER / "pg_hba.conf"
        rules.write_text(f"local replication all trust\n{rules.read_text()}")
        os.kill(postmaster(self.folder / "primary"), signal.SIGHUP)

    @contextmanager
    def untouched(self, standby: int) -> Iterator[None]:
        """Restore who may connect to a standby: it cannot be made anew there."""
        accounts = self.folder / f"standby{standby}" / CLUSTER / "pg_ident.conf"
        before = accounts.read_text()
        try:
            yield
        finally:
            accounts.write_text(before)

    async def promote(self, standby: Cluster | None = None) -> None:
        assert await fetched(standby or self.standby, "SELECT pg_promote(true, 60)") == [(True,)]

    async def caught_up(self) -> None:
        """Return when all standbys have replayed all that the primary has written."""
        ((written,),) = await fetched(self.primary, "SELECT pg_current_wal_flush_lsn()::text")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
        for standby in self.standbys:
            await until(standby, replayed)

    def url_of_both(self) -> str:
        """The URL of whichever of the primary and the first standby takes changes."""
        hosts = [each.environment()["PGHOST"] for each in (self.primary, self.standby)]
        tail = "&".join(f"host={host}:5432" for host in hosts)
        return f"postgresql+asyncpg://graph@/graph?{tail}&target_session_attrs=read-write"


@contextmanager
def replicated(folder: Path, *, standbys: int = 1, **settings: str) -> Iterator[Group]:
    """A migrated primary, and its standbys; all are stopped when the block ends.

    `settings` are those of PostgreSQL on each of them, beside our own.
    """
    group = Group(_cluster(_made(folder, "primary"), _SMALL | settings), [], [], folder)
    try:
        group.start(group.primary)
        asyncio.run(_migrated(group.primary))
        names = [f"standby{nth}" for nth in range(standbys)]
        for name in names:
            _copy(group.primary, folder, name)
        group.let_standbys_in()
        for name in names:
            follow = {
                "primary_conninfo": f"host={group.primary.environment()['PGHOST']} port=5432"
                f" user=graph application_name={name}",
                # A read that is in the way of recovery is ended at once.
                "max_standby_streaming_delay": "0",
                "wal_retrieve_retry_interval": "100ms",
            }
            standby = _cluster(folder / name, _SMALL | follow | settings)
            group.standbys.append(standby)
            group.start(standby)
        yield group
    finally:
        # A primary waits for its standbys to have all.
        for cluster in reversed([*group.running]):
            group.stop(cluster)


def _cluster(folder: Path, settings: Mapping[str, str]) -> Cluster:
    return Cluster(folder.resolve(), settings)


def _copy(primary: Cluster, folder: Path, name: str) -> None:
    copy = _made(folder, name) / CLUSTER
    subprocess.run(
        [binary("pg_basebackup"), "-D", copy, "--checkpoint=fast", "--wal-method=stream"],
        env=os.environ | primary.environment(),
        check=True,
        timeout=60,
    )
    (copy / "standby.signal").touch()
    account = account_for(folder / "primary" / CLUSTER)
    for path in (copy, *copy.rglob("*")):
        account.receive(path)


async def until(cluster: Cluster, condition: str) -> None:
    """Return when a condition in SQL is true there."""
    for _ in range(3_000):
        if await fetched(cluster, condition) == [(True,)]:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(condition)


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
