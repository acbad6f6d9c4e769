"""Incremental delivery over HTTP: parts are sent at once, and work ends with the connection."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import HTTP
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import asyncpg
import httpx
import pytest

from graph.app import create_app
from graph.settings import ExecutionMode
from tests.conftest import all_returned, client_of, serving
from tests.rows import fill
from tests.server.test_time import HEAD, connected, plain, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.engine import Database
    from graph.settings import Settings
    from tests.conftest import Client

QUERY = '{ customers(first: 1) { nodes { username ... @defer(label: "more") { town } } } }'
FIRST = {
    "data": {"customers": {"nodes": [{"username": "user1"}]}},
    "pending": [{"id": "0", "path": ["customers", "nodes", 0], "label": "more"}],
    "hasNext": True,
}
SECOND = {
    "incremental": [{"id": "0", "data": {"town": "Wolfden"}}],
    "completed": [{"id": "0"}],
    "hasNext": False,
}
WHOLE = {"data": {"customers": {"nodes": [{"username": "user1", "town": "Wolfden"}]}}}


@pytest.fixture
async def shop(client: Client, database: Database) -> Client:
    await fill(database, customers=2)
    return client


async def post(client: Client, accept: str, query: str = QUERY, **headers: str) -> httpx.Response:
    headers |= {"accept": accept}
    return await client.http.post("/graphql", json={"query": query}, headers=headers)


def multipart(response: httpx.Response) -> list[Any]:
    """The parts, as the standard library reads them."""
    head = b"content-type: %b\r\n\r\n" % response.headers["content-type"].encode()
    message = message_from_bytes(head + response.content, policy=HTTP)
    assert not message.defects
    assert all(part.get_content_type() == "application/json" for part in message.iter_parts())
    return [json.loads(part.get_content()) for part in message.iter_parts()]


def events(response: httpx.Response) -> list[Any]:
    """The data of `next` events, up to `complete` (HTML, section 9.2.6)."""
    *nexts, complete, after = response.text.split("\n\n")
    assert (complete, after) == ("event: complete\ndata:", "")
    found = []
    for event in nexts:
        name, data = event.split("\n")
        assert name == "event: next"
        found.append(json.loads(data.removeprefix("data: ")))
    return found


async def test_parts_come_as_multipart(shop: Client) -> None:
    response = await post(shop, "multipart/mixed, application/graphql-response+json")

    assert response.status_code == 200
    assert response.headers["content-type"] == 'multipart/mixed; boundary="-"'
    assert response.headers["cache-control"] == "no-store"
    assert multipart(response) == [FIRST, SECOND]


async def test_parts_come_as_events(shop: Client) -> None:
    response = await post(shop, "text/event-stream, multipart/mixed, */*")

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events(response) == [FIRST, SECOND]


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_an_answer_comes_whole_by_default(
    settings: Settings, database: Database, mode: ExecutionMode
) -> None:
    await fill(database, customers=1)
    app = create_app(settings.model_copy(update={"execution": mode}))
    async with client_of(app) as client:
        for accept in ("application/json", "*/*", "multipart/mixed;deferSpec=20220824, */*"):
            response = await post(client, accept)
            assert response.headers["content-type"] == "application/json; charset=utf-8"
            assert response.json() == WHOLE


async def test_a_client_that_accepts_only_parts_gets_a_whole_answer_as_one(shop: Client) -> None:
    query = "{ items { totalCount } }"
    whole = [{"data": {"items": {"totalCount": 5}}}]

    assert multipart(await post(shop, "multipart/mixed", query)) == whole
    assert events(await post(shop, "text/event-stream", query)) == whole
    refused = await post(shop, "text/event-stream", "{ nothing }")
    assert refused.status_code == 200
    (answer,) = events(refused)
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_get_may_have_parts_and_a_whole_answer_is_cacheable(shop: Client) -> None:
    headers = {"accept": "application/json, multipart/mixed"}
    response = await shop.http.get("/graphql", params={"query": QUERY}, headers=headers)
    assert multipart(response) == [FIRST, SECOND]
    assert "etag" not in response.headers

    query = {"query": "{ items { totalCount } }"}
    response = await shop.http.get("/graphql", params=query, headers=headers)
    assert response.json() == {"data": {"items": {"totalCount": 5}}}
    again = headers | {"if-none-match": response.headers["etag"]}
    assert (await shop.http.get("/graphql", params=query, headers=again)).status_code == 304


async def test_batches_come_whole(settings: Settings, database: Database) -> None:
    await fill(database, customers=1)
    app = create_app(settings.model_copy(update={"max_batch": 2}))
    async with client_of(app) as client:
        response = await client.http.post(
            "/graphql",
            json=[{"query": QUERY}, {"query": QUERY}],
            headers={"accept": "application/json, multipart/mixed"},
        )
    assert response.json() == [WHOLE, WHOLE]


async def test_parts_are_not_compressed_away(shop: Client) -> None:
    """Whoever compresses keeps what is small until there is more."""
    nodes = ", ".join(f"a{nth}: username" for nth in range(90))
    query = f"{{ customers {{ nodes {{ {nodes} ... @defer {{ town }} }} }} }}"
    response = await post(shop, "multipart/mixed, */*", query, **{"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers
    assert len(multipart(response)) == 2


@asynccontextmanager
async def locked_orders(url: str) -> AsyncIterator[None]:
    """Nobody can read an order for so long."""
    connection = await asyncpg.connect(plain(url))
    await connection.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    yield
    await connection.close()


LATER = "{ customers(first: 1) { nodes { username ... @defer { orders { totalCount } } } } }"


async def test_the_first_part_waits_for_nothing_that_is_deferred(
    database_url: str, database: Database
) -> None:
    """And whoever hangs up after it ends the statement of the second in PostgreSQL."""
    await fill(database, customers=1)

    async def run() -> None:
        with serving(GRAPH_DATABASE_URL=database_url) as server:
            async with locked_orders(database_url), httpx.AsyncClient(timeout=20) as http:
                headers = {"accept": "multipart/mixed"}
                asking = http.stream(
                    "POST", f"{server.url}/graphql", json={"query": LATER}, headers=headers
                )
                async with asking as response:
                    came = b""
                    async for chunk in response.aiter_raw():
                        came += chunk
                        if came.endswith(b"}\r\n---"):
                            break
                    assert b'"username":"user1"' in came
                    assert b"totalCount" not in came
                    await until(lambda: running(database_url))
                await until(nothing_runs)

    async def nothing_runs() -> bool:
        return not await running(database_url)

    await asyncio.wait_for(run(), 60)


async def test_the_deadline_ends_all_parts(
    settings: Settings, database: Database, database_url: str
) -> None:
    await fill(database, customers=1)
    hurried = settings.model_copy(update={"operation_timeout_seconds": 1.0})
    async with locked_orders(database_url), client_of(create_app(hurried)) as client:
        first, last = multipart(await post(client, "multipart/mixed", LATER))
        assert await all_returned(client.database)

    assert first["data"] == {"customers": {"nodes": [{"username": "user1"}]}}
    (completed,) = last["completed"]
    assert (completed["id"], last["hasNext"]) == (first["pending"][0]["id"], False)
    assert completed["errors"][0]["extensions"] == {"code": "TIMEOUT"}


async def test_a_store_that_fails_later_is_an_error_of_the_part(
    settings: Settings, database: Database, database_url: str
) -> None:
    """A statement that times out there: the parts that came stay."""
    await fill(database, customers=1)
    hurried = settings.model_copy(update={"statement_timeout_seconds": 2})
    async with locked_orders(database_url), client_of(create_app(hurried)) as client:
        first, last = multipart(await post(client, "multipart/mixed", LATER))

    assert first["data"] == {"customers": {"nodes": [{"username": "user1"}]}}
    (completed,) = last["completed"]
    (error,) = completed["errors"]
    assert error["extensions"]["code"] == "TIMEOUT"
    assert "canceling" not in error["message"]


async def test_a_part_that_cannot_be_encoded_ends_the_parts(shop: Client) -> None:
    with patch("graph.execution.running.parts._subsequent", return_value={1, 2}):
        first, last = multipart(await post(shop, "multipart/mixed"))

    assert first == FIRST
    (completed,) = last["completed"]
    assert (completed["id"], last["hasNext"]) == ("0", False)
    assert completed["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_a_client_that_does_not_read_holds_no_connection(
    database_url: str, database: Database
) -> None:
    """More than what fits on the way there; the pool has one connection."""
    await fill(database, customers=100)
    names = " ".join(f"{'a' * 500}{nth}: town" for nth in range(90))
    nodes = f"nodes @stream {{ {names} }}"
    lists = " ".join(f"l{nth}: customers(first: 100) {{ ...Towns }}" for nth in range(5))
    query = f"{{ {lists} }} fragment Towns on CustomerConnection {{ {nodes} }}"
    body = json.dumps({"query": query}).encode()
    environment = {
        "GRAPH_DATABASE_URL": database_url,
        "GRAPH_POOL_SIZE": "1",
        "GRAPH_POOL_TIMEOUT_SECONDS": "20",
        "GRAPH_CLIENT_TIMEOUT_SECONDS": "60",
    }
    with serving(**environment) as server, connected(server) as connection:
        head = HEAD + b"accept: multipart/mixed\r\ncontent-length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        begun = await asyncio.to_thread(connection.recv, 100)
        assert begun.startswith(b"HTTP/1.1 200")
        async with httpx.AsyncClient(timeout=60) as http:
            query = "{ items { totalCount } }"
            response = await http.post(f"{server.url}/graphql", json={"query": query})
        assert response.status_code == 200, response.text
