"""The application in this process, without HTTP's bytes: what Python does is seen alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette
    from starlette.types import Message


@dataclass(frozen=True)
class Application:
    """It has been started: its state is that of its lifespan."""

    app: Starlette
    state: dict[str, Any]

    async def ask(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Send requests, one after the other."""
        return [await self._answer(body) for body in bodies]

    async def _answer(self, body: bytes) -> bytes:
        request = _Exchange(body)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "query_string": b"",
            "headers": [
                (b"host", b"127.0.0.1"),
                (b"accept", b"application/json"),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
            "client": ("127.0.0.1", 1),
            "state": self.state.copy(),
        }
        await self.app(scope, request.receive, request.send)
        if request.status != 200:  # noqa: PLR2004
            raise AssertionError(request.body)
        return request.body


class _Exchange:
    """What the server sees of one request, and we of its answer."""

    __slots__ = ("_sent", "body", "status")

    def __init__(self, sent: bytes) -> None:
        self._sent: bytes | None = sent
        self.status, self.body = 0, b""

    async def receive(self) -> Message:
        if self._sent is None:  # the client stays
            await asyncio.get_running_loop().create_future()
        message = {"type": "http.request", "body": self._sent, "more_body": False}
        self._sent = None
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body = message["body"]
