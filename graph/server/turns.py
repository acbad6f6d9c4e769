"""Starts a few requests in each turn of the event loop.

A crowd that sends at once would otherwise be read, checked and planned in one turn, and all that is
ready at that moment, such as a check of health, would wait for all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

# Each takes about 0.1 ms until its statement is sent.
_MOST_IN_A_TURN = 16


class Turns:
    """The requests that start in this turn, and those that wait for another. One per worker."""

    __slots__ = ("_started", "_waiting")

    def __init__(self) -> None:
        self._started = 0
        self._waiting = deque[Callable[[], None]]()

    def take(self) -> bool:
        """Whether one more may start now; if not, it must wait."""
        if not self._started:
            asyncio.get_running_loop().call_soon(self._next)
        elif self._started >= _MOST_IN_A_TURN:
            return False
        self._started += 1
        return True

    def wait(self, start: Callable[[], None]) -> None:
        """Start a request in one of the next turns, first come, first served."""
        self._waiting.append(start)

    def _next(self) -> None:
        self._started = 0
        while self._waiting and self.take():
            self._waiting.popleft()()
