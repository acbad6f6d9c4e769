"""How many operations run at once: what is dear waits in a lane of its own, and in nobody's way.

So a crowd of dear operations holds a few connections and as many cores, and a cheap one passes.
"""

from __future__ import annotations

from asyncio import Semaphore

from graph.errors import Overloaded


class Lane:
    """So many at once, and so many who wait, first come first served."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self._places = Semaphore(most)
        self._most_waiting = most_waiting
        self._waiting = 0

    async def enter(self) -> None:
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

    def leave(self) -> None:
        self._places.release()


class Gate:
    """The lanes of one worker, by what an operation may cost."""

    def __init__(
        self,
        *,
        most: int = 64,
        most_waiting: int = 128,
        dear_from: int = 1_000,
        most_dear: int = 2,
    ) -> None:
        self._dear_from = dear_from
        self._lane = Lane(most, most_waiting)
        self._dear = Lane(most_dear, most_waiting)

    def lane(self, cost: int) -> Lane:
        return self._lane if cost < self._dear_from else self._dear
