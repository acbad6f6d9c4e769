"""Failures of the database: the client gets a code and an error id, the log has the cause."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import strawberry
from sqlalchemy import text

from graph.app import create_app
from graph.database.outages import Outages
from graph.errors import GraphError, InvalidId
from graph.schema.schema import Schema
from tests.conftest import client_of, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from graph.database.embedded import Cluster
    from graph.settings import Settings
    from tests.conftest import Client

NESTED = """{ customers { totalCount nodes { username orders { nodes {
    total lineItems { nodes { quantity item { name } } } } } } } }"""

# Words of Python, SQL and the driver.
INNARDS = re.compile(
    r"Traceback|File|\.py|select |relation|does not exist|sqlalchemy|asyncpg|postgres",
    re.IGNORECASE,
)


@pytest.fixture(params=["compiled", "resolvers"])
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


async def posted(client: Client, query: str, **headers: str) -> httpx.Response:
    return await client.http.post("/graphql", json={"query": query}, headers=headers)


async def changed(client: Client, statement: str) -> None:
    async with client.database.write() as session:
        await session.execute(text(statement))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def locked(url: str, table: str) -> AsyncIterator[None]:
    """Somebody else holds a table so that nobody can read it."""
    async with connected(url) as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


# Defects


@pytest.mark.parametrize(
    ("breakage", "query"),
    [
        ("DROP TABLE items CASCADE", "{ items { totalCount } }"),
        ("ALTER TABLE customers RENAME town TO place", "{ customers { nodes { town } } }"),
        ("DROP TABLE order_lines", NESTED),
    ],
)
async def test_an_unexpected_error_is_masked_and_logged_with_its_cause(
    client: Client, caplog: pytest.LogCaptureFixture, breakage: str, query: str
) -> None:
    await fill(client.database, customers=1, orders=1, lines=1)
    await client(query)
    await changed(client, breakage)

    response = await posted(client, query)

    assert response.status_code == 200
    assert response.json()["data"] is None
    assert not INNARDS.search(response.text)
    (error,) = response.json()["errors"]
    assert error["message"] == "internal error"
    assert list(error["extensions"]) == ["code", "errorId"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert error["extensions"]["errorId"] in record.message
    assert record.exc_text
    assert "does not exist" in record.exc_text


@pytest.mark.parametrize(
    ("breakage", "query", "path"),
    [
        ("DROP TABLE items CASCADE", "{ all: items { totalCount } }", ["all", "totalCount"]),
        (
            "ALTER TABLE customers ALTER town DROP NOT NULL, ALTER town TYPE text USING NULL",
            "{ customers { nodes { town } } }",
            ["customers", "nodes", 0, "town"],
        ),
        (
            "ALTER TABLE order_lines ALTER quantity TYPE bigint USING 3000000000",
            "{ order(by: {databaseId: 1}) { lineItems { nodes { quantity } } } }",
            ["order", "lineItems", "nodes", 0, "quantity"],
        ),
    ],
)
async def test_errors_of_resolvers_have_a_path(
    database_url: str, breakage: str, query: str, path: list[str | int]
) -> None:
    settings = settings_for(database_url, execution="resolvers")
    async with client_of(create_app(settings)) as client:
        await fill(client.database, customers=1, orders=1, lines=1)
        await changed(client, breakage)
        answer = await client.answer(query)

    (error,) = answer["errors"]
    assert error["message"] == "internal error"
    assert error["path"] == path
    assert error["locations"]


async def test_each_failure_has_an_id_of_its_own(client: Client) -> None:
    await changed(client, "DROP TABLE items CASCADE")

    answers = [await client.answer("{ items { totalCount } }") for _ in range(5)]

    assert len({answer["errors"][0]["extensions"]["errorId"] for answer in answers}) == 5


@strawberry.type
class Query:
    @strawberry.field  # type: ignore[untyped-decorator,unused-ignore]
    def broken(self) -> str | None:
        raise LookupError("SELECT password FROM customers")

    @strawberry.field  # type: ignore[untyped-decorator,unused-ignore]
    def refused(self) -> str | None:
        raise InvalidId("x")

    @strawberry.field  # type: ignore[untyped-decorator,unused-ignore]
    def codeless(self) -> str | None:
        raise GraphError("a path on the server's disk")

    @strawberry.field  # type: ignore[untyped-decorator,unused-ignore]
    def unprintable(self) -> float | None:
        return float("nan")


async def test_a_resolver_shows_its_own_errors_and_no_others(settings: Settings) -> None:
    async with client_of(create_app(settings, schema=Schema(query=Query))) as client:
        answer = await client.answer("{ broken refused codeless unprintable }")

    errors = {error["path"][0]: error for error in answer["errors"]}
    assert answer["data"] == dict.fromkeys(["broken", "refused", "codeless", "unprintable"])
    assert errors["refused"]["message"] == "'x' is not an id of this API."
    assert errors["refused"]["extensions"] == {"code": "INVALID_ID"}
    for name in ("broken", "codeless", "unprintable"):
        assert errors[name]["message"] == "internal error"
        assert errors[name]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


# A slow store


async def test_a_statement_that_takes_too_long_is_a_timeout(
    settings: Settings, database_url: str
) -> None:
    hasty = settings.model_copy(update={"statement_timeout_seconds": 1})
    async with client_of(create_app(hasty)) as client:
        await fill(client.database, customers=1)
        async with locked(database_url, "orders"):
            began = time.perf_counter()
            response = await posted(client, NESTED)
            waited_seconds = time.perf_counter() - began
            beside = await client("{ customers { nodes { username } } }")
        afterwards = await client(NESTED)

    assert response.status_code == 503
    assert response.json() == {
        "errors": [
            {
                "message": "The operation took longer than is allowed. Request less at once.",
                "extensions": {"code": "TIMEOUT"},
            }
        ]
    }
    assert 1 <= waited_seconds < 15
    assert beside["customers"]["nodes"] == [{"username": "user1"}]
    assert afterwards["customers"]["totalCount"] == 1


async def test_an_operation_waits_for_a_place_and_not_for_a_connection(
    settings: Settings, database_url: str
) -> None:
    narrow = {"pool_size": 1, "pool_timeout_seconds": 0.1, "statement_timeout_seconds": 2}
    async with client_of(create_app(settings.model_copy(update=narrow))) as client:
        async with locked(database_url, "customers"):
            first, second = await asyncio.gather(posted(client, NESTED), posted(client, NESTED))
        afterwards = await client(NESTED)

    codes = [answer.json()["errors"][0]["extensions"]["code"] for answer in (first, second)]
    assert codes == ["TIMEOUT", "TIMEOUT"]
    assert second.status_code == 503
    assert afterwards["customers"]["totalCount"] == 0


# A store that is gone, and comes back


@pytest.fixture
def door(cluster: Cluster) -> Iterator[Path]:
    """A link to the folder of PostgreSQL's socket; not in `tmp_path`, which is too long for one."""
    with TemporaryDirectory() as folder:
        door = Path(folder, "door")
        door.symlink_to(cluster.environment()["PGHOST"])
        yield door


