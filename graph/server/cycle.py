"""One request and its response on a connection: uvicorn's cycle, with fewer writes.

uvicorn writes the head of a response, then its body: two system calls, two packets, and two
wake-ups of the client. It also searches each name and each value by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

# What uvicorn refuses in names and in values (RFC 9110, section 5), and what it acts upon.
_NOT_IN_NAMES = bytes([*range(0x21), *b'()<>@,;:\\[]={}"', 0x7F])
_NOT_IN_VALUES = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
_SPECIAL = frozenset({b"connection", b"transfer-encoding"})


class Cycle(RequestResponseCycle):
    """Writes a response of one known size at once, as uvicorn would in two steps.

    The head of such a response waits for its body. All others are uvicorn's.
    """

    _start: MutableMapping[str, Any] | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        start, self._start = self._start, None
        if start is not None:
            if self._is_whole(message) and (head := _head(start, self.default_headers, message)):
                self._write(head, message.get("body", b""))
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
        self.transport.writelines([head, body])
        self.waiting_for_100_continue = False
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()


def _head(
    start: MutableMapping[str, Any],
    defaults: Sequence[tuple[bytes, bytes]],
    message: MutableMapping[str, Any],
) -> bytes | None:
    """The head of a response; None if uvicorn must write it, or refuse it."""
    headers = [*defaults, *start["headers"]]
    fields = dict(headers)
    names, values = b"".join(fields), b"".join([value for _, value in headers])
    if (
        fields[b"content-length"] != b"%d" % len(message.get("body", b""))
        or not _SPECIAL.isdisjoint(fields)
        or not names.islower()
        or names != names.translate(None, _NOT_IN_NAMES)
        or values != values.translate(None, _NOT_IN_VALUES)
    ):
        return None
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join([STATUS_LINE[start["status"]], *lines, b"\r\n"])
