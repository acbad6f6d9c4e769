"""Hostile clients of subscriptions: what they can hold, send and reach."""

from __future__ import annotations

import asyncio
import json
import os
import zlib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.conftest import serving
from tests.server.live import (
    CLOSE,
    PING,
    TEXT,
    RawSocket,
    raw_socket,
    shake_hands,
    streaming_server,
)
from tests.server.test_event_streams import requested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.database.embedded import Cluster
    from graph.settings import Settings
    from tests.conftest import LiveServer
    from tests.server.live import StreamingServer

SHOP = "https://shop.example"
EVENTS = "subscription { events { cursor } }"
FILTERED = "subscription ($s: String) { events(where: {actor: {eq: $s}}) { cursor } }"


@pytest.fixture
def changed() -> dict[str, Any]:
    """The settings of the server under test; tests override it."""
    return {}


@pytest.fixture
async def server(settings: Settings, changed: dict[str, Any]) -> AsyncIterator[StreamingServer]:
    values = settings.model_dump() | {"database_url": settings.database_url} | changed
    async with streaming_server(type(settings).model_validate(values)) as server:
        yield server
        await server.until_idle()


@pytest.fixture(scope="module")
def public(live_server: LiveServer, cluster: Cluster) -> Iterator[LiveServer]:
    """A server in a process of its own, whose memory and time can be measured."""
    assert live_server.url  # its store is used
    with serving(GRAPH_DATABASE_URL=cluster.url("live_store")) as server:
        yield server


def port_of(server: LiveServer) -> int:
    return int(server.url.rsplit(":", 1)[1])


def megabytes(server: LiveServer) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_seconds(server: LiveServer) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def in_turn(socket: RawSocket) -> None:
    """Wait until the server has read everything that was sent before."""
    socket.send(type="ping")
    while (await socket.receive(60))["type"] != "pong":
        pass


# What a subscription keeps

LARGE: dict[str, dict[str, Any]] = {
    "unknown members": {"query": EVENTS, "junk": [[]] * 200_000},
    "undeclared variables": {"query": EVENTS, "variables": {"s": "a" * 490_000}},
}


@pytest.mark.parametrize("name", LARGE)
async def test_a_subscription_keeps_only_what_its_query_reads(
    public: LiveServer, name: str
) -> None:
    async with raw_socket(port_of(public)) as socket:
        for nth in range(95):
            socket.send(id=f"{nth}", type="subscribe", payload=LARGE[name])
            await in_turn(socket)
            if nth == 4:  # what all of them share, and what the allocator keeps
                before = megabytes(public)
        assert megabytes(public) - before < 38  # 5 to 27; else 50 and 1,300


