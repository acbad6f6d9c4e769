"""How many operations run at once: what is dear waits in a lane of its own, and in nobody's way.

So a crowd of dear operations holds a few connections and as many cores, and a cheap one passes.
"""

from __future__ import annotations

from asyncio import CancelledError, get_running_loop
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from graph.errors import Overloaded

if TYPE_CHECKING:
    from asyncio import Future


class Lane:
    """So many at once, and so many who wait, first come first served."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self._room = most
        self._most_waiting = most_waiting
        self._waiting: deque[Future[None]] = deque()

    async def enter(self) -> None:
        """Return when there is room; whoever entered leaves.

        Raises:
            Overloaded: too many wait already.
        """
        if self._room:
            self._room -= 1
            return
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded
        turn = get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(turn)
            else:  # who waited was cancelled just when its turn came
                self.leave()
            raise

    def leave(self) -> None:
        """Hand the place to who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._room += 1


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
