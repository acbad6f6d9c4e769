"""An operation runs as long as somebody waits for its answer, and no longer than its deadline.

Most are done before a client could change its mind. So it costs a timer to begin with; whoever is
not done when that goes off gets a task that listens for the client to hang up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import ClientDisconnect

from graph.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import Receive

T = TypeVar("T")

_PATIENCE_SECONDS = 0.05


async def attended(work: Awaitable[T], receive: Receive, *, seconds: float) -> T:
    """What the work returns. Where it is ended, its statement is cancelled in PostgreSQL.

    Raises:
        TimedOut: it took longer than that.
        ClientDisconnect: nobody waits any more.
    """
    watch = _Watch(receive, seconds)
    try:
        return await work
    except asyncio.CancelledError:
        # Somebody else may have cancelled the task as well, and has the first word.
        if watch.reason is None or watch.task.uncancel() > 0:
            raise
        raise watch.reason from None
    finally:
        watch.end()


class _Watch:
    def __init__(self, receive: Receive, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  coroutines run in tasks
        self.task = task
        self.reason: Exception | None = None
        self._receive = receive
        self._left = max(0, seconds - _PATIENCE_SECONDS)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(min(seconds, _PATIENCE_SECONDS), self._begin)
        self._listener: asyncio.Task[None] | None = None

    def end(self) -> None:
        self._timer.cancel()
        if self._listener:
            self._listener.cancel()

    def _begin(self) -> None:
        self._timer = self._loop.call_later(self._left, self._stop, TimedOut())
        self._listener = self._loop.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._stop(ClientDisconnect())

    def _stop(self, reason: Exception) -> None:
        if self.reason is None:
            self.reason = reason
            self.task.cancel()
