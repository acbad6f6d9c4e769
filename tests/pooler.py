"""PgBouncer in front of a database of the tests, on a free port of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pwd import getpwuid
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from tests.conftest import end_process, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first version that tracks named statements in transaction mode.
_VERSION_WITH_TRACKING = (1, 21)

# Debian puts it where only root's PATH leads.
_SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin"

# Start-up parameters that graph sends and PgBouncer does not know; it refuses a client for them.
IGNORED = "extra_float_digits,statement_timeout,jit,options"


@dataclass(frozen=True)
class Pooler:
    url: str
    process: subprocess.Popen[bytes]
    log: Path


def program() -> str:
    """PgBouncer's program. Without it the test is skipped; in CI that is a failure."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=_SYSTEM_FOLDERS)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("pgbouncer is not on PATH")
    return found or pytest.skip("pgbouncer is not on PATH")


@cache
def can_track_statements() -> bool:
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    version = said.stdout.split()[1].split(".")
    return (int(version[0]), int(version[1])) >= _VERSION_WITH_TRACKING


@contextmanager
def pooler(database_url: str, *, mode: str, **options: str | int) -> Iterator[Pooler]:
    """PgBouncer in front of a database on a Unix socket; it is stopped when the block ends.

    Few connections for many clients, so that these take turns on them.
    """
    url = urlsplit(database_url)
    target = {name: values[0] for name, values in parse_qs(url.query).items()}
    sockets = Path(target["host"])
    port = free_port()
    folder = Path(mkdtemp(prefix="graph-pooler-"))
    folder.chmod(0o755)
    settings: dict[str, str | int] = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        "default_pool_size": 3 if mode == "transaction" else 50,
        "max_client_conn": 500,
        "query_wait_timeout": 20,
        "ignore_startup_parameters": IGNORED,
    }
    lines = [f"{name} = {value}" for name, value in (settings | options).items()]
    name = url.path.lstrip("/")
    upstream = f"host={sockets} port={target['port']} user={url.username} dbname={name}"
    file = folder / "pgbouncer.ini"
    file.write_text("\n".join(["[databases]", f"{name} = {upstream}", "[pgbouncer]", *lines, ""]))
    log = folder / "pgbouncer.log"
    # It does not run as root: as root we run it as the account that PostgreSQL runs as.
    owner = sockets.stat()
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        _admit(sockets, owner.st_uid)
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program(), str(file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                **account,
            )
        try:
            eventually(lambda: process.poll() is not None or _listens(port))
            assert process.poll() is None, log.read_text()
            address = f"postgresql+asyncpg://{url.username}@127.0.0.1:{port}/{name}"
            yield Pooler(address, process, log)
        finally:
            end_process(process, 10)
    finally:
        shutil.rmtree(folder)


def _admit(sockets: Path, user: int) -> None:
    """Let an account connect to the tests' PostgreSQL, which lets root in, and its own."""
    postmaster, folder = (sockets / ".s.PGSQL.5432.lock").read_text().splitlines()[:2]
    entry = f'graph "{getpwuid(user).pw_name}" all\n'
    accounts = Path(folder, "pg_ident.conf")
    if entry not in accounts.read_text():
        with accounts.open("a") as file:
            file.write(entry)
        with ThreadPoolExecutor() as thread:  # an event loop may be running in this one
            thread.submit(asyncio.run, _reloaded(sockets, int(postmaster))).result()


async def _reloaded(sockets: Path, postmaster: int) -> None:
    """Return when PostgreSQL has read its files again."""

    async def loaded() -> Any:
        """When the files were read that a new connection is held against."""
        connection = await asyncpg.connect(host=str(sockets), user="graph", database="postgres")
        try:
            return await connection.fetchval("SELECT pg_conf_load_time()")
        finally:
            await connection.close()

    before = await loaded()
    os.kill(postmaster, signal.SIGHUP)
    async with asyncio.timeout(60):
        while await loaded() == before:  # noqa: ASYNC110  PostgreSQL tells nobody
            await asyncio.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
