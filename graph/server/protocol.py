"""uvicorn's HTTP protocol, with the bounds that it lacks.

A head has a deadline, a size and a number of fields. A client that stops reading is disconnected. A
worker has so many connections, and an address so many of them. Data that arrives in one piece costs
a few comparisons: a timer starts only if something is still to come, and the timer of an idle
connection stays as it is when a request comes.

What happens once per request is written out here rather than added to uvicorn's methods: each field
of a head would pay for both. `tests/server/test_protocol.py` compares the two.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graph.server.client_key import is_within
from graph.server.connection_limits import ConnectionLimits
from graph.server.cycle import Cycle

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

# For the end of a stream to reach its client when the server shuts down.
_STREAM_END_SECONDS = 1.0
# In the scope of a request that was refused unread, as the worker has too many.
SHED = "graph.shed"
# So long is the client told to wait, and so long nothing is read from its connection.
_SHED_SECONDS = 1.0
_HEALTH = "/health/"
_VERSIONS = frozenset({"1.0", "1.1"})
# Targets that differ from request to request are mostly longer.
_MAX_CACHED_TARGET = 256


def _response(status: HTTPStatus, text: str) -> bytes:
    """A response that ends the connection; it is written below ASGI."""
    body = f"{text}\r\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "content-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_SLOW = _response(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to be sent.")
_TOO_LONG = _response(HTTPStatus.REQUEST_URI_TOO_LONG, "The request target is too long.")
_TOO_LARGE = _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The header is too large.")
_HOST = _response(HTTPStatus.BAD_REQUEST, "HTTP/1.1 needs one Host header field.")
_VERSION = _response(HTTPStatus.BAD_REQUEST, "The version of HTTP must be 1.0 or 1.1.")


_DEFAULT_LIMITS = ConnectionLimits()


def _unacknowledged(transport: asyncio.Transport) -> int:
    """The bytes that the kernel has taken and the client has not; 0 if the system cannot tell."""
    size = bytearray(4)
    with suppress(OSError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, size)
    return int.from_bytes(size, sys.byteorder)


def _target(root_path: str, url: bytes) -> tuple[str, bytes, bytes]:
    """The path of a request's target, decoded and as it was sent, and its query."""
    parsed = parse_url(url)
    path = parsed.path.decode("ascii")
    return root_path + unquote(path), root_path.encode() + parsed.path, parsed.query or b""


_target_cached = lru_cache(maxsize=128)(_target)


