"""Answers in parts on the wire: as multipart, or as events.

Multipart is as in the RFC "Incremental Delivery over HTTP" of GraphQL over HTTP, events as in the
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
    """What stands around the parts. JSON has no line breaks, so nothing in it ends a part."""

    content_type: bytes
    begin: bytes
    before: bytes
    after: bytes
    end: bytes

    def message(self, part: bytes, *, goes_on: bool) -> Message:
        """A part after the first one."""
        body = self.before + part + self.after + (b"" if goes_on else self.end)
        return {"type": "http.response.body", "body": body, "more_body": goes_on}

    def one(self, part: bytes) -> bytes:
        """All of a stream that has one part."""
        return self.begin + self.before + part + self.after + self.end


# A boundary follows each part at once: clients take a part for whole when they have seen it.
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

# Proxies of the kind of nginx would keep the parts until there are more.
_UNBUFFERED = (b"x-accel-buffering", b"no")


async def send_parts(first: bytes, rest: Queue[tuple[bytes, bool]], wire: Wire, send: Send) -> None:
    """Send each part when it is there, and the end with the last one: clients hang up then."""
    headers = [(b"content-type", wire.content_type), _UNBUFFERED, (b"vary", b"Accept")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = wire.begin + wire.before + first + wire.after
    await send({"type": "http.response.body", "body": body, "more_body": True})
    goes_on = True
    while goes_on:
        part, goes_on = await rest.get()
        await send(wire.message(part, goes_on=goes_on))
