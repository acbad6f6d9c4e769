"""Limits how many operations run at once; expensive ones have a limiter of their own.

So a crowd of expensive operations holds a few connections and as many cores, and a cheap one
passes.
"""

from __future__ import annotations

from asyncio import Semaphore

from graph.errors import Overloaded


class Limiter:
    """So many at once, and so many who wait, first come first served."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self._places = Semaphore(most)
        self._most_waiting = most_waiting
        self._waiting = 0

    async def acquire(self) -> None:
        """Return when there is room; whoever entered leaves.

        Raises:
            Overloaded: too many wait already.
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
    """The lanes of one worker, by what an operation may cost."""

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
