"""Middleware as plain ASGI: each class wraps an application and does one thing.

They read and write raw headers, since Starlette's header objects would cost more than all the rest.
Those that only pass a request on return what is awaited, and are no coroutines themselves.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from random import randbytes
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from graph.errors import HostNotAllowed
from graph.server.headers import missing_defaults
from graph.server.observing import log_requests, trace_id
from graph.server.requests import header
from graph.server.responses import error_response, internal_error
from graph.telemetry import Fields, milliseconds, request_id

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
# In the scope, once the response has begun.
_STATUS = "graph.status"
_MOST_PATH_CHARS = 200
_OK, _SWITCHING_PROTOCOLS = 200, 101
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class RequestLog:
    """Log each operation in one line, and add a request's id, its duration and the default headers.

    A request without an operation is a line as well. The id is the client's X-Request-ID if that is
    well-formed. Server-Timing holds the milliseconds until the response started, the log those
    until its end. A WebSocket is one request, and each of its operations is a line.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        id_ = header(scope, b"x-request-id")
        if not (id_ and _ACCEPTABLE_ID.fullmatch(id_)):
            id_ = _new_id()
        request_id.set(id_)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] in _STARTS:
                scope[_STATUS] = message.get("status", _SWITCHING_PROTOCOLS)
                duration_ms = (perf_counter() - began) * 1000
                headers = message.get("headers", ())
                message["headers"] = [
                    *headers,
                    *missing_defaults(headers),
                    (b"x-request-id", id_.encode()),
                    (b"server-timing", b"total;dur=%.1f" % duration_ms),
                ]
            return send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            seconds = perf_counter() - began
            status = scope.get(_STATUS, 0)
            if not log_requests(scope, status):
                _log(scope, status, seconds)


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Log a request without an operation; a healthy check is no news."""
    is_quiet = scope["path"].startswith("/health/") and status == _OK
    method = scope.get("method", "WEBSOCKET")
    path = scope["path"][:_MOST_PATH_CHARS]
    fields = Fields(method=method, path=path, status=status, ms=milliseconds(seconds))
    if trace := trace_id(scope):
        fields["trace_id"] = trace
    logger.log(logging.DEBUG if is_quiet else logging.INFO, fields)


class AllowedHosts:
    """Refuse requests for hosts that are not the server's (RFC 9110, section 7.2).

    A page that a browser loaded from a foreign name could otherwise reach a local server, once its
    DNS entry points to it.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        # Nearly all requests repeat one of a few texts.
        self._is_allowed = lru_cache(maxsize=128)(
            lambda host: not hosts.isdisjoint({host.lower(), _without_port(host)})
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            host = header(scope, b"host")
            if not self._is_allowed(host):
                return error_response(HostNotAllowed(host))(scope, receive, send)
        return self._app(scope, receive, send)


def _without_port(host: str) -> str:
    name, _, port = host.lower().rpartition(":")
    return (name if name and port.isdigit() else host.lower()).strip("[]").rstrip(".")


class ErrorMiddleware:
    """Mask unexpected exceptions: the client gets an error id, the log gets the traceback.

    It stands below `RequestLog`, which notes when a response has begun: nothing can mask it then.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            if _STATUS in scope or scope["type"] != "http":
                raise
            error_id = _new_id()
            logger.exception("error %s", error_id)
            await internal_error(error_id)(scope, receive, send)


class FastPath:
    """Route requests for one path directly to their endpoint, past Starlette's router.

    The router has the same route, for everything else that reads the routes; it is only slower.
    WebSockets have no other path.
    """

    def __init__(self, app: ASGIApp, path: str, endpoint: ASGIApp, sockets: ASGIApp) -> None:
        self._app = app
        self._path = path
        self._endpoint = endpoint
        self._sockets = sockets

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_for_it = scope.get("path") == self._path
        if scope["type"] == "websocket":
            app = self._sockets if is_for_it else PlainTextResponse("Not Found", 404)
        else:
            app = self._endpoint if is_for_it else self._app
        return app(scope, receive, send)


def _new_id() -> str:
    """A random id of 16 hexadecimal digits."""
    return randbytes(8).hex()  # noqa: S311  it is no secret
