"""A request is read as uvicorn reads it, and an idle connection ends when it should."""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from graph.server.connection_limits import ConnectionLimits
from graph.server.protocol import BoundedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = b"Host: localhost\r\n"
BODY = b'{"query":"{ __typename }"}'
CHUNKED = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"


class Transport:
    """Keeps what is written, and whether it is closed."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.written += b"".join(pieces)

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str) -> Any:
        return ("10.0.0.1", 50_000) if name == "peername" else None

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class Timer:
    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due, self.call, self.is_cancelled = due, call, False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """The running event loop, but its time passes when a test says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[Timer] = []
        running = asyncio.get_running_loop()
        self.call_soon, self.create_task = running.call_soon, running.create_task

    def time(self) -> float:
        return self._now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self._timers.append(Timer(self._now + seconds, call))
        return self._timers[-1]

    def pass_seconds(self, seconds: float) -> None:
        end = self._now + seconds
        while due := sorted((timer for timer in self.timers if timer.due <= end), key=by_due):
            self._timers.remove(due[0])
            self._now = due[0].due
            due[0].call()
        self._now = end

    @property
    def timers(self) -> list[Timer]:
        return [timer for timer in self._timers if not timer.is_cancelled]


by_due = attrgetter("due")


class Application:
    """Answers with the path, and keeps the requests; one for `/slow` waits for `end`."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, Any], bytes]] = []
        self.end = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.requests.append((scope, body))
        if scope["path"] == "/slow":
            await self.end.wait()
        answer = scope["path"].encode()
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def connection(
    protocol_type: type[HttpToolsProtocol],
    app: Any,
    *,
    limits: ConnectionLimits | None = None,
    loop: Any = None,
    **options: Any,
) -> tuple[HttpToolsProtocol, Transport]:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, proxy_headers=False, lifespan="off", **options
    )
    state = {"connection_limits": limits or ConnectionLimits()}
    protocol = protocol_type(config=config, server_state=ServerState(), app_state=state, _loop=loop)
    transport: Any = Transport()
    protocol.connection_made(transport)
    return protocol, transport


async def answered(protocol: HttpToolsProtocol) -> None:
    """Wait until all requests that have come are answered; they need no more than these turns."""
    for _ in range(100):
        await asyncio.sleep(0)
    assert not protocol.tasks


def post(*fields: bytes, body: bytes = b"", target: bytes = b"/graphql") -> bytes:
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + b"".join(fields) + b"\r\n" + body


@pytest.mark.parametrize(
    "request_",
    [
        GET,
        GET + GET,  # pipelined
        post(b"Content-Length: %d\r\n" % len(BODY), body=BODY),
        post(b"Transfer-Encoding: chunked\r\n", body=CHUNKED),
        post(b"Content-Length: 3\r\nExpect: 100-continue\r\n", body=b"abc"),
        post(b"Content-Length: 3\r\nExpect: 100-continue\r\nExpect: x\r\n", body=b"abc"),
        post(b"Content-Length: 0\r\nX-Twice: a\r\nx-twice: B\r\nX-Empty:\r\nX-Byte: \xff\r\n"),
        post(b"Content-Length: 0\r\nConnection: close\r\n"),
        post(b"Content-Length: 0\r\n", target=b"/a%20b/%C3%A9?query=%7B+a+%7D&b=%20"),
        post(b"Content-Length: 0\r\n", target=b"/" + b"a" * 300 + b"?" + b"b" * 300),
        post(b"Content-Length: 0\r\n", target=b"http://localhost:8000/graphql?a"),
        b"GET /old HTTP/1.0\r\n\r\n",
        b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"NOTHING / HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
@pytest.mark.parametrize("root_path", ["", "/api"])
@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
async def test_a_request_is_read_as_uvicorn_reads_it(
    request_: bytes, root_path: str, piece_bytes: int
) -> None:
    seen = []
    for protocol_type in (BoundedProtocol, HttpToolsProtocol):
        app = Application()
        protocol, transport = connection(protocol_type, app, root_path=root_path)
        for at in range(0, len(request_), piece_bytes):
            if not transport.is_closed:
                protocol.data_received(request_[at : at + piece_bytes])
        await answered(protocol)
        # The limits of a connection are counted, so they differ.
        requests = [({**scope, "state": set(scope["state"])}, body) for scope, body in app.requests]
        seen.append((requests, transport.written, transport.is_closed))
        protocol.connection_lost(None)
    ours, theirs = seen

    assert ours == theirs


@pytest.mark.parametrize(
    ("fields", "sent", "body"),
    [
        ((), b"", b""),
        ((b"Content-Length: 3\r\n",), b"abc", b"abc"),
        ((b"Transfer-Encoding: chunked\r\n",), CHUNKED, b"abcdefg"),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
async def test_a_request_for_another_protocol_is_read_as_one_for_this(
    fields: tuple[bytes, ...], sent: bytes, body: bytes, piece_bytes: int
) -> None:
    """As Java's client sends all of its requests."""
    app = Application()
    protocol, transport = connection(BoundedProtocol, app)
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
    request = post(upgrade, *fields, body=sent)
    data = request * 2 + GET
    for at in range(0, len(data), piece_bytes):
        protocol.data_received(data[at : at + piece_bytes])
    await answered(protocol)

    assert [(scope["path"], body) for scope, body in app.requests] == [
        ("/graphql", body),
        ("/graphql", body),
        ("/a", b""),
    ]
    assert transport.written.count(b"HTTP/1.1 200 OK") == 3
    assert not transport.is_closed
    protocol.connection_lost(None)


