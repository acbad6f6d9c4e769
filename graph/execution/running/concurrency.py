"""Limits the operations that run at once. Expensive operations have a limiter of their own.

A crowd of expensive operations therefore holds only a few connections and cores, and cheap
operations pass.
"""

from __future__ import annotations

from asyncio import Semaphore

from graph.errors import Overloaded


class Limiter:
    """Admits a number of holders at once, and a number of waiters, first come, first served."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self._places = Semaphore(most)
        self._most_waiting = most_waiting
        self._waiting = 0

    async def acquire(self) -> None:
        """Wait for a place. The caller must release it.

        Raises:
            Overloaded: too many are waiting already.
        """
        if not self._places.locked():
            await self._places.acquire()  # at once
            return
        if self._waiting >= self._most_waiting:
            raise Overloaded
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1

    def release(self) -> None:
        self._places.release()


class Limiters:
    """The limiters of one worker; the cost of an operation selects one."""

    def __init__(
        self,
        *,
        most: int = 64,
        most_waiting: int = 128,
        expensive_from: int = 1_000,
        most_expensive: int = 2,
    ) -> None:
        self._expensive_from = expensive_from
        self._limiter = Limiter(most, most_waiting)
        self._expensive = Limiter(most_expensive, most_waiting)

    def limiter(self, cost: int) -> Limiter:
        return self._limiter if cost < self._expensive_from else self._expensive
