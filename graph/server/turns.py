"""Starts a few requests in each turn of the event loop.

A crowd that sends at once would otherwise be read, checked and planned in one turn, and all that is
ready at that moment, such as a check of health, would wait for all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

# Each takes about 0.1 ms until its statement is sent.
_MOST_IN_A_TURN = 16


class Turns:
    """The requests that start in this turn, and those that wait for another. One per worker."""

    __slots__ = ("_started", "_waiting")

    def __init__(self) -> None:
        self._started = 0
        self._waiting = deque[Callable[[], None]]()

    def take(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether one more may start now; if not, it must wait."""
        if not self._started:
            loop.call_soon(self._next, loop)
        elif self._started >= _MOST_IN_A_TURN:
            return False
        self._started += 1
        return True

    def wait(self, start: Callable[[], None]) -> None:
        """Start a request in one of the next turns, first come, first served."""
        self._waiting.append(start)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._started = 0
        while self._waiting and self.take(loop):
            self._waiting.popleft()()
