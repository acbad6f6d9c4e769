"""The results of a subscription, as its receiver takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from graph.database.consistency import ConsistencyToken


@dataclass(frozen=True, slots=True)
class StreamedResult:
    """One execution result as JSON. `cursor` is where the stream goes on after it, if it can.

    `token` is that of all that the result shows, where there are replicas.
    """

    body: bytes
    cursor: str | None = None
    token: ConsistencyToken | None = None

    @property
    def payload(self) -> bytes:
        """The result as it is sent, with its token."""
        if self.token is None:
            return self.body
        token = str(self.token).encode()
        return b'%b,"extensions":{"consistencyToken":"%b"}}' % (self.body[:-1], token)


class Stream(Protocol):
    """The results of one subscription, in order. The receiver must close it.

    The receiver takes a result when it can send it. Nothing is queued for it meanwhile: a stream
    of events goes on where it was, and a live query has its newest answer.
    """

    # Where the stream starts; None if it cannot be resumed.
    cursor: str | None

    async def next(self) -> StreamedResult | None:
        """Wait for the next result; None if there will be none, as after an error."""

    async def close(self) -> None:
        """Leave the stream. It may be called twice, and while `next` waits in another task."""
