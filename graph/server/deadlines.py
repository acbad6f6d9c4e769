"""Cancels an operation at its deadline or when the client disconnects.

Most operations end within one tick, so an operation costs only an entry in a set at first. One
timer per application inspects the set at each tick. An operation gets its deadline at its first
inspection, and a quarter of a second later a task that listens for the client's disconnect.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from starlette.requests import ClientDisconnect

from graph.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import Receive

_TICK_SECONDS = 0.05
# A listener is a task; a worker with many requests would have one for each.
_LISTEN_AFTER_SECONDS = 0.25


class Deadlines:
    """The deadlines of one application, and their common timer."""

    def __init__(self) -> None:
        self._active: set[Deadline] = set()
        self._is_ticking = False

    def watch(
        self, seconds: float, on_timeout: Callable[[], Exception], receive: Receive | None = None
    ) -> Deadline:
        """A context manager that raises the exception of `on_timeout` after so many seconds.

        It raises OutcomeUnknown if a commit was cancelled that may have been too late.

        With `receive` it raises ClientDisconnect when the client disconnects. The block must not
        read `receive` itself.
        """
        if not self._is_ticking:
            self._is_ticking = True
            loop = asyncio.get_running_loop()
            loop.call_later(_TICK_SECONDS, self._tick, loop)
        return Deadline(self._active, seconds, on_timeout, receive)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in tuple(self._active):
            deadline.check(now)
        self._is_ticking = bool(self._active)
        if self._is_ticking:
            loop.call_later(_TICK_SECONDS, self._tick, loop)


class Deadline:
    """The deadline of one block of one task. asyncpg cancels the statement of a cancelled task."""

    __slots__ = (
        "_active",
        "_deadline",
        "_listener",
        "_listens_at",
        "_on_timeout",
        "_reason",
        "_receive",
        "_seconds",
        "_task",
    )

    def __init__(
        self,
        active: set[Deadline],
        seconds: float,
        on_timeout: Callable[[], Exception],
        receive: Receive | None,
    ) -> None:
        self._active = active
        self._seconds = seconds
        self._on_timeout = on_timeout
        self._receive = receive
        self._deadline: float | None = None
        self._listens_at = 0.0
        self._task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment]
        self._reason: Exception | None = None
        self._listener: asyncio.Task[None] | None = None

    def reschedule(
        self, seconds: float, on_timeout: Callable[[], Exception], receive: Receive
    ) -> None:
        """Replace the deadline, for the next step of the block; the seconds count from now."""
        self._seconds = seconds
        self._on_timeout = on_timeout
        self._receive = receive
        self._deadline = None

    def __enter__(self) -> Self:
        self._active.add(self)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._active.discard(self)
        if self._listener:
            self._listener.cancel()
        if self._reason is None or not isinstance(error, asyncio.CancelledError):
            return
        # A cancellation from elsewhere takes precedence over this one.
        if self._task.uncancel() == 0:
            if isinstance(self._reason, ClientDisconnect):
                raise self._reason from None  # nobody is told anything
            raise reason_of(error, self._reason) from None

    def check(self, now: float) -> None:
        """Set the deadline at the first call; cancel the task at the first call after it."""
        if self._deadline is None:
            self._deadline = now + self._seconds
            self._listens_at = now + _LISTEN_AFTER_SECONDS
        elif now >= self._deadline:
            self._cancel(self._on_timeout())
        elif self._receive and not self._listener and now >= self._listens_at:
            self._listener = asyncio.create_task(self._listen(self._receive))

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._cancel(ClientDisconnect())

    def _cancel(self, reason: Exception) -> None:
        if self._reason is None:
            self._reason = reason
            self._task.cancel()
