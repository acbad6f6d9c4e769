"""A server with streams whose results a test decides, and a WebSocket client without a library."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import uvicorn

from graph.app import create_app
from graph.execution.live.stream import StreamedResult
from graph.execution.running.request import Answer
from graph.server.protocol import BoundedProtocol
from graph.server.serve import bound_socket
from graph.server.socket_protocol import BoundedSocketProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.execution.running.execute import Execution
    from graph.execution.running.request import Request
    from graph.settings import Settings
    from graph.viewer import Viewer

SUBPROTOCOL = "graphql-transport-ws"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass
class Streams:
    """What subscriptions get, in place of events; `requests` are those that came.

    A subscription without `to` has no end. `taken` counts the results that the transport has taken.
    """

    open: int = 0
    taken: int = 0
    requests: list[tuple[Request, Viewer]] = field(default_factory=list)
    pushed: asyncio.Event = field(default_factory=asyncio.Event)


class CountingStream:
    """The numbers from 1, each as soon as it is taken; or as `pushed` has been set."""

    def __init__(self, streams: Streams, variables: dict[str, Any], after: str | None) -> None:
        self._streams = streams
        self._variables = variables
        self._at = int(after or 0)
        self.cursor: str | None = str(self._at)
        self._is_closed = False
        streams.open += 1

    async def next(self) -> StreamedResult | None:
        if self._variables.get("fails"):
            raise RuntimeError("a defect")
        if self._at == self._variables.get("to"):
            error = self._variables.get("error")
            if error is None:
                return None
            self._variables.pop("error")
            return StreamedResult(json.dumps({"errors": [error]}).encode())
        if self._variables.get("waits"):
            await self._streams.pushed.wait()
        self._at += 1
        self._streams.taken += 1
        padding = "x" * self._variables.get("bytes", 0)
        body: dict[str, Any] = {"data": {"count": self._at, "padding": padding}}
        if "beside" in self._variables:
            body["errors"] = self._variables["beside"]
        return StreamedResult(json.dumps(body).encode(), str(self._at))

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._streams.open -= 1


class StreamingExecution:
    """The server's execution; only subscriptions are the test's."""

    counts = None

    def __init__(self, execution: Execution, streams: Streams) -> None:
        self._execution = execution
        self._streams = streams
        self.limiters = execution.limiters

    async def answer(self, request: Request, viewer: Viewer) -> Answer:
        self._streams.requests.append((request, viewer))
        if not (request.query or "").startswith("subscription") or not request.takes_stream:
            return await self._execution.answer(request, viewer)
        if "nothing" in (request.query or ""):
            return await self._execution.answer(replace(request, query="{ nothing }"), viewer)
        after = request.last_event_id or request.variables.get("after")
        return Answer(b"", stream=CountingStream(self._streams, dict(request.variables), after))

    def live_cursor(self, viewer: Viewer) -> str | None:
        return "0" if viewer.may is None or "read" in str(viewer.may) else None


@dataclass
class StreamingServer:
    port: int
    streams: Streams
    server: uvicorn.Server
    state: dict[str, Any]

    @property
    def gauges(self) -> dict[str, int]:
        gauges: dict[str, int] = self.state["live_connections"].gauges
        return gauges

    async def until_idle(self) -> None:
        """Wait until nothing is open, and check that every gauge is back at zero."""
        for _ in range(200):
            if not any(self.gauges.values()) and not self.streams.open:
                break
            await asyncio.sleep(0.02)
        assert set(self.gauges.values()) == {0}, self.gauges
        assert self.streams.open == 0


@asynccontextmanager
async def streaming_server(
    settings: Settings, *, counts: bool = True
) -> AsyncIterator[StreamingServer]:
    """A server of this application, in this event loop, over real connections.

    Its subscriptions count, or they are the application's own.
    """
    streams, app = Streams(), create_app(settings)
    state: dict[str, Any] = {}

    async def with_streams(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            state["lifespan"] = scope["state"]
        elif counts:
            execution = StreamingExecution(scope["state"]["execution"], streams)
            scope["state"]["execution"] = execution
        await app(scope, receive, send)

    listener = bound_socket("127.0.0.1", 0)
    config = uvicorn.Config(
        with_streams,
        log_config=None,
        access_log=False,
        http=BoundedProtocol,
        ws=BoundedSocketProtocol,
        ws_max_size=settings.max_body_bytes,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=settings.ping_seconds,
        ws_per_message_deflate=settings.compress_sockets,
        timeout_graceful_shutdown=15,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield StreamingServer(listener.getsockname()[1], streams, server, state["lifespan"])
    finally:
        server.should_exit = True
        await task


class ClosedWith(Exception):
    """The server closed the connection: with this code, or (0) without a close frame."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class RawSocket:
    """A client of RFC 6455 that sends whatever a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.answers_pings = True

    def frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([fin << 7 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", size)
        keys = (mask * (size // 4 + 1))[:size]
        number = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
        self.writer.write(head + mask + number.to_bytes(size, "big"))

    def send(self, **message: Any) -> None:
        self.frame(TEXT, json.dumps(message).encode())

    def subscribe(self, id_: str, query: str, **variables: Any) -> None:
        payload = {"query": query, "variables": variables}
        self.send(id=id_, type="subscribe", payload=payload)

    async def read_frame(self, seconds: float = 10) -> tuple[int, bytes]:
        async with asyncio.timeout(seconds):
            try:
                first, second = await self.reader.readexactly(2)
                size = second & 127
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 15, await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                raise ClosedWith(0) from None

    async def receive(self, seconds: float = 10) -> dict[str, Any]:
        """The next message; pings are answered meanwhile.

        Raises:
            ClosedWith: the server closed the connection.
            TimeoutError: there was none.
        """
        while True:
            opcode, payload = await self.read_frame(seconds)
            if opcode == PING and self.answers_pings:
                self.frame(PONG, payload)
            elif opcode == CLOSE:
                raise ClosedWith(struct.unpack("!H", payload[:2])[0], payload[2:].decode())
            elif opcode == TEXT:
                message: dict[str, Any] = json.loads(payload)
                return message

    async def received(self, count: int) -> list[dict[str, Any]]:
        return [await self.receive() for _ in range(count)]

    async def closed(self, seconds: float = 10) -> tuple[int, str]:
        """The code and reason with which the server closes; messages before that are dropped."""
        try:
            while True:
                await self.receive(seconds)
        except ClosedWith as closed:
            return closed.code, closed.reason

    async def initialised(self, payload: Any = None) -> dict[str, Any]:
        self.send(type="connection_init", **({} if payload is None else {"payload": payload}))
        ack = await self.receive()
        assert ack["type"] == "connection_ack"
        return ack


@dataclass
class Handshake:
    status: int
    head: bytes
    body: bytes
    socket: RawSocket


async def shake_hands(
    port: int,
    *,
    path: str = "/graphql",
    subprotocol: str | None = SUBPROTOCOL,
    headers: dict[str, str] | None = None,
) -> Handshake:
    """The answer to a handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    if subprotocol is not None:
        fields["Sec-WebSocket-Protocol"] = subprotocol
    lines = [f"{name}: {value}" for name, value in (fields | (headers or {})).items()]
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
    async with asyncio.timeout(10):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            raise ClosedWith(0) from None
        status = int(head.split(b" ", 2)[1])
        body = b"" if status == 101 else await reader.read()
    if status != 101:
        writer.close()
    return Handshake(status, head, body, RawSocket(reader, writer))


@asynccontextmanager
async def raw_socket(
    port: int, *, initialised: bool = True, **options: Any
) -> AsyncIterator[RawSocket]:
    handshake = await shake_hands(port, **options)
    assert handshake.status == 101, handshake
    socket = handshake.socket
    try:
        if initialised:
            await socket.initialised()
        yield socket
    finally:
        socket.writer.close()
        with suppress(ConnectionError):
            await socket.writer.wait_closed()