async def test_large_variables_of_a_subscription_are_refused(public: LiveServer) -> None:
    async with raw_socket(port_of(public)) as socket:
        socket.subscribe("a", FILTERED, s="a" * 30_000)
        error = await socket.receive()
        assert error["payload"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"
        socket.subscribe("a", FILTERED, s="a" * 10_000)  # a smaller one lasts
        await in_turn(socket)
        socket.subscribe("a", EVENTS)
        assert (await socket.closed())[0] == 4409


# How many


async def test_a_client_with_1000_subscriptions_delays_no_one(public: LiveServer) -> None:
    began = processor_seconds(public)
    async with AsyncExitStack() as held:
        sockets = [await held.enter_async_context(raw_socket(port_of(public))) for _ in range(11)]
        for socket in sockets[:10]:
            for nth in range(100):
                socket.subscribe(f"{nth}", EVENTS)
            await in_turn(socket)
        sockets[10].subscribe("a", EVENTS)
        error = await sockets[10].receive()
        assert error["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
        assert processor_seconds(public) - began < 5  # 0.5, a subscription half a millisecond
        await all_hear_of_a_change(public, sockets[:10])
        assert (await asyncio.to_thread(httpx.get, f"{public.url}/health/ready")).is_success


async def all_hear_of_a_change(server: LiveServer, sockets: list[RawSocket]) -> None:
    """One change, one statement, and a message for each subscription."""
    before = processor_seconds(server)
    answer = await asyncio.to_thread(httpx.post, f"{server.url}/graphql", json={"query": CREATE})
    customer = answer.json()["data"]["createCustomer"]["customer"]
    for socket in sockets:
        ids = set[str]()
        while len(ids) < 100:
            message = await socket.receive(20)
            assert message["type"] == "next"
            ids.add(message["id"])
    assert processor_seconds(server) - before < 3
    deleted = {"query": DELETE, "variables": customer}  # others use this store too
    answer = await asyncio.to_thread(httpx.post, f"{server.url}/graphql", json=deleted)
    assert answer.json()["data"]["deleteCustomer"]["__typename"] == "CustomerDeleted"


CREATE = """mutation { createCustomer(input: {firstName: "A", lastName: "B", username: "thousand",
  email: "thousand@x.example", address: "C", town: "D"})
  { ... on CustomerSaved { customer { id version } } } }"""
DELETE = """mutation ($id: ID!, $version: Int!) { deleteCustomer(input: {id: $id,
  expectedVersion: {version: $version}}) { __typename } }"""


@pytest.mark.parametrize("changed", [{"max_live_connections": 20}])
async def test_handshakes_without_more_give_their_places_back(server: StreamingServer) -> None:
    silent = [(await shake_hands(server.port)).socket for _ in range(20)]
    assert (await shake_hands(server.port)).status == 429
    async with requested(server, "{ __typename }") as response:
        assert response.status == 200

    for socket in silent:  # a ping puts nothing off
        socket.send(type="ping")
    for socket in silent:
        assert (await socket.closed())[0] == 4408
        socket.writer.close()
    await server.until_idle()
    async with raw_socket(server.port):
        pass


async def test_handshakes_that_are_broken_off_leave_nothing(server: StreamingServer) -> None:
    for nth in range(150):
        socket = (await shake_hands(server.port)).socket
        if nth % 3 == 0:
            socket.send(type="connection_init")
        if nth % 3 == 1:
            socket.writer.write(b"\x81")  # half of a frame
        socket.writer.transport.abort()
    await server.until_idle()
    await server.until_no_address_is_connected()


# What frames

FRAMES: dict[str, tuple[Any, set[int]]] = {
    "a closing reason that is no UTF-8": (lambda s: s.frame(CLOSE, b"\x03\xe8\xff\xfe"), {1007}),
    "a closing code that may not be sent": (lambda s: s.frame(CLOSE, b"\x03\xed"), {1002}),
    "a closing code that is none": (lambda s: s.frame(CLOSE, b"\x00\x01"), {1002}),
    "a long closing reason": (lambda s: s.frame(CLOSE, b"\x03\xe8" + b"a" * 200), {1002}),
    "a ping in fragments": (lambda s: s.frame(PING, b"a", fin=False), {1002}),
    "half a character": (lambda s: s.frame(TEXT, b'{"type":"\xe2\x82"}'), {1007}),
    "a surrogate": (lambda s: s.frame(TEXT, b'"\xed\xa0\x80"'), {1007}),
    "an overlong form": (lambda s: s.frame(TEXT, b'"\xc0\xaf"'), {1007}),
    "a compressed frame": (lambda s: s.frame(0x40 | TEXT, deflated(b'{"type":"ping"}')), {1002}),
    "a frame of 2^63 bytes": (
        lambda s: s.writer.write(b"\x81\xff" + b"\xff" * 8 + b"abcd"),
        {1002, 1009},
    ),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_frame_out_of_rule_closes_the_socket(
    server: StreamingServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    write, codes = FRAMES[name]
    async with raw_socket(server.port) as socket:
        write(socket)
        assert (await socket.closed())[0] in codes
    assert "Traceback" not in caplog.text


async def test_a_character_may_be_split_between_fragments(server: StreamingServer) -> None:
    text = '{"type":"ping","payload":{"a":"€"}}'.encode()
    cut = text.index(b"\x82")
    async with raw_socket(server.port) as socket:
        socket.frame(TEXT, text[:cut], fin=False)
        socket.frame(0, text[cut:])
        assert await socket.receive() == {"type": "pong", "payload": {"a": "€"}}


def deflated(text: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("changed", [{"compress_sockets": True, "max_body_bytes": 100_000}])
async def test_a_compressed_bomb_is_not_unpacked(server: StreamingServer) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    bomb = deflated(b" " * 80_000_000)  # 80 KB
    before = peak_megabytes()
    for pieces in (1, 8):
        async with raw_socket(server.port, initialised=False, headers=offer) as socket:
            size = -(-len(bomb) // pieces)
            for nth in range(pieces):
                head = 0 if nth else 0x40 | TEXT
                piece = bomb[nth * size : (nth + 1) * size]
                socket.frame(head, piece, fin=nth == pieces - 1)
            assert (await socket.closed())[0] == 1009
    assert peak_megabytes() - before < 40


@pytest.mark.parametrize("changed", [{"compress_sockets": True}])
async def test_garbage_in_place_of_a_compressed_message_closes_the_socket(
    server: StreamingServer, caplog: pytest.LogCaptureFixture
) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    async with raw_socket(server.port, initialised=False, headers=offer) as socket:
        socket.frame(0x40 | TEXT, b"\xff" * 300)
        assert (await socket.closed())[0] in {1002, 1007}
    assert "Traceback" not in caplog.text


def peak_megabytes() -> float:
    """The most memory that this process has had."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


# EventSource

BROWSER: dict[str, Any] = {
    "sec_fetch_mode": "cors",
    "sec_fetch_dest": "empty",
    "cache_control": "no-cache",
}
EVENT_SOURCE = BROWSER | {"content_type": "", "last_event_id": "0"}


@pytest.mark.parametrize("changed", [{"cors_origins": (SHOP,)}])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "https://evil.shop.example", "sec_fetch_site": "same-site"},
        {"origin": "https://shop.example.evil", "sec_fetch_site": "cross-site"},
        {"origin": "null", "sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example"},  # an old browser
        {"referer": "https://evil.example/"},
        {"cookie": "a=b"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},  # an image
    ],
)
async def test_an_event_source_of_a_foreign_page_gets_no_stream(
    server: StreamingServer, headers: dict[str, Any]
) -> None:
    count = "subscription { count }"
    async with requested(server, count, method="GET", **EVENT_SOURCE | headers) as response:
        assert response.status == 400
        body = json.loads(await response.rest())
        assert body["errors"][0]["extensions"]["code"] == "CSRF_PREVENTED"
        assert "access-control-allow-origin" not in response.headers
    assert server.streams.requests == []


@pytest.mark.parametrize("changed", [{"cors_origins": (SHOP,)}])
async def test_an_event_source_of_an_allowed_page_gets_one(server: StreamingServer) -> None:
    headers = EVENT_SOURCE | {"origin": SHOP, "sec_fetch_site": "cross-site"}
    async with requested(server, "subscription { count }", method="GET", **headers) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == SHOP
        assert "origin" in response.headers["vary"].lower()


# What else the port has


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/graphql/../metrics", "/health", "/debug", "/docs", "/.env", "/webhooks"],
)
async def test_the_public_port_has_nothing_for_operators(
    server: StreamingServer, path: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404 ")
