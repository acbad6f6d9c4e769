"""Admits a number of holders at once, and lets others wait in a line that is short in time.

Clients take turns in the line, and the waiters of one client come in their order: a client with
hundreds of requests delays its own, not those of others. Last come, first served would answer some
of an overloaded worker's clients quickly and leave the rest to their timeouts; a line that is short
in time needs no such choice. A client gets no other waiter into the line if its oldest one has
waited for `most_wait_seconds`, or its next one would, at the pace at which turns have come lately.
"""

from __future__ import annotations

from asyncio import CancelledError, Future, get_running_loop
from collections import deque
from contextlib import suppress
from math import inf
from typing import TypeAlias

from graph.errors import Overloaded

# Of the newest turn, in the average of the times between turns.
_WEIGHT = 0.1
# When it came, and its turn.
_Waiter: TypeAlias = tuple[float, Future[None]]


class Limiter:
    """Admits `most` holders; `most_waiting` others wait, of all clients together.

    `turn_seconds` is the time from one turn to the next that is expected before there were any.
    """

    def __init__(
        self,
        most: int,
        most_waiting: int,
        most_wait_seconds: float = inf,
        turn_seconds: float = 0.0,
    ) -> None:
        self._most = self._free = most
        self._most_waiting = most_waiting
        self._most_wait_seconds = most_wait_seconds
        # There is a free place, or there are waiters; never both. The first client is next.
        self._lines: dict[str, deque[_Waiter]] = {}
        self._waiting = 0
        self._turn_seconds = turn_seconds
        self._last_turn: float | None = None

    def acquire_now(self) -> bool:
        """Acquire a place if one is free. The caller must release it."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def check(self, client: str = "") -> None:
        """Check that the client would get a place, or one in the line.

        Raises:
            Overloaded: too many are waiting already, or the client's wait for too long.
        """
        if self._free:
            return
        line = self._lines.get(client)
        if self._waiting >= self._most_waiting or (line and self._is_late(line)):
            raise Overloaded
        if self._expected_seconds(line) >= self._most_wait_seconds:
            raise Overloaded

    async def acquire(self, client: str = "") -> None:
        """Wait for a place. The caller must release it.

        Raises:
            Overloaded: as `check`.
        """
        if self.acquire_now():
            return
        self.check(client)
        loop = get_running_loop()
        waiter = loop.time(), loop.create_future()
        self._lines.setdefault(client, deque()).append(waiter)
        self._waiting += 1
        try:
            await waiter[1]
        except CancelledError:
            self._leave(client, waiter)
            if not waiter[1].cancelled():
                self.release()  # its turn had come at that moment
            raise

    @property
    def gauges(self) -> dict[str, int]:
        """The places, those in use, and those who wait for one."""
        return {
            "places": self._most,
            "in_use": self._most - self._free,
            "waiting": self._waiting,
        }

    def release(self) -> None:
        while self._lines:
            client = next(iter(self._lines))
            line = self._lines.pop(client)
            _, turn = line.popleft()
            self._waiting -= 1
            if line:
                self._lines[client] = line
            if not turn.done():
                turn.set_result(None)
                self._note_turn()
                return
        self._free += 1
        self._last_turn = None

    def _leave(self, client: str, waiter: _Waiter) -> None:
        line = self._lines.get(client, deque())
        with suppress(ValueError):
            line.remove(waiter)
            self._waiting -= 1
            if not line:
                del self._lines[client]

    def _note_turn(self) -> None:
        now = get_running_loop().time()
        if self._last_turn is not None:
            self._turn_seconds += (now - self._last_turn - self._turn_seconds) * _WEIGHT
        self._last_turn = now

    def _expected_seconds(self, line: deque[_Waiter] | None) -> float:
        """The time until the turn of one more of a client's waiters."""
        before = min(self._waiting, len(line or ()) * len(self._lines) + len(self._lines))
        return before * self._turn_seconds

    def _is_late(self, line: deque[_Waiter]) -> bool:
        since, _ = line[0]
        return get_running_loop().time() - since >= self._most_wait_seconds
