"""What a worker does between SIGTERM and its end, so that no client loses a request.

    SIGTERM       readiness is 503; everything is answered as before
    the delay     balancers see it, and send new requests elsewhere
    then          each answer ends its connection (`Connection: close`)
    at last       the server's own handler of the signal: the listener closes, and the rest with it

The last step comes when no connection waits for a request any more, or after the delay once more.
A second SIGTERM, and SIGINT at any time, go there at once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from graph.server.connection_limits import ConnectionLimits

_LOOK_SECONDS = 0.05


class Drain:
    """The end of one worker; `seconds` is the delay, and 0 means that there is none."""

    def __init__(self, connections: ConnectionLimits, seconds: float) -> None:
        self.has_begun = False
        self._connections = connections
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Take over SIGTERM from the server that runs the event loop, until the block ends."""
        end: Any = signal.getsignal(signal.SIGTERM)
        is_main = threading.current_thread() is threading.main_thread()
        if not self._seconds or not is_main or not callable(end):
            yield
            return
        loop = asyncio.get_running_loop()

        def begin(number: int, frame: FrameType | None) -> None:
            if self.has_begun:
                end(number, frame)
                return
            self.has_begun = True
            loop.call_soon_threadsafe(self._start, lambda: end(number, None))

        signal.signal(signal.SIGTERM, begin)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, end)
            if self._task is not None:
                self._task.cancel()

    def _start(self, end: Callable[[], None]) -> None:
        self._task = asyncio.create_task(self._run(end))

    async def _run(self, end: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._seconds)
        self._connections.are_closing = True
        deadline = loop.time() + self._seconds
        while self._connections.idle and loop.time() < deadline:  # noqa: ASYNC110  it is rare
            await asyncio.sleep(_LOOK_SECONDS)
        end()
