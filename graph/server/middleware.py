"""What every request passes, as plain ASGI: each class wraps an app and does one thing."""

from __future__ import annotations

import logging
import re
import secrets
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from graph.errors import BodyTooLarge
from graph.server.responses import internal_error, refused
from graph.telemetry import request_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class RequestId:
    """Give each request an id, the client's own where it sends a sane one, and send it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        id_ = given if _ACCEPTABLE_ID.fullmatch(given) else secrets.token_hex(8)
        request_id.set(id_)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = id_
            await send(message)

        await self._app(scope, receive, send_with_id)


class Timing:
    """Log one line a request, and tell the client how long the server took (Server-Timing)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 0

        async def send_timed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                duration_ms = (perf_counter() - began) * 1000
                MutableHeaders(scope=message)["server-timing"] = f"total;dur={duration_ms:.1f}"
            await send(message)

        try:
            await self._app(scope, receive, send_timed)
        finally:
            duration_ms = (perf_counter() - began) * 1000
            logger.info("%s %s %s %.1f ms", scope["method"], scope["path"], status, duration_ms)


class Masking:
    """Answer what nobody foresaw: the client gets an id, the log gets the cause."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            error_id = secrets.token_hex(8)
            logger.exception("error %s", error_id)
            await internal_error(error_id)(scope, receive, send)


class BodyLimit:
    """Refuse a body over the limit with 413: by its announced length, or as soon as it is over."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            await refused(BodyTooLarge(self._max_bytes))(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise BodyTooLarge(self._max_bytes)
            return message

        await self._app(scope, receive_limited, send)
