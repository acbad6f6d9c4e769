"""Cross-Origin Resource Sharing (the Fetch standard, section 3.3): whose pages may call the API.

Starlette's middleware is not used: it does not say which setting admits an origin, and copies all
headers of every request and response.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from graph.errors import OriginNotAllowed
from graph.errors.root import shortened
from graph.server.headers import varying
from graph.server.requests import header
from graph.server.responses import error_response

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

_METHODS = b"GET, POST"
_REQUEST_METHOD = b"access-control-request-method"
_REQUEST_HEADERS = b"access-control-request-headers"
_VARY_PREFLIGHT = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
# Seconds that browsers keep the answer to a preflight. Chromium caps it there.
_MAX_AGE_SECONDS = b"7200"
_MAX_CACHED = 1_000
_MAX_ORIGIN_CHARS = 200


class Origins:
    """The origins whose pages may call the API. One per application."""

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        self.allowed = frozenset(allowed)
        self.allows_all = "*" in self.allowed
        # One line for each origin, unless there is a flood of them.
        self._log_once = lru_cache(_MAX_CACHED)(_log_refused)

    def allow(self, origin: str) -> bool:
        return self.allows_all or origin in self.allowed

    def log_refused(self, origin: str) -> None:
        self._log_once(shortened(origin, _MAX_ORIGIN_CHARS))


class CrossOrigin:
    """Answers preflight requests, and lets the pages of allowed origins read responses.

    Without any allowed origin it only logs those that are refused: no response differs by origin.
    The handshake of a WebSocket from another origin is refused.
    """

    def __init__(
        self, app: ASGIApp, origins: Origins, *, credentials: bool, exposed: tuple[str, ...]
    ) -> None:
        self._app = app
        self._origins = origins
        common = [(b"access-control-allow-credentials", b"true")] if credentials else []
        self._of_preflights = (
            *common,
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", _MAX_AGE_SECONDS),
            (b"vary", _VARY_PREFLIGHT),
        )
        exposed_headers = (b"access-control-expose-headers", ", ".join(exposed).encode())
        self._of_allowed = (*common, *([exposed_headers] if exposed else []))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._app(scope, receive, send)
        origin = header(scope, b"origin")
        if origin and not self._origins.allow(origin) and not is_same_origin(scope, origin):
            self._origins.log_refused(origin)
            if scope["type"] == "websocket":  # CORS does not apply to it: all pages could read it
                return error_response(OriginNotAllowed(origin))(scope, receive, send)
        if not self._origins.allowed or scope["type"] != "http":
            return self._app(scope, receive, send)
        if origin and _is_preflight(scope):
            return self._preflight(scope, receive, send, origin)
        return self._app(scope, receive, self._sending(origin, send))

    def _sending(self, origin: str, send: Send) -> Send:
        is_allowed = origin and self._origins.allow(origin)
        added = (self._allow(origin), *self._of_allowed) if is_allowed else ()

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *added]
                # A cache must not serve a response to one origin to another.
                varies = not self._origins.allows_all
                message["headers"] = varying(headers, b"Origin") if varies else headers
            return send(message)

        return send_with_headers

    async def _preflight(self, scope: Scope, receive: Receive, send: Send, origin: str) -> None:
        if not self._origins.allow(origin):
            refused = error_response(OriginNotAllowed(origin), ((b"vary", _VARY_PREFLIGHT),))
            await refused(scope, receive, send)
            return
        names = header(scope, _REQUEST_HEADERS).encode("latin-1")
        headers = [
            self._allow(origin),
            *([(b"access-control-allow-headers", names)] if names else []),
            *self._of_preflights,
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _allow(self, origin: str) -> tuple[bytes, bytes]:
        allowed = b"*" if self._origins.allows_all else origin.encode("latin-1")
        return b"access-control-allow-origin", allowed


def _log_refused(origin: str) -> None:
    logger.warning(
        "a page of the origin %s may not call the API: it is not in GRAPH_CORS_ORIGINS", origin
    )


def is_same_origin(scope: Scope, origin: str) -> bool:
    """Whether a page of this server sent the request, as far as its headers show."""
    site = header(scope, b"sec-fetch-site")
    if site:
        return site == "same-origin"
    return origin.partition("://")[2] == header(scope, b"host").lower()


def _is_preflight(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return scope["method"] == "OPTIONS" and _REQUEST_METHOD in names
