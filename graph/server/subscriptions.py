"""The results of a subscription as one HTTP response: server-sent events, or Apollo's multipart."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from graph.errors import InvalidToken, TooManySubscriptions
from graph.server.responses import described, error_response, logged
from graph.server.streams import start_of

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from graph.execution.live.stream import Stream, StreamedResult
    from graph.server.live_connections import LiveConnections
    from graph.server.streams import Wire
    from graph.viewer import Viewer


# A browser's EventSource connects again after this time, in milliseconds.
_RETRY = b"retry: 1000\n\n"


class SubscriptionResponse:
    """The ASGI application that sends a stream; a `LiveConnection`.

    It takes the next result when the last one was sent. Its end tells a client what to do: after
    `complete` there is nothing more; without it, the client comes back.
    """

    def __init__(
        self,
        stream: Stream,
        wire: Wire,
        *,
        connections: LiveConnections,
        viewer: Viewer,
        client: str,
        ping_seconds: float,
    ) -> None:
        self._stream = stream
        self._wire = wire
        self._connections = connections
        self._heartbeat_seconds = min(wire.heartbeat_seconds, ping_seconds)
        self.scope: Scope = {}
        self.viewer = viewer
        self.client = client
        self._task: asyncio.Task[object] | None = None
        self._is_ended = False
        self._error: InvalidToken | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        # The protocol does not wait for its client when the server shuts down.
        scope["state"]["is_stream"] = True
        try:
            with ExitStack() as held:
                held.enter_context(self._connections.opened())
                held.enter_context(self._connections.signed_in(self))
                held.enter_context(self._connections.subscription(self.client))
                await self._respond(receive, send)
        except (TooManySubscriptions, InvalidToken) as error:
            await error_response(error)(scope, receive, send)
        finally:
            await self._stream.close()

    def end(self, error: InvalidToken | None) -> None:
        if not self._is_ended:
            self._is_ended = True
            self._error = error
            if self._task is not None:
                self._task.cancel()

    async def _respond(self, receive: Receive, send: Send) -> None:
        await send(start_of(self._wire))
        listener = asyncio.create_task(self._listen(receive))
        try:
            last = await self._until_ended(send)
        finally:
            listener.cancel()
        await send(_body(last, more=False))

    async def _until_ended(self, send: Send) -> bytes:
        """Send results until there are none, or until `end`; return the last bytes."""
        self._task = asyncio.current_task()
        try:
            if not self._is_ended and not self._connections.is_draining:
                await self._send_results(send)
                return self._wire.end
        except asyncio.CancelledError:
            if not self._is_ended or (self._task and self._task.uncancel()):
                raise
        except Exception as error:  # noqa: BLE001  it is masked, and logged
            return self._wire.goodbye(logged(error), for_good=True)
        finally:
            self._task = None
        if self._error is None:
            return b""
        return self._wire.goodbye(described(self._error), for_good=False)

    async def _send_results(self, send: Send) -> None:
        await send(_body(self._wire.begin + self._start(), more=True))
        upcoming: asyncio.Task[StreamedResult | None] | None = None
        try:
            while True:
                upcoming = upcoming or asyncio.create_task(self._next())
                done, _ = await asyncio.wait((upcoming,), timeout=self._heartbeat_seconds)
                if not done:
                    await send(_body(self._wire.heartbeat, more=True))
                    continue
                taken, upcoming = upcoming, None
                result = taken.result()
                if result is None:
                    return
                await send(_body(self._encoded(result), more=True))
                self._connections.results += 1
        finally:
            if upcoming is not None:
                upcoming.cancel()
                with suppress(asyncio.CancelledError):
                    await upcoming

    async def _next(self) -> StreamedResult | None:
        return await self._stream.next()

    def _start(self) -> bytes:
        """What tells the client, and every proxy, that the stream has begun: where it starts."""
        head = self._id(self._stream.cursor) + _RETRY if self._wire.has_ids else b""
        return head + self._wire.heartbeat

    def _encoded(self, result: StreamedResult) -> bytes:
        return self._id(result.cursor) + self._wire.before + result.payload + self._wire.after

    def _id(self, cursor: str | None) -> bytes:
        return b"id: %b\n" % cursor.encode() if cursor and self._wire.has_ids else b""

    async def _listen(self, receive: Receive) -> None:
        """End the stream when the client disconnects."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end(None)


def _body(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