class _HeadRejected(Exception):
    """The parser stops here; uvicorn takes it for a malformed request."""


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection that exceeds a bound.

    The head of a request must be complete in time, counted from its first byte (for the first
    request: from the connection). So must the rest of a body that was answered before its end. The
    endpoint bounds the time of all other bodies: it has an answer to that.

    Trailer fields are ignored (RFC 9110, section 6.5.1): they must not become header fields.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits: ConnectionLimits = self.app_state.get("connection_limits", _DEFAULT_LIMITS)
        self._address = ""
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._in_head = self._in_body = False
        self._head_bytes = self._chunk_bytes = self._hosts = 0
        # Of the data in which a head began: earlier requests are in it as well.
        self._bytes_of_others = 0
        self._idle_since = 0.0
        self._rejection: bytes | None = None
        # The one that is answered; `cycle` is the last one that was read.
        self._begun: Cycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        limits = self._limits
        self._address = self.client[0] if self.client else ""
        limits.by_address[self._address] += 1
        if limits.is_over(self._address):
            transport.abort()
            return
        if len(self.connections) > limits.max_connections:
            # The oldest one that is waiting for a request makes room.
            (next(iter(limits.idle), None) or self).transport.abort()
        limits.idle[self] = None
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._unset_keepalive_if_required()
        limits = self._limits
        limits.idle.pop(self, None)
        limits.leave(self._address)
        if self._begun is not None and not self._begun.response_complete:
            self._begun.disconnected = True
            self._begun.message_event.set()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._chunk_bytes = len(data)
        if not self._in_head:
            self._bytes_of_others = 0
        rest = self._read(data)
        while rest is not None and not self.transport.is_closing():
            self._read(self._head_without_upgrade())
            rest = self._read(rest)
        if not self._in_head or self.transport.is_closing():
            return
        # The parser keeps an unfinished field to itself, so its bytes are counted as they come.
        self._head_bytes += len(data)
        if self._head_bytes - self._bytes_of_others > self._limits.max_head_bytes:
            self._reject(_TOO_LARGE if self.headers else _TOO_LONG)
        elif self._timer is None:
            self._start()

    def _read(self, data: bytes | memoryview) -> memoryview | None:
        """Parse data; return what follows a request for a protocol that is not served here."""
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except HttpParserUpgrade as upgrade:
            if self._is_upgrade and not self._should_upgrade():
                return memoryview(data)[upgrade.args[0] :]
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        return None

    def _head_without_upgrade(self) -> bytes:
        """The head that was read, without its wish for another protocol, for a new parser.

        A server may ignore it (RFC 9110, section 7.8), but the parser takes a body for data of
        the other protocol. Java's client asks for HTTP/2 in each request.
        """
        version = self.parser.get_http_version().encode()
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)
        fields = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([line, *fields, b"", b""])

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; its address stays counted (`BoundedSocketProtocol`)."""
        self._stop()
        if self._is_answering or not self.url.isascii():
            self.send_400_response("The connection cannot be upgraded.")
            return
        self._unset_keepalive_if_required()
        super().handle_websocket_upgrade()
        # They refer to each other, and would stay until the next garbage collection.
        self.parser = None  # type: ignore[assignment]

    def shutdown(self) -> None:
        """End this connection, and with it all streams of this worker."""
        live_connections = self.app_state.get("live_connections")
        if live_connections is not None and not live_connections.is_draining:
            live_connections.drain()
        super().shutdown()
        if self._is_answering and self.scope["state"].get("is_stream"):
            # A client that does not read cannot be waited for.
            self.loop.call_later(_STREAM_END_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        if self._is_answering and not self._is_answer_due:
            # Nothing may stand inside or before that answer; it is the last one.
            self.cycle.keep_alive = False
        elif self._rejection is None:
            super().send_400_response(msg)
        else:
            self.transport.write(self._rejection)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = self._hosts = 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self._limits.max_head_bytes:
            self._refuse(_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser, limits = self.parser, self._limits
        version = parser.get_http_version()
        if version not in _VERSIONS:
            self._refuse(_VERSION)
        if len(self.headers) > limits.max_head_fields or self._is_head_too_large():
            self._refuse(_TOO_LARGE)
        if self._hosts > 1 or (version == "1.1" and not self._hosts):
            self._refuse(_HOST)
        self._in_head, self._in_body = False, True
        limits.idle.pop(self, None)
        if self._timer is not None:
            self._stop()
        self.scope = self._scope(version)
        if self._is_upgrade:
            return
        is_pipelined = self._is_answering
        can_stay = version == "1.1" and not limits.are_closing and parser.should_keep_alive()
        self.cycle = self._cycle(keep_alive=can_stay)
        if is_pipelined:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        else:
            self._start_asgi_task(self.cycle, self.app)

    def _scope(self, version: str) -> HTTPScope:
        target = _target_cached if len(self.url) <= _MAX_CACHED_TARGET else _target
        path, raw_path, query_string = target(self.root_path, self.url)
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query_string,
        }

    def _cycle(self, *, keep_alive: bool) -> Cycle:
        return Cycle(
            self.scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            keep_alive,
            self.on_response_complete,
        )

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._begun = cycle
        turns = self._limits.turns
        if turns.take(self.loop) or cycle.scope["path"].startswith(_HEALTH):
            self._run(cycle, app)
        else:
            turns.wait(partial(self._run, cycle, app))

    def _run(self, cycle: Any, app: Any) -> None:
        task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._bytes_of_others = self._chunk_bytes
        if self._timer is not None:
            self._stop()
        if not self._is_upgrade:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._limits.idle[self] = None
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._look_again(self.timeout_keep_alive)
        if self.scope.get(SHED):
            self._rest()
        if self._in_body:
            self._start()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for so long; else look again when it can be."""
        rest = float(self.timeout_keep_alive)
        if self in self._limits.idle and not self._in_head:
            rest -= self.loop.time() - self._idle_since
        if rest > 0:
            self._look_again(rest)
        else:
            self.transport.close()

    def _look_again(self, seconds: float) -> None:
        handler = self.timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(seconds, handler)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._watch_reader(None)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self.flow is not None:
            super().resume_writing()

    def _rest(self) -> None:
        """Read nothing for a while: a client that tries again at once would cost others' answers.

        A proxy's connections are those of many clients.
        """
        if not is_within(self._address, self._limits.trusted_proxies):
            self.flow.pause_reading()
            self.loop.call_later(_SHED_SECONDS, self.flow.resume_reading)

    def _watch_reader(self, before: int | None) -> None:
        """Abort if the client has read nothing for the whole time; else look again."""
        unread = self.transport.get_write_buffer_size() + _unacknowledged(self.transport)
        if before is not None and unread >= before:
            self.transport.abort()
            return
        seconds = self._limits.client_timeout_seconds
        self._stalled = self.loop.call_later(seconds, self._watch_reader, unread)

    def _start(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(self._limits.client_timeout_seconds, self._expire)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._reject(_TOO_SLOW)
        else:
            self.transport.close()

    def _is_head_too_large(self) -> bool:
        """Whether the head exceeds its bytes; what arrived with it is rarely that much."""
        most = self._limits.max_head_bytes
        if self._head_bytes + self._chunk_bytes <= most:
            return False
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > most

    @property
    def _is_upgrade(self) -> bool:
        """Whether the parser stops after this head, as the request is for another protocol."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    @property
    def _is_answering(self) -> bool:
        """Whether an earlier request of this connection is still being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_answer_due(self) -> bool:
        """Whether the body that is read is that of the next answer, which has not begun."""
        is_next = self._in_body and self.cycle.scope is self.scope and not self.pipeline
        return is_next and not self.cycle.response_started

    def _refuse(self, response: bytes) -> None:
        self._rejection = response
        raise _HeadRejected

    def _reject(self, response: bytes) -> None:
        self._rejection = response
        self.send_400_response("")
