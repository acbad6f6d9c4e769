"""The wire formats of incremental delivery: multipart and server-sent events.

Multipart follows the RFC "Incremental Delivery over HTTP" of GraphQL over HTTP; events follow the
"distinct connections mode" of GraphQL over Server-Sent Events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.server.accept import EVENTS, MULTIPART

if TYPE_CHECKING:
    from asyncio import Queue

    from starlette.types import Message, Send


@dataclass(frozen=True, slots=True)
class Wire:
    """The delimiters of one format. orjson writes no line breaks, so none occurs within a part."""

    content_type: bytes
    begin: bytes
    before: bytes
    after: bytes
    end: bytes

    def message(self, part: bytes, *, goes_on: bool) -> Message:
        """The ASGI message for a part after the first."""
        body = self.before + part + self.after + (b"" if goes_on else self.end)
        return {"type": "http.response.body", "body": body, "more_body": goes_on}

    def one(self, part: bytes) -> bytes:
        """The whole body of a stream with one part."""
        return self.begin + self.before + part + self.after + self.end


# A boundary follows each part immediately: clients handle a part when its boundary has arrived.
WIRES = {
    MULTIPART: Wire(
        content_type=b'multipart/mixed; boundary="-"',
        begin=b"\r\n---",
        before=b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n",
        after=b"\r\n---",
        end=b"--\r\n",
    ),
    EVENTS: Wire(
        content_type=b"text/event-stream; charset=utf-8",
        begin=b"",
        before=b"event: next\ndata: ",
        after=b"\n\n",
        end=b"event: complete\ndata:\n\n",
    ),
}

# nginx would otherwise buffer the parts.
_UNBUFFERED = (b"x-accel-buffering", b"no")
_VARY = (b"vary", b"Accept, Authorization")


async def send_parts(first: bytes, rest: Queue[tuple[bytes, bool]], wire: Wire, send: Send) -> None:
    """Send `first`, then each (part, whether more follow) of `rest` as soon as it is queued.

    The end goes out with the last part: clients disconnect then.
    """
    headers = [(b"content-type", wire.content_type), _UNBUFFERED, _VARY]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = wire.begin + wire.before + first + wire.after
    await send({"type": "http.response.body", "body": body, "more_body": True})
    goes_on = True
    while goes_on:
        part, goes_on = await rest.get()
        await send(wire.message(part, goes_on=goes_on))
