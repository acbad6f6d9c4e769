"""Timeouts and disconnects; slow clients hold no resources; expensive operations have a limit."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from graph.app import create_app
from graph.errors import Overloaded
from graph.execution.running.limiter import Limiter
from graph.relay import to_global_id
from graph.settings import ExecutionMode
from tests.conftest import client_of, eventually, serving, settings_for
from tests.execution.test_failures import waiting_for_a_lock
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.database.embedded import Cluster
    from graph.database.engine import Database
    from tests.conftest import Client, LiveServer

COLUMNS = "id firstName lastName username email address town createdOn updatedOn"
QUERY = "{ customers { totalCount nodes { orders { totalCount } } } }"


def plain(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


async def running(url: str) -> list[str]:
    """The statements and transactions that run in this database, ours left out."""
    connection = await asyncpg.connect(plain(url))
    try:
        rows = await connection.fetch(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
            " AND state <> 'idle' AND application_name = 'graph'"
        )
    finally:
        await connection.close()
    return [row["query"] for row in rows]


async def until(happened: Any, *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await happened():  # noqa: ASYNC110  PostgreSQL tells nobody
            await asyncio.sleep(0.05)


@pytest.fixture
async def locked(database_url: str) -> AsyncIterator[str]:
    """A store whose customers nobody can read: statements wait, and are seen to."""
    connection = await asyncpg.connect(plain(database_url))
    await connection.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
    yield database_url
    await connection.close()


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_the_deadline_ends_the_statement_in_postgresql(
    locked: str, mode: ExecutionMode
) -> None:
    settings = settings_for(
        locked, execution=mode, operation_timeout_seconds=3, statement_timeout_seconds=3
    ).model_copy(update={"statement_timeout_seconds": 60})
    async with client_of(create_app(settings)) as client:
        answer = asyncio.create_task(client.http.post("/graphql", json={"query": QUERY}))
        await until(lambda: _some(locked))
        response = await answer

        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
        await until(lambda: _none(locked))


@pytest.mark.parametrize("mode", list(ExecutionMode))
def test_a_client_that_hangs_up_ends_the_statement_in_postgresql(
    database_url: str, mode: ExecutionMode
) -> None:
    async def run() -> None:
        locker = await asyncpg.connect(plain(database_url))
        await locker.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        with serving(
            GRAPH_DATABASE_URL=database_url,
            GRAPH_EXECUTION=mode,
            GRAPH_STATEMENT_TIMEOUT_SECONDS="60",
            GRAPH_OPERATION_TIMEOUT_SECONDS="60",
        ) as server:
            async with httpx.AsyncClient() as http:
                answer = asyncio.create_task(
                    http.post(f"{server.url}/graphql", json={"query": QUERY})
                )
                await until(lambda: _some(database_url))
                answer.cancel()
                await asyncio.wait([answer])
            await until(lambda: _none(database_url))
            await locker.close()
            async with httpx.AsyncClient() as http:
                after = await http.post(f"{server.url}/graphql", json={"query": QUERY})
            assert after.json()["data"]["customers"]["totalCount"] == 0

    asyncio.run(run())


async def _some(url: str) -> bool:
    return bool(await running(url))


async def _none(url: str) -> bool:
    return not await running(url)


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_connections_of_ended_operations_serve_the_next(
    database_url: str, mode: ExecutionMode
) -> None:
    settings = settings_for(
        database_url,
        execution=mode,
        pool_size=2,
        operation_timeout_seconds=2,
        statement_timeout_seconds=2,
    ).model_copy(update={"statement_timeout_seconds": 60})
    async with client_of(create_app(settings)) as client:
        await fill(client.database, customers=1)
        locker = await asyncpg.connect(plain(database_url))
        await locker.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        requests = [client.http.post("/graphql", json={"query": QUERY}) for _ in range(8)]
        refused = await asyncio.gather(*requests)
        await locker.close()
        answers = [await client.answer(QUERY) for _ in range(4)]

    assert [response.status_code for response in refused] == [503] * 8
    assert [answer["data"]["customers"]["totalCount"] for answer in answers] == [1] * 4


# Mutations: what has changed already is rolled back

ADJUST = """
    mutation ($key: String!, $first: ID!, $second: ID!) @atomic {
      first: adjustStock(input: {id: $first, change: {by: -3}, expectedVersion: {any: true}})
        @idempotent(key: $key) { ... on ItemSaved { item { stock } } }
      second: adjustStock(input: {id: $second, change: {by: -3}, expectedVersion: {any: true}}) {
        ... on ItemSaved { item { stock } } }
    }
