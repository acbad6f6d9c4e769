"""SQLAlchemy's pool, with a fast path for statements that go directly to the driver.

A checkout runs in a greenlet, wraps the connection, and rolls back on return: it costs more than a
look-up by key. A single statement leaves nothing to roll back, and a transaction of ours ends by
itself, so `take` hands out an idle entry directly. Both ways wait in one queue, first come, first
served.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_
from sqlalchemy.util.queue import Empty, Full, QueueCommon

if TYPE_CHECKING:
    from asyncio import Future

    from sqlalchemy.pool import ConnectionPoolEntry


class _Queue(QueueCommon[Any]):
    """Holds idle connections or waiting tasks, never both; first come, first served.

    A returned connection goes to the task that has waited longest. asyncio's queues would give it
    to the next task that requests one, and a session would starve among statements.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:  # noqa: FBT001, FBT002
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._idle: deque[Any] = deque()
        self._waiting: deque[Future[Any]] = deque()

    def empty(self) -> bool:
        return not self._idle

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._idle)

    def qsize(self) -> int:
        return len(self._idle)

    def put_nowait(self, item: Any) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(item)
                return
        if self.full():
            raise Full
        self._idle.append(item)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        """Put without blocking: the queue has room for every connection of the pool."""
        del block, timeout
        self.put_nowait(item)

    def get_nowait(self) -> Any:
        if not self._idle:
            raise Empty
        return self._idle.pop() if self.use_lifo else self._idle.popleft()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002
        if self._idle or not block:
            return self.get_nowait()
        try:
            return await_(self.turn(timeout))
        except TimeoutError:
            raise Empty from None

    async def turn(self, timeout: float | None) -> Any:  # noqa: ASYNC109  asyncio.timeout costs more
        """Wait for a returned connection, at most `timeout` seconds.

        Raises:
            TimeoutError: none was returned in time.
        """
        loop = get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        alarm = None if timeout is None else loop.call_later(timeout, _expire, turn)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self.put_nowait(turn.result())  # the waiting task was cancelled at that moment
            with suppress(ValueError):
                self._waiting.remove(turn)
            raise
        finally:
            if alarm:
                alarm.cancel()


def _expire(turn: Future[Any]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError())


class Pool(AsyncAdaptedQueuePool):
    """The only owner of connections; its limit counts checkouts and `take` together."""

    _queue_class = _Queue
    _pool: _Queue
    # SQLAlchemy names the pool's logger after its class; keep the library's own name.
    _sqla_logger_namespace = "sqlalchemy.pool.impl.AsyncAdaptedQueuePool"

    async def take(self) -> ConnectionPoolEntry | None:
        """Take the most recently used idle connection; return it with `give`.

        None if a checkout must open one: the pool has room for more, or an entry is unusable.

        Raises:
            TimeoutError: no connection was returned in time.
        """
        if not self._pool.empty():
            entry = self._pool.get_nowait()
        elif self.overflow() < 0:
            return None
        else:
            entry = await self._pool.turn(self._timeout)
        if _is_usable(entry, self._invalidate_time):
            return entry  # type: ignore[no-any-return]
        self.give(entry)
        return None

    def give(self, entry: ConnectionPoolEntry) -> None:
        """Return a connection from `take`."""
        self._do_return_conn(entry)


def _is_usable(entry: Any, invalidate_time: float) -> bool:
    driver = entry.driver_connection
    # After a lost connection the pool distrusts all connections that were opened before it.
    trusted: bool = entry.last_connect_time >= invalidate_time
    return trusted and driver is not None and not driver.is_closed()
