"""Live connections that send too much, read nothing, or say nothing: each of them is bounded."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import serving
from tests.server.live import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    raw_socket,
    shake_hands,
    standstill,
    until,
)
from tests.server.test_live_limits import COUNT, changed, role_of, server

if TYPE_CHECKING:
    from tests.server.live import RawSocket, StreamingServer

__all__ = ["changed", "server"]


# What they may send


@pytest.mark.parametrize("changed", [{"max_body_bytes": 10_000}])
async def test_a_giant_message_closes_the_socket(server: StreamingServer) -> None:
    for pieces in (1, 20):
        async with raw_socket(server.port) as socket:
            piece = b"x" * (20_000 // pieces)
            for nth in range(pieces):
                socket.frame(0 if nth else TEXT, piece, fin=nth == pieces - 1)
            assert (await socket.closed())[0] == 1009


async def test_a_message_in_thousands_of_fragments_closes_the_socket(
    server: StreamingServer,
) -> None:
    async with raw_socket(server.port) as socket:
        socket.frame(TEXT, b"{", fin=False)
        for _ in range(5_000):
            socket.frame(0, b" ", fin=False)
        assert (await socket.closed())[0] == 1009


@pytest.mark.parametrize(
    "frame",
    [
        lambda socket: socket.frame(TEXT, b"{}", fin=False) or socket.frame(TEXT, b"{}"),
        lambda socket: socket.frame(0, b"{}"),
        lambda socket: socket.frame(3, b"{}"),
        lambda socket: socket.frame(PING, b"x" * 200),
        lambda socket: socket.writer.write(b"\x81\x02{}"),  # without a mask
        lambda socket: socket.writer.write(b"\xf1\x82abcd{}"),  # with reserved bits
        lambda socket: socket.frame(CLOSE, b"\x00"),
        lambda socket: socket.writer.write(os.urandom(5_000)),
    ],
)
async def test_malformed_frames_close_the_socket(
    server: StreamingServer, frame: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_socket(server.port) as socket:
        socket.subscribe("a", COUNT, waits=True)
        frame(socket)
        code, _ = await socket.closed()
    assert code in {0, 1002, 1007, 1009, 4400}
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Key": "AAAA"},
        {"X-Long": "x" * 10_000},
        {"Sec-WebSocket-Protocol": "graphql-transport-ws\xff"},
    ],
)
async def test_a_malformed_handshake_is_answered(
    server: StreamingServer, fields: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    handshake = await shake_hands(server.port, headers=fields)

    assert 400 <= handshake.status < 500
    assert "Traceback" not in caplog.text
    await server.until_no_address_is_connected()


async def test_a_flood_of_messages_delays_no_one_else(server: StreamingServer) -> None:
    async with raw_socket(server.port) as flooding, raw_socket(server.port) as other:
        before = resident_megabytes()
        one = json.dumps({"type": "ping"}).encode()
        end = asyncio.create_task(flood(flooding, lambda: flooding.frame(TEXT, one)))
        took = [await round_trip(other) for _ in range(20)]
        end.cancel()
        assert sorted(took)[10] < 1
        assert resident_megabytes() - before < 80
        flooding.writer.transport.abort()


@pytest.mark.parametrize("opcode", [PING, BINARY])
async def test_a_flood_of_frames_whose_answers_are_not_read_is_bounded(
    server: StreamingServer, opcode: int
) -> None:
    async with raw_socket(server.port) as socket:
        socket.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001
        before = resident_megabytes()
        end = asyncio.create_task(flood(socket, lambda: socket.frame(opcode, b"x" * 120)))
        await asyncio.sleep(1.5)
        end.cancel()
        assert resident_megabytes() - before < 40
        socket.writer.transport.abort()


async def flood(socket: RawSocket, write: Any) -> None:
    for _ in range(100_000):
        write()
        await socket.writer.drain()
        await asyncio.sleep(0)


async def round_trip(socket: RawSocket) -> float:
    began = time.monotonic()
    socket.send(type="ping")
    await socket.receive()
    return time.monotonic() - began


async def test_subscribing_and_completing_without_end_is_bounded(server: StreamingServer) -> None:
    async with raw_socket(server.port) as socket:
        for _ in range(2_000):
            socket.subscribe("a", COUNT, waits=True)
            socket.send(id="a", type="complete")
        socket.subscribe("b", COUNT, to=1)
        assert [message["id"] for message in await socket.received(2)] == ["b", "b"]
        assert server.streams.open <= 1


async def test_a_slow_reader_holds_back_its_own_results_only(server: StreamingServer) -> None:
    async with raw_socket(server.port) as slow, raw_socket(server.port) as quick:
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001
        before = resident_megabytes()
        for nth in range(20):
            slow.subscribe(str(nth), COUNT, bytes=100_000)
        taken = await standstill(lambda: server.streams.taken)
        assert resident_megabytes() - before < 60
        quick.subscribe("a", COUNT, to=100)
        assert len(await quick.received(101)) == 101
        slow.reader._transport.resume_reading()  # type: ignore[attr-defined]  # noqa: SLF001
        numbers = [message for message in await slow.received(taken + 100) if message["id"] == "0"]
        counts = [message["payload"]["data"]["count"] for message in numbers]
        assert counts == list(range(1, len(counts) + 1))


# Pings


@pytest.mark.parametrize("changed", [{"ping_seconds": 1.5}])
async def test_a_socket_is_pinged_and_a_dead_one_is_closed(server: StreamingServer) -> None:
    async with raw_socket(server.port) as alive, raw_socket(server.port) as dead:
        dead.answers_pings = False
        dead.subscribe("a", COUNT, waits=True)
        listening = asyncio.create_task(alive.receive())  # it answers pings meanwhile
        assert (await dead.closed())[0] == 1011
        assert not listening.done()
        listening.cancel()
        await asyncio.wait((listening,))
        assert await role_of(alive)


@pytest.mark.parametrize("changed", [{"ping_seconds": 0.3}])
async def test_a_dead_peer_that_reads_nothing_is_cut_off(server: StreamingServer) -> None:
    async with raw_socket(server.port) as dead:
        dead.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001
        dead.subscribe("a", COUNT, bytes=1_000_000)
        await until(lambda: server.gauges["subscriptions"] == 1)
        await server.until_idle()


# Memory


async def test_an_idle_subscription_takes_at_most_30_kilobytes(database_url: str) -> None:
    many = dict.fromkeys(MANY, "2000")
    manager = serving(GRAPH_DATABASE_URL=database_url, **many)
    server = await asyncio.to_thread(manager.__enter__)
    port, pid = int(server.url.rsplit(":", 1)[1]), str(server.process.pid)
    sockets: list[RawSocket] = []

    async def subscribe() -> None:
        socket = (await shake_hands(port)).socket
        await socket.initialised()
        socket.subscribe("a", "subscription { events { cursor node { databaseId } } }")
        sockets.append(socket)

    try:
        for _ in range(50):  # what all of them share
            await subscribe()
        await asyncio.sleep(1)
        before = resident_megabytes(pid)
        for _ in range(700):
            await subscribe()
        await asyncio.sleep(1)
        kilobytes = (resident_megabytes(pid) - before) * 1000 / 700
    finally:
        for socket in sockets:
            socket.writer.transport.abort()
        await asyncio.to_thread(manager.__exit__, None, None, None)
    assert kilobytes <= 32  # 29 by the thousand; memory comes in larger pieces


MANY = (
    "GRAPH_MAX_CONNECTIONS",
    "GRAPH_MAX_CONNECTIONS_PER_ADDRESS",
    "GRAPH_MAX_LIVE_CONNECTIONS",
    "GRAPH_MAX_LIVE_CONNECTIONS_PER_CLIENT",
)


def resident_megabytes(pid: str = "self") -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
