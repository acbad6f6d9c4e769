"""`graph serve` in a process of its own: its PostgreSQL, its start and its end."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from graph.database.embedded import running_cluster
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.store.seed import seed
from tests.command_line import answer
from tests.conftest import eventually, serving, settings_for
from tests.database.embedded import CLUSTER, a_folder, is_alive, postmaster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import LiveServer

COUNT = {"query": "{ customers { totalCount } }"}
FAST = {"fsync": "off", "shared_buffers": "16MB"}


@pytest.fixture(scope="module")
def small_store() -> Iterator[Path]:
    """The folder of a cluster with three customers, to be copied."""

    async def make(url: str) -> None:
        database = Database.connect(settings_for(url))
        await migrate(database)
        await seed(database, customers=3)
        await database.close()

    with a_folder() as folder:
        with running_cluster(folder, settings=FAST) as cluster:
            asyncio.run(make(cluster.url()))
        yield folder


@pytest.fixture
def data_dir(small_store: Path) -> Iterator[Path]:
    with a_folder() as folder:
        subprocess.run(["cp", "-a", small_store / CLUSTER, folder], check=True)
        yield folder


def counted(server: LiveServer) -> int:
    response = httpx.post(f"{server.url}/graphql", json=COUNT, timeout=30)
    assert response.status_code == 200, response.text
    count: int = response.json()["data"]["customers"]["totalCount"]
    return count


def ended(server: LiveServer, by: signal.Signals = signal.SIGTERM) -> str:
    """Stop a server; return all that it printed."""
    server.process.send_signal(by)
    assert server.process.wait(30) == 0
    return server.printed()


def test_serve_makes_a_store_of_its_own_once_and_leaves_nothing_running() -> None:
    with a_folder() as folder:
        environment = {"GRAPH_DATA_DIR": str(folder / "new"), "GRAPH_LOG_LEVEL": "warning"}
        with serving(**environment) as server:
            made = counted(server)
            pid = postmaster(folder / "new")
            assert is_alive(pid)
            first = ended(server)
        assert not is_alive(pid)
        with serving(**environment) as server:
            found = counted(server)
            second = ended(server, by=signal.SIGINT)

    at = r"graph is at http://127\.0\.0\.1:\d+/graphql \(Ctrl-C stops it\)\n"
    assert re.search(rf"The store holds 1,000 customers, .* lines\.\n{at}$", first)
    assert re.fullmatch(at, second)
    assert made == found == 1000


def test_serve_starts_its_postgresql_again_when_it_was_killed(data_dir: Path) -> None:
    def ready() -> int:
        return httpx.get(f"{server.url}/health/ready", timeout=30).status_code

    with serving(GRAPH_DATA_DIR=str(data_dir)) as server:
        before = counted(server)
        with (data_dir / f"{CLUSTER}.gate").open("rb") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)  # nobody starts it meanwhile
            os.kill(postmaster(data_dir), signal.SIGKILL)
            eventually(lambda: ready() == 503)
        eventually(lambda: ready() == 200)
        after = counted(server)
        log = ended(server)

    assert before == after == 3
    assert "PostgreSQL had died and has been restarted" in log
    assert "Traceback" not in log


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody holds the customers so that nobody can read them."""
    driver_url = url.replace("+asyncpg", "")
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(driver_url))
        runner.run(connection.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE"))
        try:
            yield
        finally:
            runner.run(connection.close())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_runs_is_answered_before_the_server_ends(
    database_url: str, workers: int
) -> None:
    """And a database that was given is left as it is, however empty."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with (
        ThreadPoolExecutor() as threads,
        serving("--workers", str(workers), GRAPH_DATABASE_URL=database_url) as server,
    ):
        with locked(database_url):
            running = threads.submit(counted, server)
            eventually(lambda: answer(database_url, waiting) == 1)
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: not is_listening(server))
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(0.5)
            assert not running.done()

        assert running.result(30) == 0
        assert server.process.wait(30) == 0
        assert server.printed().startswith("graph is at ")


def is_listening(server: LiveServer) -> bool:
    """Whether somebody accepts new requests: a socket that only listens does not answer."""
    try:
        return httpx.get(f"{server.url}/health/live", timeout=0.5).status_code == 200
    except httpx.TransportError:
        return False
