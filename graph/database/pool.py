"""SQLAlchemy's pool, with a fast path for statements that go directly to the driver.

A checkout runs in a greenlet, wraps the connection, and rolls back on return: it costs more than a
look-up by key. A single statement leaves nothing to roll back, and a transaction of ours ends by
itself, so `take` hands out an idle entry directly. Both ways wait in one queue, first come, first
served.

Where PostgreSQL has no room for one connection more (`max_connections`, or the limit of a role or
database), a request waits for one that lives, of this pool or of any other.
"""

from __future__ import annotations

from asyncio import get_running_loop, sleep
from collections import deque
from contextlib import suppress
from math import inf
from time import time
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_
from sqlalchemy.util.queue import Empty, Full, QueueCommon

from graph.database.driver_errors import TOO_MANY_CONNECTIONS, sqlstate

if TYPE_CHECKING:
    from asyncio import Future, TimerHandle
    from collections.abc import Callable

    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

# How often a request that found no room tries again to open a connection.
_TRY_AGAIN_SECONDS = 0.1
# Where a standby is all there is, its connections are not replaced with each change.
_DISTRUST_SECONDS = 1.0


class _Queue(QueueCommon[Any]):
    """Holds idle connections or waiting tasks, never both; first come, first served.

    A returned connection goes to the task that has waited longest. asyncio's queues would give it
    to the next task that requests one, and a session would starve among statements.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:  # noqa: FBT001, FBT002
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._idle: deque[Any] = deque()
        # With the times at which they give up, of which the alarm is set for the next.
        self._waiting: deque[tuple[float, Future[Any]]] = deque()
        self._alarm: TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """The tasks that wait for an item."""
        return len(self._waiting)

    def empty(self) -> bool:
        return not self._idle

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._idle)

    def qsize(self) -> int:
        return len(self._idle)

    def put_nowait(self, item: Any) -> None:
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(item)
                return
        if 0 < self.maxsize <= len(self._idle):
            raise Full
        self._idle.append(item)

    def put_first(self, item: Any) -> None:
        """Put what the next `get` returns."""
        self._idle.append(item)

    def pick(self, is_wanted: Callable[[Any], bool]) -> Any:
        """Take an idle item that is wanted, or None."""
        found = next((item for item in self._idle if is_wanted(item)), None)
        if found is not None:
            self._idle.remove(found)
        return found

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        """Put without blocking: the queue has room for every connection of the pool."""
        del block, timeout
        self.put_nowait(item)

    def pop(self) -> Any:
        """The next idle item, or None."""
        if not self._idle:
            return None
        return self._idle.pop() if self.use_lifo else self._idle.popleft()

    def get_nowait(self) -> Any:
        if not self._idle:
            raise Empty
        return self.pop()

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
        deadline = loop.time() + (inf if timeout is None else timeout)
        waiter = (deadline, turn)
        self._waiting.append(waiter)
        if self._alarm is None or deadline < self._alarm.when():
            self._set_alarm(deadline)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self.put_nowait(turn.result())  # the waiting task was cancelled at that moment
            with suppress(ValueError):
                self._waiting.remove(waiter)
            raise

    def _set_alarm(self, deadline: float) -> None:
        """One timer for all: to set and cancel one for each would cost more than the turn."""
        if self._alarm is not None:
            self._alarm.cancel()
        loop = get_running_loop()
        self._alarm = None if deadline == inf else loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._alarm = None
        now = get_running_loop().time()
        for deadline, turn in self._waiting:
            if deadline <= now and not turn.done():
                turn.set_exception(TimeoutError())
        self._set_alarm(min((each for each, _ in self._waiting if each > now), default=inf))


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
            return self.take_idle()
        if self.overflow() < 0:
            return None
        return self._if_usable(await self._pool.turn(self._timeout))

    def take_idle(self) -> ConnectionPoolEntry | None:
        """As `take`, without waiting: None if no connection is idle, too."""
        entry: ConnectionPoolEntry | None = self._pool.pop()
        if entry is None or self._is_usable(entry):
            return entry
        self.give(entry)
        return None

    @property
    def waiting(self) -> int:
        """The operations that wait for a connection."""
        return self._pool.waiting

    def give(self, entry: ConnectionPoolEntry) -> None:
        """Return a connection from `take`; the queue has room for every connection of the pool."""
        self._pool.put_nowait(entry)

    def distrust(self) -> None:
        """Replace all connections before their next use, but not more often than once a second."""
        now = time()
        if now - self._invalidate_time > _DISTRUST_SECONDS:
            self._invalidate_time = now

    def connect(self) -> PoolProxiedConnection:
        """Check out a connection; where there is no room for one more, wait until one is free.

        Raises:
            Exception: whatever opening a connection raises; also after `timeout` without room.
        """
        try:
            return super().connect()
        except Exception as error:
            if sqlstate(error) != TOO_MANY_CONNECTIONS:
                raise
        return self._connect_in_time()

    def _connect_in_time(self) -> PoolProxiedConnection:
        loop = get_running_loop()
        deadline = loop.time() + self._timeout
        while True:
            entry = self._pool.pick(self._is_usable)
            if entry is None:
                with suppress(TimeoutError):
                    entry = await_(self._pool.turn(_TRY_AGAIN_SECONDS))
            if entry is not None:
                self._pool.put_first(entry)
            try:
                return super().connect()
            except Exception as error:
                if sqlstate(error) != TOO_MANY_CONNECTIONS or loop.time() > deadline:
                    raise
            # A dead entry that is back in the queue would be tried again and again.
            await_(sleep(_TRY_AGAIN_SECONDS))

    def _if_usable(self, entry: ConnectionPoolEntry) -> ConnectionPoolEntry | None:
        if self._is_usable(entry):
            return entry
        self.give(entry)
        return None

    def _is_usable(self, entry: Any) -> bool:
        connection = entry.dbapi_connection
        if connection is None or connection.driver_connection.is_closed():
            return False
        # After a lost connection the pool distrusts all connections that were opened before it.
        connected: float = entry.last_connect_time
        is_trusted = connected >= self._invalidate_time
        return is_trusted and (self._recycle < 0 or time() - connected <= self._recycle)
