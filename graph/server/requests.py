"""What is read of an HTTP request, from the ASGI messages themselves.

Every request pays for what stands here, and Starlette's `Request` costs more than a look-up by key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from graph.errors import BodyTooLarge

if TYPE_CHECKING:
    from starlette.types import Receive, Scope


def header(scope: Scope, name: bytes) -> str:
    """A header's value, "" without one; what comes several times is one list (RFC 9110, 5.2)."""
    values = [value for key, value in scope["headers"] if key == name]
    return b",".join(values).decode("latin-1")


async def read_body(scope: Scope, receive: Receive, *, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: by its announced length, or as soon as it is over.
        ClientDisconnect: nobody waits for an answer.
    """
    announced = header(scope, b"content-length")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise BodyTooLarge(max_bytes)
    chunks, size_bytes = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise BodyTooLarge(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
