"""SQLAlchemy's pool, with a short way for a statement that needs nothing but a connection.

A checkout runs in a greenlet, wraps the connection, and rolls back when it is returned: more
expensive than
a look-up by key. What is one statement outside of any transaction leaves nothing to roll back, so
it takes an idle entry as it is. Who takes and who checks out wait in one queue, by their order.
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
    """What is idle, or else who waits; never both.

    What comes back goes to who waited longest, and nobody can come between: with asyncio's queues
    whoever asks next may have it, and a session starves among statements.
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
        """Put without waiting, as the pool does: there is a place for every connection."""
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

    async def turn(self, timeout: float | None) -> Any:  # noqa: ASYNC109  a deadline, made cheaply
        """Wait for what comes back.

        Raises:
            TimeoutError: nothing did in time.
        """
        loop = get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        alarm = None if timeout is None else loop.call_later(timeout, _expire, turn)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self.put_nowait(turn.result())  # who waited was cancelled just then
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
    """The one owner of connections; its limit holds for all."""

    _queue_class = _Queue
    _pool: _Queue
    # The pool logs under the name of its class: as a library, not as a part of graph.
    _sqla_logger_namespace = "sqlalchemy.pool.impl.AsyncAdaptedQueuePool"

    async def take(self) -> ConnectionPoolEntry | None:
        """The connection that was idle last, to be given back.

        None where a checkout must make one: there is room for one more, or one is to be replaced.

        Raises:
            TimeoutError: none came back in time.
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
        """Return what was taken."""
        self._do_return_conn(entry)


def _is_usable(entry: Any, invalidate_time: float) -> bool:
    driver = entry.driver_connection
    # A session that lost the server makes the pool distrust all that were opened before.
    trusted: bool = entry.last_connect_time >= invalidate_time
    return trusted and driver is not None and not driver.is_closed()
