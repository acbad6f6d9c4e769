"""Subscriptions over HTTP: server-sent events in distinct mode, and Apollo's multipart."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.server.live import GRACE_SECONDS, standstill, streaming_server, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.settings import Settings
    from tests.server.live import StreamingServer

COUNT = "subscription ($to: Int) { count(to: $to) }"
EVENTS = "text/event-stream"
APOLLO = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[StreamingServer]:
    async with streaming_server(settings) as server:
        yield server
        await server.until_idle()


@dataclass
class Response:
    """An HTTP response whose body is read as it comes."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def chunk(self, seconds: float = 60) -> bytes:
        """The next chunk; empty at the end (RFC 9112, section 7.1)."""
        async with asyncio.timeout(seconds):
            size = int(await self.reader.readline(), 16)
            data = await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            return data

    async def rest(self, seconds: float = 60) -> bytes:
        """All that comes until the end of the response."""
        body = b""
        if "content-length" in self.headers:
            return await self.reader.readexactly(int(self.headers["content-length"]))
        while chunk := await self.chunk(seconds):
            body += chunk
        return body


@asynccontextmanager
async def requested(
    server: StreamingServer,
    query: str = COUNT,
    variables: dict[str, Any] | None = None,
    *,
    accept: str = EVENTS,
    method: str = "POST",
    **headers: str,
) -> AsyncIterator[Response]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body, target = b"", "/graphql"
    if method == "POST":
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
    else:
        target += "?" + urlencode({"query": query, "variables": json.dumps(variables or {})})
    fields = {
        "host": "localhost",
        "accept": accept,
        "content-type": "application/json",
        "content-length": str(len(body)),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {fields[key]}" for key in fields), "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    async with asyncio.timeout(60):
        start, *fields_got = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    got = dict(field.lower().split(": ", 1) for field in fields_got)
    try:
        yield Response(int(start.split(" ")[1]), got, reader, writer)
    finally:
        writer.close()


def events(body: bytes) -> list[tuple[str, str, str]]:
    """(id, event, data) of each block, read as a browser does (HTML, section 9.2.6)."""
    found, last_id, event, data = [], "", "", list[str]()
    for line in body.decode().split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                found.append((last_id, event or "message", "\n".join(data)))
            event, data = "", []
        elif name == "id":
            last_id = value
        elif name == "event":
            event = value
        elif name == "data":
            data.append(value)
    return found


def counted(number: int) -> str:
    return json.dumps({"data": {"count": number, "padding": ""}})


# Server-sent events


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_results_come_as_events_with_their_cursors(
    server: StreamingServer, method: str
) -> None:
    async with requested(server, variables={"to": 2}, method=method) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        body = await response.rest()

    assert body.startswith(b"id: 0\nretry: 1000\n\n:\n\n")
    assert events(body) == [
        ("1", "next", counted(1)),
        ("2", "next", counted(2)),
        ("2", "complete", ""),
    ]


async def test_last_event_id_resumes(server: StreamingServer) -> None:
    async with requested(server, variables={"to": 5}, last_event_id="3") as response:
        body = await response.rest()

    assert body.startswith(b"id: 3\n")
    assert [id_ for id_, *_ in events(body)] == ["4", "5", "5"]
    (request, _), *_ = server.streams.requests
    assert request.last_event_id == "3"


# The blank keeps it from the numbers that stand in for events elsewhere on this page.
REAL = " subscription { events { node { kind entity } } }"
CREATE = """mutation ($name: String!) { createItem(
  input: {name: $name, costPrice: "1.00", sellingPrice: "2.00"}) { __typename } }"""


async def test_a_browser_that_comes_back_misses_no_event(server: StreamingServer) -> None:
    async with requested(server, REAL) as response:
        start = (await response.chunk()).split(b"\n")[0].removeprefix(b"id: ").decode()
        response.writer.transport.abort()
    await created(server, "Kettle")
    async with requested(server, REAL, last_event_id=start) as response:
        await response.chunk()
        ((first, *event),) = events(await response.chunk())
        assert event == ["next", '{"data":{"events":{"node":{"kind":"CREATED","entity":"ITEM"}}}}']
        await created(server, "Pot")
        ((second, *_),) = events(await response.chunk())
    async with requested(server, REAL, last_event_id=first) as response:
        await response.chunk()
        ((again, *_),) = events(await response.chunk())
    assert len({start, first, second}) == 3
    assert again == second


async def created(server: StreamingServer, name: str) -> None:
    async with requested(server, CREATE, {"name": name}, accept="application/json") as response:
        assert b"ItemSaved" in await response.rest()


@pytest.mark.parametrize("query", ["{ nothing }", "subscription { nothing }", "{"])
async def test_an_error_before_the_execution_is_an_event(
    server: StreamingServer, query: str
) -> None:
    async with requested(server, query) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        (next_, complete) = events(await response.rest())

    assert next_[1] == "next"
    assert json.loads(next_[2])["errors"][0]["extensions"]["code"].startswith("GRAPHQL_")
    assert complete[1:] == ("complete", "")


async def test_a_query_is_one_event(server: StreamingServer) -> None:
    async with requested(server, "{ __typename }") as response:
        found = events(await response.rest())

    assert [each[1:] for each in found] == [
        ("next", '{"data":{"__typename":"Query"}}'),
        ("complete", ""),
    ]


async def test_a_mutation_by_get_is_refused_and_a_subscription_is_not(
    server: StreamingServer,
) -> None:
    async with requested(server, "mutation { __typename }", method="GET") as response:
        assert response.status == 405
    # A page of another site cannot cause one without a preflight.
    async with requested(server, method="GET", cookie="a=b", content_type="text/plain") as response:
        assert response.status == 400
        assert b"CSRF_PREVENTED" in await response.rest()
    assert server.streams.open == 0


async def test_a_subscription_needs_a_client_that_accepts_a_stream(
    server: StreamingServer,
) -> None:
    for accept in ("application/json", "*/*", "multipart/mixed, application/json"):
        async with requested(server, accept=accept) as response:
            errors = json.loads(await response.rest())["errors"]
        assert errors
        assert server.streams.open == 0


async def test_an_idle_stream_sends_comments(settings: Settings) -> None:
    quick = settings.model_copy(update={"ping_seconds": 0.1})
    async with (
        streaming_server(quick) as impatient,
        requested(impatient, variables={"waits": True}) as response,
    ):
        await response.chunk()
        assert [await response.chunk() for _ in range(3)] == [b":\n\n"] * 3
        impatient.streams.pushed.set()
        while (chunk := await response.chunk()) == b":\n\n":
            pass
        assert events(chunk) == [("1", "next", counted(1))]


async def test_a_client_that_goes_away_ends_its_stream(server: StreamingServer) -> None:
    async with requested(server, variables={"waits": True}) as response:
        await response.chunk()
        assert server.gauges["subscriptions"] == 1
        response.writer.transport.abort()

    await server.until_idle()


async def test_a_defect_ends_the_stream_and_is_logged(
    server: StreamingServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with requested(server, variables={"fails": True}) as response:
        body = await response.rest()

    next_, complete = events(body)
    assert complete[1] == "complete"
    (error,) = json.loads(next_[2])["errors"]
    assert error["message"] == "internal error"
    assert error["extensions"]["errorId"] in caplog.text


async def test_a_slow_reader_holds_back_the_results(server: StreamingServer) -> None:
    variables = {"bytes": 100_000}
    async with requested(server, variables=variables) as response:
        await response.chunk()
        taken = await standstill(lambda: server.streams.taken)
        assert 10 < taken < 500  # what the buffers of both ends hold
        for _ in range(taken):
            await response.chunk()
        await until(lambda: server.streams.taken > taken)
    await server.until_idle()


async def test_a_stream_outlives_the_timeout_of_operations(settings: Settings) -> None:
    short = {"operation_timeout_seconds": 1, "statement_timeout_seconds": 1}
    async with (
        streaming_server(settings.model_copy(update=short)) as server,
        requested(server, variables={"waits": True}) as response,
    ):
        await response.chunk()
        await asyncio.sleep(1.5)
        server.streams.pushed.set()
        assert events(await response.chunk()) == [("1", "next", counted(1))]


# Apollo's multipart


async def test_results_come_as_parts_with_a_payload(server: StreamingServer) -> None:
    async with requested(server, variables={"to": 2}, accept=APOLLO) as response:
        assert response.status == 200
        expected = 'multipart/mixed;boundary="graphql";subscriptionspec=1.0'
        assert response.headers["content-type"] == expected
        body = await response.rest()

    first, *parts, last = body.split(b"\r\n--graphql")
    assert (first, last) == (b"", b"--\r\n")
    contents = [part.split(b"\r\n\r\n") for part in parts]
    assert {head for head, _ in contents} == {b"\r\ncontent-type: application/json"}
    assert [json.loads(content) for _, content in contents] == [
        {},
        {"payload": json.loads(counted(1))},
        {"payload": json.loads(counted(2))},
    ]


async def test_an_idle_multipart_stream_sends_heartbeats(settings: Settings) -> None:
    quick = settings.model_copy(update={"ping_seconds": 0.1})
    async with (
        streaming_server(quick) as server,
        requested(server, variables={"waits": True}, accept=APOLLO) as response,
    ):
        await response.chunk()
        beat = b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql"
        assert [await response.chunk() for _ in range(3)] == [beat] * 3


async def test_an_error_before_the_execution_is_json_for_apollo(server: StreamingServer) -> None:
    async with requested(server, "subscription { nothing }", accept=APOLLO) as response:
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert json.loads(await response.rest())["errors"]
    only = "multipart/mixed;subscriptionSpec=1.0"
    async with requested(server, "subscription { nothing }", accept=only) as response:
        body = await response.rest()
    assert json.loads(body.split(b"\r\n\r\n")[1].split(b"\r\n")[0])["payload"]["errors"]


# Shutdown


@pytest.mark.parametrize("accept", [EVENTS, APOLLO])
async def test_shutdown_ends_streams_so_that_clients_come_back(
    settings: Settings, accept: str
) -> None:
    async with streaming_server(settings) as server:
        async with requested(server, variables={"waits": True}, accept=accept) as response:
            await response.chunk()
            began = asyncio.get_running_loop().time()
            server.server.should_exit = True
            body = await response.rest()
            assert b"complete" not in body
            assert b"--graphql--" not in body
            assert await response.reader.read() == b""
            assert asyncio.get_running_loop().time() - began < GRACE_SECONDS / 2
        await server.until_idle()


async def test_shutdown_does_not_wait_for_a_client_that_does_not_read(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    async with streaming_server(settings) as server, held_open(server):
        await standstill(lambda: server.streams.taken)
        began = loop.time()
    assert loop.time() - began < GRACE_SECONDS / 2


@asynccontextmanager
async def held_open(server: StreamingServer) -> AsyncIterator[None]:
    """A client that takes nothing of a large stream, and does not close its connection."""
    request = requested(server, variables={"bytes": 1_000_000})
    response = await request.__aenter__()
    response.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001
    yield
    server.server.should_exit = True
    while server.server.server_state.connections:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.05)
    await request.__aexit__(None, None, None)
