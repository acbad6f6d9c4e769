"""What runs is ended when it takes too long, or when nobody waits for it any more.

Most is done at once. So it costs an entry in a set to begin with, and one timer looks over the set
from time to time: what it finds twice gets a task that listens for the client to hang up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive

T = TypeVar("T")

_TICK_SECONDS = 0.05


class Attention:
    """Looks over the work of one application."""

    def __init__(self) -> None:
        self._watched: set[_Watch] = set()
        self._ticks = False

    async def attended(
        self,
        work: Awaitable[T],
        *,
        seconds: float,
        late: Callable[[], Exception],
        receive: Receive | None = None,
    ) -> T:
        """What the work returns; where it is ended, its statement is cancelled in PostgreSQL.

        Raises:
            Exception: what `late` makes; it took longer than that, give or take a tick.
            ClientDisconnect: nobody waits any more; with `receive` only, which nobody else reads.
        """
        loop = asyncio.get_running_loop()
        watch = _Watch(loop.time() + seconds, late, receive)
        self._watched.add(watch)
        if not self._ticks:
            self._ticks = True
            loop.call_later(_TICK_SECONDS, self._tick, loop)
        try:
            return await work
        except asyncio.CancelledError:
            # Somebody else may have cancelled the task as well, and has the first word.
            if watch.reason is None or watch.task.uncancel() > 0:
                raise
            raise watch.reason from None
        finally:
            self._watched.discard(watch)
            if watch.listener:
                watch.listener.cancel()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for watch in tuple(self._watched):
            watch.look(now)
        self._ticks = bool(self._watched)
        if self._ticks:
            loop.call_later(_TICK_SECONDS, self._tick, loop)


class _Watch:
    __slots__ = ("_deadline", "_late", "_receive", "_seen", "listener", "reason", "task")

    def __init__(
        self, deadline: float, late: Callable[[], Exception], receive: Receive | None
    ) -> None:
        self.task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment]
        self.reason: Exception | None = None
        self.listener: asyncio.Task[None] | None = None
        self._deadline = deadline
        self._late = late
        self._receive = receive
        self._seen = False

    def look(self, now: float) -> None:
        if now >= self._deadline:
            self._end(self._late())
        elif self._seen and self._receive and not self.listener:
            self.listener = asyncio.create_task(self._listen(self._receive))
        self._seen = True

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._end(ClientDisconnect())

    def _end(self, reason: Exception) -> None:
        if self.reason is None:
            self.reason = reason
            self.task.cancel()
