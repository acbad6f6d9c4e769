"""uvicorn's HTTP protocol, with the bounds that it lacks.

A head has a deadline, a size and a number of fields. A client that stops reading is disconnected. A
worker has so many connections, and an address so many of them. Data that arrives in one piece costs
a few comparisons: a timer starts only if something is still to come.
"""

from __future__ import annotations

import fcntl
import sys
import termios
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graph.server.client_key import is_within
from graph.server.cycle import Cycle
from graph.server.turns import Turns

if TYPE_CHECKING:
    import asyncio

    from graph.server.client_key import Network
    from graph.settings import Settings

# For the end of a stream to reach its client when the server shuts down.
_STREAM_END_SECONDS = 1.0
# In the scope of a request that was refused unread, as the worker has too many.
SHED = "graph.shed"
# So long is the client told to wait, and so long nothing is read from its connection.
_SHED_SECONDS = 1.0
_HEALTH = "/health/"
_VERSIONS = frozenset({"1.0", "1.1"})


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


@dataclass(slots=True)
class ConnectionLimits:
    """The bounds of one worker's connections, and the connections that they count."""

    client_timeout_seconds: float = 10.0
    max_head_bytes: int = 65_536
    max_head_fields: int = 100
    max_connections: int = 1_000
    max_connections_per_address: int = 256
    # Their connections are those of many clients.
    trusted_proxies: tuple[Network, ...] = ()
    by_address: Counter[str] = field(default_factory=Counter)
    # Connections without a complete request, oldest first.
    idle: dict[BoundedProtocol, None] = field(default_factory=dict)
    # Whether each answer ends its connection: the worker is about to end (`graph.server.drain`).
    are_closing: bool = False
    turns: Turns = field(default_factory=Turns)

    @classmethod
    def of(cls, settings: Settings) -> ConnectionLimits:
        return cls(
            settings.client_timeout_seconds,
            settings.max_head_bytes,
            settings.max_head_fields,
            settings.max_connections,
            settings.max_connections_per_address,
            settings.trusted_proxies,
        )

    def is_over(self, address: str) -> bool:
        """Whether an address has more connections than it may."""
        if self.by_address[address] <= self.max_connections_per_address:
            return False
        return not is_within(address, self.trusted_proxies)

    def leave(self, address: str) -> None:
        """Stop counting a connection of an address."""
        self.by_address[address] -= 1
        if self.by_address[address] <= 0:
            del self.by_address[address]


_DEFAULT_LIMITS = ConnectionLimits()


def _unacknowledged(transport: asyncio.Transport) -> int:
    """The bytes that the kernel has taken and the client has not; 0 if the system cannot tell."""
    size = bytearray(4)
    with suppress(OSError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, size)
    return int.from_bytes(size, sys.byteorder)


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
        self._head_bytes = self._chunk_bytes = 0
        self._rejection: bytes | None = None

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
        limits = self._limits
        limits.idle.pop(self, None)
        limits.leave(self._address)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._chunk_bytes = len(data)
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        # The parser keeps an unfinished field to itself, so its bytes are counted as they come.
        self._head_bytes += len(data)
        if self._head_bytes > self._limits.max_head_bytes:
            self._reject(_TOO_LARGE if self.headers else _TOO_LONG)
        elif self._timer is None:
            self._start()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; its address stays counted (`BoundedSocketProtocol`)."""
        self._stop()
        if self._is_answering or not self.url.isascii():
            self.send_400_response("The connection cannot be upgraded.")
            return
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
        if self._is_answering:  # nothing may stand inside that answer; it is the last one
            self.cycle.keep_alive = False
        elif self._rejection is None:
            super().send_400_response(msg)
        else:
            self.transport.write(self._rejection)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.max_head_bytes:
            self._refuse(_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            self._refuse(_VERSION)
        if len(self.headers) > self._limits.max_head_fields or self._is_head_too_large():
            self._refuse(_TOO_LARGE)
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (version == "1.1" and not hosts):
            self._refuse(_HOST)
        self._in_head, self._in_body = False, True
        self._limits.idle.pop(self, None)
        if self._timer is not None:
            self._stop()
        super().on_headers_complete()
        if self._limits.are_closing:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.__class__ = Cycle  # uvicorn makes one of its own
        turns, start = self._limits.turns, super()._start_asgi_task
        if turns.take() or cycle.scope["path"].startswith(_HEALTH):
            start(cycle, app)
        else:
            turns.wait(partial(start, cycle, app))

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._timer is not None:
            self._stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._limits.idle[self] = None
            if self.scope.get(SHED):
                self._rest()
        if self._in_body:
            self._start()

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
    def _is_answering(self) -> bool:
        """Whether an earlier request of this connection is still being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, response: bytes) -> None:
        self._rejection = response
        raise _HeadRejected

    def _reject(self, response: bytes) -> None:
        self._rejection = response
        self.send_400_response("")
