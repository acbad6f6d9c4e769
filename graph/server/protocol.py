"""uvicorn's HTTP protocol with timeouts for slow clients.

uvicorn itself limits only the time between requests. A request that arrives in one piece costs
nothing here: a timer starts only while more bytes are expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 39\r\n"
    b"connection: close\r\n\r\n"
    b"The request took too long to be sent.\r\n"
)
# For an application whose state does not set `client_timeout_seconds`.
_DEFAULT_SECONDS = 10.0


class TimedProtocol(HttpToolsProtocol):
    """Closes a connection whose client sends a request or reads a response too slowly.

    The head of a request must arrive in time, counted from its first byte (for the first request,
    from the connection). So must the rest of a body that was answered before its end. The endpoint
    itself limits the time for a body, since it can respond with an error.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seconds: float = self.app_state.get("client_timeout_seconds", _DEFAULT_SECONDS)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._in_head = self._in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and self._timer is None:
            self._start()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        if self._timer is not None:
            self._stop()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._timer is not None:
            self._stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body:
            self._start()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self.flow is not None:
            super().resume_writing()

    def _start(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(self._seconds, self._expire)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self.transport.write(_TOO_SLOW)
        self.transport.close()
