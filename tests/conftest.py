"""Fixtures: one PostgreSQL per worker, and a fresh clone of its template database per test.

cluster        a real PostgreSQL, fsync off                         the whole run
database_url   an empty, migrated database of the test's own       each test
database       the `Database` on it
sql            the statements that the test causes, as they run
client         HTTP to the application, in process
live_server    `graph serve` in a process of its own, on a small demo store    the whole run
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import randrange
from tempfile import NamedTemporaryFile, mkdtemp
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest
from sqlalchemy import event

from graph.app import create_app
from graph.database.embedded import running_cluster
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.errors import ErrorCode
from graph.settings import Settings
from graph.store.seed import seed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.applications import Starlette

    from graph.database.embedded import Cluster
    from graph.execution.running.execute import Execution

pytest_plugins = ["tests.workers"]

_numbers = count(1)

# On a busy machine everything takes long, and waits.
PATIENCE = {"max_wait_ms": 60_000, "expensive_after_ms": 60_000}
# What these are by default, for the tests that are about it.
HASTE = {"max_wait_ms": 1_000, "expensive_after_ms": 250}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    fast = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    with running_cluster(folder, settings=fast | {"max_connections": "200"}) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """The name of a migrated database, to be cloned."""

    async def make() -> None:
        await administer(cluster, "CREATE DATABASE template_store")
        database = Database.connect(settings_for(cluster.url("template_store")))
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return "template_store"


@pytest.fixture
async def database_url(cluster: Cluster, template: str) -> AsyncIterator[str]:
    name = f"clone_{next(_numbers)}"
    await administer(cluster, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield cluster.url(name)
    await administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_url(cluster: Cluster) -> AsyncIterator[str]:
    """A database without a single table."""
    name = f"empty_{next(_numbers)}"
    await administer(cluster, f"CREATE DATABASE {name}")
    yield cluster.url(name)
    await administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database.connect(settings)
    yield database
    await database.close()


@dataclass
class Statements:
    """The statements that ran, oldest first; BEGIN and COMMIT are not among them."""

    texts: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def clear(self) -> None:
        self.texts.clear()
        self.parameters.clear()


# What the follower of the event log reads, at any time.
_FOLLOWING = ("pg_sequence_last_value", "virtualtransaction")


@contextmanager
def recorded(database: Database, *, follows: bool = False) -> Iterator[Statements]:
    """The statements of operations; with `follows` also those that look at the event log."""
    statements = Statements()

    def record(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        if not follows and any(name in text for name in _FOLLOWING):
            return
        statements.texts.append(text)
        statements.parameters.append(parameters)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", record)
    listener = partial(record, None, None)
    database.listeners.append(listener)
    yield statements
    event.remove(engine, "before_cursor_execute", record)
    database.listeners.remove(listener)


@pytest.fixture
def sql(client: Client) -> Iterator[Statements]:
    with recorded(client.database) as statements:
        yield statements


@dataclass
class Client:
    """HTTP to the application, in process; `database` is the application's own."""

    http: httpx.AsyncClient
    database: Database
    app: Any
    execution: Execution

    async def __call__(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a query, and return the data of an answer that has no errors."""
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def answer(self, query: str, **variables: Any) -> dict[str, Any]:
        response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        answer: dict[str, Any] = response.json()
        return answer


async def check_codes(response: httpx.Response) -> None:
    """Every error of every answer has a code of the schema's enum, whichever test requests it."""
    streamed = "content-encoding" in response.headers or response.request.method == "HEAD"
    if streamed or "json" not in response.headers.get("content-type", ""):
        return
    body = json.loads(await response.aread())
    for answer in body if isinstance(body, list) else [body]:
        errors = answer.get("errors", ()) if isinstance(answer, dict) else ()
        assert all(error["extensions"]["code"] in set(ErrorCode) for error in errors), body


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with client_of(create_app(settings)) as client:
        yield client


@asynccontextmanager
async def client_of(app: Starlette) -> AsyncIterator[Client]:
    """A client of an application, whose lifespan lasts as long as the block."""
    async with app.router.lifespan_context(app) as state:
        assert state

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=with_state, raise_app_exceptions=False),
            base_url="http://localhost",
            event_hooks={"response": [check_codes]},
        ) as http:
            yield Client(http, state["database"], with_state, state["execution"])


async def all_returned(database: Database) -> bool:
    """Whether no connection is checked out, but for a moment by the follower of the log."""
    pool: Any = database.engine.pool
    for _ in range(3_000):
        if not pool.checkedout():
            return True
        await asyncio.sleep(0.01)
    return False


@asynccontextmanager
async def from_address(client: Client, address: str) -> AsyncIterator[Client]:
    """Another client of the same application, at another address."""
    transport = httpx.ASGITransport(client.app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield Client(http, client.database, client.app, client.execution)


@dataclass
class LiveServer:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def printed(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text("utf-8")


@pytest.fixture(scope="session")
def live_server(cluster: Cluster, template: str) -> Iterator[LiveServer]:
    name = "live_store"

    async def make() -> None:
        await administer(cluster, f"CREATE DATABASE {name} TEMPLATE {template}")
        database = Database.connect(settings_for(cluster.url(name)))
        await seed(database, customers=50)
        await database.close()

    asyncio.run(make())
    with serving(GRAPH_DATABASE_URL=cluster.url(name)) as server:
        yield server


@contextmanager
def serving(*options: str, **environment: str) -> Iterator[LiveServer]:
    """`graph serve` on a free port, ready to answer; it is stopped when the block ends."""
    url = f"http://127.0.0.1:{free_port()}"
    patience = {f"GRAPH_{name.upper()}": str(value) for name, value in PATIENCE.items()}
    # Nobody would read a pipe, and a server waits where it cannot write.
    with NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "graph", "serve", "--port", url.rsplit(":", 1)[1], *options],
            env=os.environ | {"GRAPH_LOG_LEVEL": "warning"} | patience | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = LiveServer(url, process, Path(log.name))
        try:
            eventually(lambda: process.poll() is not None or _is_ready(url), seconds=240)
            assert process.poll() is None, server.printed()
            yield server
        finally:
            end_process(process, 30)


def end_process(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Stop a process; kill it where it does not end in time."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def eventually(happened: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until it has happened; fail if it does not in time.

    The time is for what never happens: a busy machine may take ten seconds.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} seconds"
        time.sleep(0.05)


def free_port() -> int:
    """A port to listen on; not one of those that the kernel gives to clients meanwhile."""
    for _ in range(100):
        with socket.socket() as probe, suppress(OSError):
            port = randrange(10_000, 32_000)  # noqa: S311  not a secret
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def settings_for(url: str, **more: Any) -> Settings:
    # Nothing but a test of these limits meets them, however busy the machine is.
    patience = {"connect_timeout_seconds": 60, "pool_timeout_seconds": 60} | PATIENCE
    values = {"database_url": url, "log_level": "error", "usage_seconds": 0} | patience | more
    return Settings.model_validate(values)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def administer(cluster: Cluster, statement: str) -> None:
    url = cluster.url("postgres").replace("postgresql+asyncpg", "postgresql")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
