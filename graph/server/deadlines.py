"""What runs is ended when it takes too long, or when nobody waits for it any more.

Most is done at once. So it costs an entry in a set to begin with, and one timer looks over the set
from time to time: what it finds gets a deadline, and what it finds again, a task that listens for
the client to hang up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import Receive

_TICK_SECONDS = 0.05


class Deadlines:
    """Looks over the work of one application."""

    def __init__(self) -> None:
        self._watched: set[Deadline] = set()
        self._ticks = False

    def watch(
        self, seconds: float, on_timeout: Callable[[], Exception], receive: Receive | None = None
    ) -> Deadline:
        """Deadline the block that this begins: it raises what `on_timeout` makes after so long.

        With `receive`, which nobody else reads meanwhile, it raises ClientDisconnect as soon as
        nobody waits any more.
        """
        if not self._ticks:
            self._ticks = True
            loop = asyncio.get_running_loop()
            loop.call_later(_TICK_SECONDS, self._tick, loop)
        return Deadline(self._watched, seconds, on_timeout, receive)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for watch in tuple(self._watched):
            watch.look(now)
        self._ticks = bool(self._watched)
        if self._ticks:
            loop.call_later(_TICK_SECONDS, self._tick, loop)


class Deadline:
    """A block of one task; where it is ended, its statement is cancelled in PostgreSQL."""

    __slots__ = (
        "_deadline",
        "_late",
        "_listener",
        "_reason",
        "_receive",
        "_seconds",
        "_task",
        "_watched",
    )

    def __init__(
        self,
        watched: set[Deadline],
        seconds: float,
        on_timeout: Callable[[], Exception],
        receive: Receive | None,
    ) -> None:
        self._watched = watched
        self._seconds = seconds
        self._late = on_timeout
        self._receive = receive
        self._deadline: float | None = None
        self._task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment]
        self._reason: Exception | None = None
        self._listener: asyncio.Task[None] | None = None

    def reschedule(
        self, seconds: float, on_timeout: Callable[[], Exception], receive: Receive
    ) -> None:
        """Count anew, for the next part of the block."""
        self._seconds = seconds
        self._late = on_timeout
        self._receive = receive
        self._deadline = None

    def __enter__(self) -> Self:
        self._watched.add(self)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._watched.discard(self)
        if self._listener:
            self._listener.cancel()
        if self._reason is None or not isinstance(error, asyncio.CancelledError):
            return
        # Somebody else may have cancelled the task as well, and has the first word.
        if self._task.uncancel() == 0:
            raise self._reason from None

    def look(self, now: float) -> None:
        if self._deadline is None:
            self._deadline = now + self._seconds
        elif now >= self._deadline:
            self._end(self._late())
        elif self._receive and not self._listener:
            self._listener = asyncio.create_task(self._listen(self._receive))

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._end(ClientDisconnect())

    def _end(self, reason: Exception) -> None:
        if self._reason is None:
            self._reason = reason
            self._task.cancel()