@pytest.fixture
async def behind_a_door(cluster: Cluster, settings: Settings, door: Path) -> AsyncIterator[Client]:
    """A client whose way to PostgreSQL's socket leads through the door."""
    assert settings.database_url
    url = settings.database_url.get_secret_value()
    url = url.replace(cluster.environment()["PGHOST"], str(door))
    async with client_of(create_app(settings_for(url, execution=settings.execution))) as client:
        await fill(client.database, customers=1)
        yield client


async def test_the_same_client_is_answered_again_when_the_store_is_back(
    behind_a_door: Client,
    database_url: str,
    door: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, outages = behind_a_door, Outages()
    for name in ("driver_errors", "stopwatch", "readiness"):
        monkeypatch.setattr(f"graph.database.{name}.outages", outages)
    before = await client(NESTED)
    # It opens its connection in the background, which else might be after the others are ended.
    await client.database.sizes.refresh()

    sockets = door.readlink()
    door.unlink()
    await end_connections(database_url)
    gone = [await posted(client, NESTED) for _ in range(3)]
    gone_ready = await client.http.get("/health/ready")
    door.symlink_to(sockets)
    back_ready = await client.http.get("/health/ready")

    for response in gone:
        assert response.status_code == 503
        assert response.json() == {
            "errors": [
                {
                    "message": "The database cannot be reached. Try again later.",
                    "extensions": {"code": "SERVICE_UNAVAILABLE"},
                }
            ]
        }
    assert (gone_ready.status_code, back_ready.status_code) == (503, 200)
    assert await client(NESTED) == before
    # The outage is one line, and nothing else is.
    (line,) = caplog.records
    assert (line.name, line.msg["outage"]) == ("graph.database.outages", "began")  # type: ignore[index]


async def test_connections_that_were_ended_are_replaced(client: Client, database_url: str) -> None:
    await fill(client.database, customers=1)
    before = await client(NESTED)
    together = await asyncio.gather(*(client(NESTED) for _ in range(10)))
    await end_connections(database_url)

    after = await asyncio.gather(*(client(NESTED) for _ in range(10)))

    assert before["customers"]["totalCount"] == 1
    assert together == after == [before] * 10


@pytest.mark.parametrize("losses", [1, 2])
async def test_a_read_that_lost_its_connection_is_run_once_more_and_no_more(
    client: Client, database_url: str, losses: int
) -> None:
    await fill(client.database, customers=1)
    expected = await client(NESTED)

    async with locked(database_url, "orders"):
        running = asyncio.create_task(posted(client, NESTED))
        for _ in range(losses):
            await waiting_for_a_lock(database_url)
            await end_connections(database_url)
    response = await running

    if losses == 1:
        assert response.json() == {"data": expected}
    else:
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert list(response.json()) == ["errors"]
        assert response.json()["errors"][0]["extensions"] == {"code": "SERVICE_UNAVAILABLE"}
    assert await client(NESTED) == expected


async def test_a_change_that_lost_its_connection_is_not_run_again(
    client: Client, database_url: str
) -> None:
    await fill(client.database, customers=1)
    before = await client("{ items { totalCount } }")
    change = """mutation { createItem(input: {name: "Lamp", costPrice: "1", sellingPrice: "2"})
        { ... on ItemSaved { item { name } } } }"""

    async with locked(database_url, "items"):
        running = asyncio.create_task(posted(client, change))
        await waiting_for_a_lock(database_url)
        await end_connections(database_url)
    response = await running

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    code = response.json()["errors"][0]["extensions"]["code"]
    assert code in {"SERVICE_UNAVAILABLE", "OUTCOME_UNKNOWN"}
    assert await client("{ items { totalCount } }") == before


async def end_connections(url: str) -> None:
    """PostgreSQL ends what graph has open, as when it is restarted."""
    async with connected(url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'graph'"
        )
    # The driver hears of it when the event loop runs next.
    await asyncio.sleep(0.05)


async def waiting_for_a_lock(url: str) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with connected(url) as connection:
        for _ in range(1000):
            if await connection.fetchval(waiting):
                return
            await asyncio.sleep(0.01)
    raise TimeoutError
