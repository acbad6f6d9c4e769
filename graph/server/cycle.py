"""One request and its response on a connection: uvicorn's cycle, with fewer writes.

uvicorn writes the head of a response, then its body: two system calls, two packets, and two
wake-ups of the client. It also searches each name and each value by itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

# What uvicorn refuses in names and in values (RFC 9110, section 5), and what it acts upon.
_NOT_IN_NAMES = bytes([*range(0x21), *b'()<>@,;:\\[]={}"', 0x7F])
_NOT_IN_VALUES = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
_SPECIAL = frozenset({b"connection", b"transfer-encoding"})
_AS_LINE_FEEDS = bytes.maketrans(_NOT_IN_VALUES, b"\n" * len(_NOT_IN_VALUES))
# Larger bodies are not copied once more.
_MOST_JOINED_BYTES = 65_536


class Cycle(RequestResponseCycle):
    """Writes a response of one known size at once, as uvicorn would in two steps.

    The head of such a response waits for its body. All others are uvicorn's. An application that
    fails in between has written nothing: the head of uvicorn's 500 takes the place of its own.
    """

    _start: MutableMapping[str, Any] | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        start, self._start = self._start, None
        if start is not None and message["type"] == "http.response.body":
            body = message.get("body", b"")
            if self._is_whole(message) and (head := _head(start, self.default_headers, body)):
                self._write(head, body)
                return
            await super().send(start)  # type: ignore[arg-type]
        elif not self.response_started and b"content-length" in dict(message.get("headers", ())):
            self._start = message
            return
        await super().send(message)  # type: ignore[arg-type]

    def _is_whole(self, message: MutableMapping[str, Any]) -> bool:
        """Whether a response may be written with this body, which is all of it."""
        waits = self.disconnected or self.flow.write_paused
        is_last = not message.get("more_body") and self.keep_alive
        return is_last and not waits and not self.access_log and self.scope["method"] != "HEAD"

    def _write(self, head: bytes, body: bytes) -> None:
        if len(body) <= _MOST_JOINED_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.writelines([head, body])
        self.waiting_for_100_continue = False
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()


def _head(
    start: MutableMapping[str, Any], defaults: Sequence[tuple[bytes, bytes]], body: bytes
) -> bytes | None:
    """The head of a response; None if uvicorn must write it, or refuse it."""
    headers = [*defaults, *start["headers"]]
    fields = dict(headers)
    lines = b"\r\n".join(map(b": ".join, headers))
    if (
        fields[b"content-length"] != b"%d" % len(body)
        or not _are_plain(tuple(fields))
        or lines.translate(_AS_LINE_FEEDS).count(b"\n") != 2 * len(headers) - 2
    ):
        return None
    return b"%b%b\r\n\r\n" % (STATUS_LINE[start["status"]], lines)


@lru_cache(maxsize=128)
def _are_plain(names: tuple[bytes, ...]) -> bool:
    """Whether uvicorn would write fields of these names as they are, and do nothing else."""
    text = b"".join(names)
    is_valid = text == text.translate(None, _NOT_IN_NAMES)
    return is_valid and text.islower() and _SPECIAL.isdisjoint(names)
