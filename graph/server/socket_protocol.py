"""uvicorn's WebSocket protocol, with the bounds that it lacks.

A client that does not read is not read from either, and a message has so many fragments. A closed
connection ends soon, whether or not the client takes part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from graph.server.connection_limits import ConnectionLimits

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGISendEvent
    from websockets.frames import Frame

# For a client to confirm that the connection is closed, and for what was written to reach it.
_CLOSE_SECONDS = 1.0
# Clients send a message in one fragment, or a large one in pieces of some kilobytes.
_MAX_FRAGMENTS = 1_000
_NOT_UTF8, _TOO_BIG = 1007, 1009
_MALFORMED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedSocketProtocol(WebSocketsSansIOProtocol):
    """Ends a connection that exceeds a bound. It takes the connection over from the HTTP protocol.

    The address of the client is counted already; its count is given back at the end.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.close_timeout = _CLOSE_SECONDS
        self._limits: ConnectionLimits = self.app_state.get("connection_limits", ConnectionLimits())

    def connection_lost(self, exc: Exception | None) -> None:
        self._limits.leave(self.client[0] if self.client else "")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The library has limits of its own for a head; uvicorn would wait for another one.
        if not self.handshake_initiated and not self.transport.is_closing():
            self.transport.write(b"".join(self.conn.data_to_send()) or _MALFORMED)
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.accept":
            del self.request, self.response  # nothing reads them any more
        elif message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # uvicorn would log that it is not

    def pause_writing(self) -> None:
        super().pause_writing()
        # Else the answers to a flood of pings would pile up.
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= _MAX_FRAGMENTS:
            self._fail(_TOO_BIG, "Too many fragments")
        elif not self.close_sent:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        # uvicorn would write a traceback to the log.
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self._fail(_NOT_UTF8, "The message is not UTF-8")
            return
        super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._abort_soon()

    def shutdown(self) -> None:
        super().shutdown()
        self._abort_soon()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._abort_soon()

    def _fail(self, code: int, reason: str) -> None:
        self.frames = []
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    def _abort_soon(self) -> None:
        """Abort what is left of a closed connection: a client that does not read would hold it."""
        if not self.disconnected:
            self.loop.call_later(2 * _CLOSE_SECONDS, self.transport.abort)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