"""
IDS = {"first": to_global_id("Item", 1), "second": to_global_id("Item", 2)}
CHANGE = {"query": ADJUST, "variables": {"key": "only-once", **IDS}}
CHANGED = {"first": {"item": {"stock": 7}}, "second": {"item": {"stock": 7}}}


@dataclass
class HalfWay:
    """A store of two items, the second of them locked: a change of both gets half way."""

    url: str
    locker: Any

    async def contents(self) -> tuple[Any, ...]:
        connection = await asyncpg.connect(plain(self.url))
        try:
            row = await connection.fetchrow(
                "SELECT (SELECT array_agg((stock, version) ORDER BY id)::text FROM items),"
                " (SELECT count(*) FROM events), (SELECT count(*) FROM idempotency_keys)"
            )
        finally:
            await connection.close()
        return tuple(row)


@pytest.fixture
async def half_way(database: Database, database_url: str) -> AsyncIterator[HalfWay]:
    await fill(database, customers=0, items=2)
    await database.first("UPDATE items SET stock = 10")
    locker = await asyncpg.connect(plain(database_url))
    await locker.execute("BEGIN; SELECT * FROM items WHERE id = 2 FOR UPDATE")
    yield HalfWay(database_url, locker)
    await locker.close()


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_the_deadline_ends_a_mutation_and_nothing_is_changed(
    half_way: HalfWay, mode: ExecutionMode
) -> None:
    before = await half_way.contents()
    settings = settings_for(
        half_way.url, execution=mode, operation_timeout_seconds=3, statement_timeout_seconds=3
    ).model_copy(update={"statement_timeout_seconds": 60})
    async with client_of(create_app(settings)) as client:
        answer = asyncio.create_task(client.http.post("/graphql", json=CHANGE))
        await waiting_for_a_lock(half_way.url)
        response = await answer

        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
        await until(lambda: _none(half_way.url))
        assert await half_way.contents() == before
        await half_way.locker.close()
        again = (await client.http.post("/graphql", json=CHANGE)).json()

    assert again == {"data": CHANGED}


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_a_client_that_hangs_up_ends_its_mutation_and_nothing_is_changed(
    half_way: HalfWay, mode: ExecutionMode
) -> None:
    before = await half_way.contents()
    with serving(
        GRAPH_DATABASE_URL=half_way.url,
        GRAPH_EXECUTION=mode,
        GRAPH_STATEMENT_TIMEOUT_SECONDS="60",
        GRAPH_OPERATION_TIMEOUT_SECONDS="60",
    ) as server:
        async with httpx.AsyncClient() as http:
            answer = asyncio.create_task(http.post(f"{server.url}/graphql", json=CHANGE))
            await waiting_for_a_lock(half_way.url)
            answer.cancel()
            await asyncio.wait([answer])
        await until(lambda: _none(half_way.url))
        assert await half_way.contents() == before
        await half_way.locker.close()
        async with httpx.AsyncClient() as http:
            again = (await http.post(f"{server.url}/graphql", json=CHANGE)).json()

    assert again == {"data": CHANGED}


# Lanes


async def test_a_lane_lets_so_many_in_and_so_many_wait() -> None:
    limiter = Limiter(1, 1)
    await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await asyncio.wait_for(limiter.acquire(), 1)
    limiter.release()
    await waiting
    limiter.release()
    await limiter.acquire()


async def test_a_cancelled_waiter_takes_no_turn() -> None:
    limiter = Limiter(1, 5)
    await limiter.acquire()
    first, second = (asyncio.create_task(limiter.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    limiter.release()
    await second
    third = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    limiter.release()
    third.cancel()  # its turn has come, and it goes
    await asyncio.gather(third, return_exceptions=True)

    await asyncio.wait_for(limiter.acquire(), 1)


async def test_beyond_the_queue_it_is_503_at_once_and_health_is_answered(locked: str) -> None:
    settings = settings_for(locked, max_in_flight=2, max_waiting=1, pool_size=5)
    async with client_of(create_app(settings)) as client:

        async def ask() -> httpx.Response:
            return await client.http.post(
                "/graphql", json={"query": "{ customers { totalCount } }"}
            )

        held = [asyncio.create_task(ask()) for _ in range(3)]
        await until(lambda: two_run_and_one_waits(client))
        began = time.perf_counter()
        refused = await ask()
        took = time.perf_counter() - began
        live = await client.http.get("/health/live")
        ready = await client.http.get("/health/ready")
        for task in held:
            task.cancel()
        await asyncio.wait(held)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
    assert took < 5  # no statement ends for ten seconds
    assert (live.status_code, ready.status_code) == (200, 200)


async def two_run_and_one_waits(client: Client) -> bool:
    line = client.execution.limiters.gauges["unproven"]
    return (line["in_use"], line["waiting"]) == (2, 1)


# Slow clients

# So long the server waits; what is within it here takes a fifth of that.
PATIENCE = 2


@pytest.fixture(scope="module")
def impatient(live_server: LiveServer, cluster: Cluster) -> Iterator[LiveServer]:
    assert live_server.url  # its store is the one
    with serving(
        GRAPH_DATABASE_URL=cluster.url("live_store"), GRAPH_CLIENT_TIMEOUT_SECONDS=str(PATIENCE)
    ) as server:
        yield server


def connected(server: LiveServer) -> socket.socket:
    port = int(server.url.rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def received(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


JSON = {"content-type": "application/json"}
HEAD = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BODY = json.dumps({"query": "{ __typename }"}).encode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"GET ", b"408"),
        (HEAD, b"408"),
        (HEAD + b"content-length: 100\r\n\r\n", b"408"),
        (HEAD + b"content-length: 100\r\n\r\n" + BODY, b"408"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n", b"408"),
        (b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n", b"415"),
        (HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY + b"GET / HT", b"200"),
    ],
)
def test_a_request_without_end_is_disconnected(
    impatient: LiveServer, sent: bytes, status: bytes
) -> None:
    with connected(impatient) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        answer = received(connection)

    assert time.monotonic() - began < 10 * PATIENCE
    assert answer.startswith(b"HTTP/1.1 " + status if status else b"")
    if status == b"200":
        assert b"HTTP/1.1 408" in answer
    if b"content-length: 100" in sent:
        assert b"REQUEST_TIMEOUT" in answer


def drip(connection: socket.socket, data: bytes) -> None:
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def test_a_slowly_dripping_request_is_disconnected(impatient: LiveServer) -> None:
    with connected(impatient) as connection:
        began = time.monotonic()
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            drip(connection, HEAD * 10)

    assert time.monotonic() - began < 10 * PATIENCE


def is_established(connection: socket.socket) -> bool:
    """Whether the other end is open as well; on this machine, both ends are in one table."""
    ends = [f":{end[1]:04X}" for end in (connection.getpeername(), connection.getsockname())]
    rows = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        local.endswith(ends[0]) and remote.endswith(ends[1]) and state == "01"
        for local, remote, state in rows
    )


def test_a_client_that_does_not_read_is_disconnected(impatient: LiveServer) -> None:
    names = [f"a{nth}" for nth in range(50)]
    fields = " ".join(f"{name}: customers(first: 50) {{ nodes {{ {COLUMNS} }} }}" for name in names)
    body = json.dumps({"query": f"{{ {fields} }}"}).encode()
    size = len(httpx.post(f"{impatient.url}/graphql", content=body, headers=JSON).content)
    received = 0
    with connected(impatient) as connection:
        for _ in range(60):
            connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        eventually(lambda: not is_established(connection))
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += len(chunk)

    assert received < 60 * size / 2
    assert httpx.get(f"{impatient.url}/health/live").status_code == 200


def test_a_slow_client_within_the_timeout_is_answered(impatient: LiveServer) -> None:
    with connected(impatient) as connection:
        message = HEAD + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(BODY) + BODY
        for start in range(0, len(message), 40):
            connection.sendall(message[start : start + 40])
            time.sleep(0.1)
        assert received(connection).startswith(b"HTTP/1.1 200")
