"""What stands beside or before a server: two replicas of the store, or PgBouncer."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench.errors import PeerMissing, ServerFailed
from bench.ports import free_port
from bench.processes import cpu_seconds
from bench.store import SETTINGS
from graph.database.embedded import binary, running_cluster
from graph.database.embedded.account import account_for
from graph.database.server import server_settings
from graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.store import Store

_START_SECONDS = 30.0
# Debian puts PgBouncer where only root's PATH leads.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True)
class Beside:
    """What is told to the server, and the processes whose work counts as PostgreSQL's."""

    environment: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[int, ...] = ()

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, self.processes))


@contextmanager
def nothing(_store: Store, _folder: Path) -> Iterator[Beside]:
    yield Beside()


@contextmanager
def two_replicas(store: Store, folder: Path) -> Iterator[Beside]:
    """Two streaming replicas, which have replayed all."""
    with ExitStack() as until_the_end:
        copies = [_copied(store, folder / f"replica{nth}") for nth in range(2)]
        _let_in(store)
        follow = {
            **SETTINGS,
            "primary_conninfo": f"host={store.libpq['PGHOST']} port=5432 user=graph",
        }
        clusters = [
            until_the_end.enter_context(running_cluster(copy, settings=follow)) for copy in copies
        ]
        pids = tuple(map(_postmaster, copies))
        urls = ",".join(each.url() for each in clusters)
        yield Beside({"GRAPH_REPLICA_URLS": urls}, pids)


@contextmanager
def pgbouncer(store: Store, folder: Path) -> Iterator[Beside]:
    """PgBouncer in transaction mode in front of the store, with the settings of our role there."""
    program = shutil.which("pgbouncer", path=_PATH)
    if program is None:
        raise PeerMissing("pgbouncer is not on PATH")
    _let_in(store)
    asyncio.run(_set_for_role(store))
    url, port = urlsplit(store.url), free_port()
    name, sockets = url.path.lstrip("/"), Path(store.libpq["PGHOST"])
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n{name} = host={sockets} port=5432 user={url.username} dbname={name}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 20\n"
        "ignore_startup_parameters = extra_float_digits\n"
        f"{'max_prepared_statements = 200' if _tracks_statements(program) else ''}\n"
    )
    # It does not run as root, but as the account that PostgreSQL runs as.
    owner = sockets.stat()
    account: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    log = folder / "pgbouncer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  found on PATH
            [program, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            **(account if os.geteuid() == 0 else {}),
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(f"PgBouncer does not start\n{log.read_text()}")
            time.sleep(0.05)
        address = f"postgresql://{url.username}@127.0.0.1:{port}/{name}"
        yield Beside({"GRAPH_DATABASE_URL": address}, (process.pid,))
    finally:
        process.terminate()
        process.wait()


def _copied(store: Store, folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    copy = folder / store.folder.name
    subprocess.run(  # noqa: S603  our own binary
        [binary("pg_basebackup"), "-D", copy, "--checkpoint=fast", "--wal-method=stream"],
        env=os.environ | store.libpq,
        check=True,
        capture_output=True,
    )
    (copy / "standby.signal").touch()
    account = account_for(store.folder)
    for path in (copy, *copy.rglob("*")):
        account.receive(path)
    return folder


def _let_in(store: Store) -> None:
    """Let all accounts of this machine connect to the store: it is gone soon."""
    rules = store.folder / "pg_hba.conf"
    rules.write_text(f"local all,replication all trust\n{rules.read_text()}")
    os.kill(store.postmaster, signal.SIGHUP)


def _tracks_statements(program: str) -> bool:
    """PgBouncer does so from 1.21 on; without that nothing is prepared through it."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    major, minor, *_ = done.stdout.split()[1].split(".")
    return (int(major), int(minor)) >= (1, 21)


async def _set_for_role(store: Store) -> None:
    """What a pooler does not let through is set for the role, as docs/operations.md has it."""
    url = urlsplit(store.url)
    role = f"ALTER ROLE {url.username} IN DATABASE {url.path.lstrip('/')}"
    connection = await store.connect()
    try:
        for name, value in server_settings(Settings()).items():
            await connection.execute(f"{role} SET {name} = '{value}'")
    finally:
        await connection.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _postmaster(folder: Path) -> int:
    (pid_file,) = folder.glob("postgresql-*/postmaster.pid")
    return int(pid_file.read_text().split()[0])