@pytest.mark.parametrize("protocol_type", [BoundedProtocol, HttpToolsProtocol])
@pytest.mark.parametrize("pieces", [(b"zz\r\n",), (b"3\r\nabc\r\n", b"zz\r\n")])
async def test_a_malformed_body_is_refused_at_once(
    protocol_type: type[HttpToolsProtocol], pieces: tuple[bytes, ...]
) -> None:
    app = Application()
    protocol, transport = connection(protocol_type, app)

    protocol.data_received(post(b"Transfer-Encoding: chunked\r\n"))
    for piece in pieces:
        await asyncio.sleep(0)
        protocol.data_received(piece)

    assert transport.written.startswith(b"HTTP/1.1 400 ")
    assert transport.is_closed
    protocol.connection_lost(None)
    await answered(protocol)
    assert not app.requests


async def test_a_malformed_body_does_not_take_the_place_of_an_earlier_answer() -> None:
    app = Application()
    protocol, transport = connection(BoundedProtocol, app)

    protocol.data_received(GET.replace(b"/a", b"/slow"))
    protocol.data_received(post(b"Transfer-Encoding: chunked\r\n", body=b"zz\r\n"))
    app.end.set()
    for _ in range(100):
        await asyncio.sleep(0)

    assert transport.written == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n/slow"
    protocol.connection_lost(None)
    await answered(protocol)


async def test_half_a_head_after_many_requests_is_not_too_large() -> None:
    app = Application()
    limits = ConnectionLimits(max_head_bytes=100)
    protocol, transport = connection(BoundedProtocol, app, limits=limits)

    protocol.data_received(GET * 20 + GET[:10])
    protocol.data_received(GET[10:])
    await answered(protocol)

    assert len(app.requests) == 21
    assert not transport.is_closed
    protocol.data_received(GET * 20 + GET[:10] + b"a" * 101)
    protocol.data_received(GET[10:])
    await answered(protocol)
    assert len(app.requests) == 41
    assert transport.is_closed
    protocol.connection_lost(None)


async def test_a_client_that_leaves_ends_the_request_that_is_answered() -> None:
    left = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        left.append((await receive())["type"])

    protocol, _ = connection(BoundedProtocol, app)
    protocol.data_received(GET + GET)
    for _ in range(10):
        await asyncio.sleep(0)

    protocol.connection_lost(None)
    await answered(protocol)

    assert left == ["http.disconnect"]


async def test_the_state_of_a_request_is_its_own() -> None:
    app = Application()
    protocol, _ = connection(BoundedProtocol, app)

    protocol.data_received(GET)
    await answered(protocol)
    app.requests[0][0]["state"]["is_stream"] = True
    protocol.data_received(GET)
    await answered(protocol)

    assert "is_stream" not in app.requests[1][0]["state"]
    protocol.connection_lost(None)


async def test_an_idle_connection_is_closed_so_long_after_its_last_answer() -> None:
    """One timer is kept for all requests of a connection."""
    loop = Loop()
    protocol, transport = connection(
        BoundedProtocol, Application(), loop=loop, timeout_keep_alive=60
    )

    for _ in range(4):
        protocol.data_received(GET)
        await answered(protocol)
        loop.pass_seconds(59)
        assert not transport.is_closed
        assert len(loop.timers) == 1
    loop.pass_seconds(0.5)
    assert not transport.is_closed
    loop.pass_seconds(0.5)
    assert transport.is_closed

    protocol.connection_lost(None)
    assert not loop.timers


async def test_a_connection_that_is_being_answered_is_not_idle() -> None:
    app, limits, loop = Application(), ConnectionLimits(), Loop()
    protocol, transport = connection(
        BoundedProtocol, app, limits=limits, loop=loop, timeout_keep_alive=60
    )

    # The first answer starts the timer.
    protocol.data_received(GET)
    await answered(protocol)
    assert list(limits.idle) == [protocol]
    protocol.data_received(GET.replace(b"/a", b"/slow"))
    loop.pass_seconds(200)
    assert not transport.is_closed
    assert not limits.idle

    app.end.set()
    await answered(protocol)
    assert transport.written.endswith(b"/slow")
    assert list(limits.idle) == [protocol]
    loop.pass_seconds(59)
    assert not transport.is_closed
    loop.pass_seconds(1)
    assert transport.is_closed
    protocol.connection_lost(None)


async def test_a_connection_with_a_pipelined_request_is_not_idle() -> None:
    """It must not make room for another one."""
    app, limits = Application(), ConnectionLimits()
    protocol, transport = connection(BoundedProtocol, app, limits=limits)

    protocol.data_received(GET + GET.replace(b"/a", b"/slow"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert transport.written.endswith(b"/a")
    assert not limits.idle

    app.end.set()
    await answered(protocol)
    assert transport.written.endswith(b"/slow")
    assert list(limits.idle) == [protocol]
    protocol.connection_lost(None)


async def test_blank_lines_do_not_keep_a_connection() -> None:
    loop = Loop()
    protocol, transport = connection(
        BoundedProtocol, Application(), loop=loop, timeout_keep_alive=60
    )

    protocol.data_received(GET)
    await answered(protocol)
    protocol.data_received(b"\r\n")
    loop.pass_seconds(60)

    assert transport.is_closed
    protocol.connection_lost(None)


async def test_a_lost_connection_leaves_no_timer() -> None:
    loop = Loop()
    protocol, _ = connection(BoundedProtocol, Application(), loop=loop)

    protocol.data_received(GET)
    await answered(protocol)
    protocol.connection_lost(ConnectionResetError())

    assert not loop.timers
