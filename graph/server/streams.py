"""The wire formats of incremental delivery and of subscriptions over HTTP.

Multipart follows the RFC "Incremental Delivery over HTTP" of GraphQL over HTTP; events follow the
"distinct connections mode" of GraphQL over Server-Sent Events; subscriptions over multipart follow
Apollo's "Multipart HTTP protocol for GraphQL subscriptions".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from graph.server.accept import EVENTS, MULTIPART, SUBSCRIPTIONS

if TYPE_CHECKING:
    from asyncio import Queue

    from starlette.types import Message, Send


@dataclass(frozen=True, slots=True)
class Wire:
    """The delimiters of one format. orjson writes no line breaks, so none occurs within a part.

    An idle stream sends a `heartbeat` from time to time.
    """

    content_type: bytes
    begin: bytes
    before: bytes
    after: bytes
    end: bytes
    heartbeat: bytes = b""
    heartbeat_seconds: float = 0.0
    # Surround the errors for which the server ends a subscription.
    before_errors: bytes = b""
    after_errors: bytes = b""
    # Whether each result has the cursor from which a stream goes on.
    has_ids: bool = False

    def message(self, part: bytes, *, goes_on: bool) -> Message:
        """The ASGI message for a part after the first."""
        body = self.before + part + self.after + (b"" if goes_on else self.end)
        return {"type": "http.response.body", "body": body, "more_body": goes_on}

    def goodbye(self, error: dict[str, Any], *, for_good: bool) -> bytes:
        """The end of a subscription because of an error.

        Without `for_good`, a client that comes back by itself may do so, with another token.
        """
        end = self.end if for_good or not self.has_ids else b""
        return self.before_errors + orjson.dumps([error]) + self.after_errors + end

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
        heartbeat=b":\n\n",
        heartbeat_seconds=15.0,
        before_errors=b'event: next\ndata: {"errors":',
        after_errors=b"}\n\n",
        has_ids=True,
    ),
    SUBSCRIPTIONS: Wire(
        content_type=b'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
        begin=b"\r\n--graphql",
        before=b'\r\ncontent-type: application/json\r\n\r\n{"payload":',
        after=b"}\r\n--graphql",
        end=b"--\r\n",
        heartbeat=b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql",
        heartbeat_seconds=5.0,
        before_errors=b'\r\ncontent-type: application/json\r\n\r\n{"payload":null,"errors":',
        after_errors=b"}\r\n--graphql",
    ),
}

# nginx would otherwise buffer the parts.
_UNBUFFERED = (b"x-accel-buffering", b"no")
_VARY = (b"vary", b"Accept, Authorization")


def start_of(wire: Wire) -> Message:
    """The ASGI message that starts a response in parts."""
    headers = [(b"content-type", wire.content_type), _UNBUFFERED, _VARY]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def send_parts(first: bytes, rest: Queue[tuple[bytes, bool]], wire: Wire, send: Send) -> None:
    """Send `first`, then each (part, whether more follow) of `rest` as soon as it is queued.

    The end goes out with the last part: clients disconnect then.
    """
    await send(start_of(wire))
    body = wire.begin + wire.before + first + wire.after
    await send({"type": "http.response.body", "body": body, "more_body": True})
    goes_on = True
    while goes_on:
        part, goes_on = await rest.get()
        await send(wire.message(part, goes_on=goes_on))
