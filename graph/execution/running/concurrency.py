"""Limits the operations that run at once, by what they cost, and by the time that they take.

There are three lines, and each has a number of places:

    proven     shapes that have run, and were quick
    unproven   shapes that have not run yet, and mutations: at most half of the connections
    expensive  a high price, or a shape that was slow: a few connections

Estimates can be fooled, so the time of statements decides in the end. An operation whose statements
take longer than `expensive_after_seconds` needs a place among the expensive ones. It is cancelled
where none is free. So proven operations always find a connection, whatever others send.

A worker that cannot keep up refuses requests before it reads them: as soon as proven operations of
the client have waited for too long. New texts are read one at a time, and have a line as well: so
many are refused unread, and the texts that were read stay cached for a second try.
"""

from __future__ import annotations

from asyncio import get_running_loop
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

from graph.database.recording import Recorder
from graph.database.stopwatch import Stopwatch
from graph.errors import TooExpensive
from graph.execution.running.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.database.recording import Recording
    from graph.execution.planning.history import History

_TICK_SECONDS = 0.05
# Their own time is longer, so they may wait for longer.
_PATIENCE_OF_EXPENSIVE = 5
# Until it is known how quick they are.
_TURN_OF_EXPENSIVE_SECONDS = 0.04


class Place:
    """The place of one running operation, and the time of its statements.

    Those of a rule that changes rows may wait for locks that others hold. They are measured apart,
    as such an operation is not slow by itself.
    """

    __slots__ = ("_changes", "_own_seconds", "limiter", "observed_seconds", "reads")

    def __init__(self, limiter: Limiter) -> None:
        self.limiter: Limiter | None = limiter
        self.reads: Stopwatch = Stopwatch()
        self._changes: Stopwatch | None = None
        # By the number of ticks at which a statement was running. While this process is busy, a
        # statement that has ended seems to run on; then there are few ticks.
        self.observed_seconds = 0.0
        self._own_seconds: float | None = None

    @property
    def changes(self) -> Stopwatch:
        """The stopwatch of rules; queries have none."""
        if self._changes is None:
            self._changes = Stopwatch()
        return self._changes

    def record(self, recording: Recording) -> None:
        """Record the statements from now on."""
        recording.connected = perf_counter()
        self.reads, self._changes = Recorder(recording), Recorder(recording)

    def explain(self) -> None:
        """The statements from now on explain the operation, and tell nothing of its shape."""
        self._own_seconds = self.observed_seconds

    @property
    def own_seconds(self) -> float:
        """The observed time of the operation itself."""
        return self.observed_seconds if self._own_seconds is None else self._own_seconds

    @property
    def statements(self) -> int:
        return self.reads.statements + (self._changes.statements if self._changes else 0)

    @property
    def rows(self) -> int:
        """The rows that all statements returned; a statement that returns JSON has one."""
        return self.reads.rows + (self._changes.rows if self._changes else 0)

    @property
    def statement_seconds(self) -> float:
        """The time of all statements, as it was measured."""
        return self.reads.seconds + (self._changes.seconds if self._changes else 0.0)

    @property
    def seconds(self) -> float:
        """The time that its client pays for."""
        observed = min(self.reads.seconds, self.observed_seconds + _TICK_SECONDS)
        return observed + (self._changes.seconds if self._changes else 0.0)


class Limiters:
    """The limiters of one worker; the cost and the history of an operation select one."""

    def __init__(
        self,
        *,
        most: int = 64,
        most_waiting: int = 1_000,
        most_wait_seconds: float = inf,
        most_unproven: int = 5,
        most_expensive: int = 2,
        expensive_from: int = 1_000,
        expensive_after_seconds: float = 0.25,
    ) -> None:
        self._expensive_from = expensive_from
        self._expensive_after_seconds = expensive_after_seconds
        self._proven = Limiter(most, most_waiting, most_wait_seconds)
        self._unproven = Limiter(min(most, most_unproven), most_waiting, most_wait_seconds)
        self.reading = Limiter(1, most + most_waiting, most_wait_seconds)
        self._expensive = Limiter(
            most_expensive,
            most_waiting,
            most_wait_seconds * _PATIENCE_OF_EXPENSIVE,
            turn_seconds=_TURN_OF_EXPENSIVE_SECONDS,
        )
        self._running = set[Place]()
        self._is_ticking = False

    @property
    def gauges(self) -> dict[str, dict[str, int]]:
        """Those of each line."""
        lines = {
            "reading": self.reading,
            "proven": self._proven,
            "unproven": self._unproven,
            "expensive": self._expensive,
        }
        return {name: limiter.gauges for name, limiter in lines.items()}

    def acquire_now(self, cost: int, history: History, *, is_query: bool) -> Place | None:
        """Acquire a place in the operation's line if one is free. The caller must release it."""
        limiter = self._line(cost, history, is_query=is_query)
        return self._placed(limiter) if limiter.acquire_now() else None

    def check(self, client: str) -> None:
        """Refuse a request that is not read yet, if not even proven operations get a place.

        Raises:
            Overloaded: too many are waiting already, or the client's have waited for too long.
        """
        self._proven.check(client)

    def check_new(self, client: str) -> None:
        """Refuse a document that is not read yet, if its operation would be refused.

        Raises:
            Overloaded: as `check`.
        """
        self._unproven.check(client)

    async def acquire(
        self, cost: int, history: History, client: str = "", *, is_query: bool
    ) -> Place:
        """Wait for a place in the operation's line. The caller must release it.

        Raises:
            Overloaded: as `check`.
        """
        limiter = self._line(cost, history, is_query=is_query)
        if not limiter.acquire_now():
            await limiter.acquire(client)
            # Another operation of the shape may have been slow meanwhile.
            line = self._line(cost, history, is_query=is_query)
            if line is self._expensive is not limiter:
                limiter.release()
                await line.acquire(client)
                limiter = line
        return self._placed(limiter)

    def _placed(self, limiter: Limiter) -> Place:
        place = Place(limiter)
        self._running.add(place)
        if not self._is_ticking:
            self._is_ticking = True
            get_running_loop().call_later(_TICK_SECONDS, self._tick)
        return place

    async def check_plan(
        self,
        place: Place,
        history: History,
        planned_cost: Callable[[], Awaitable[float]],
        client: str = "",
    ) -> None:
        """Let an operation of a new shape wait where the planner's estimate says that it is slow.

        The estimate is kept with the shape.

        Raises:
            Overloaded: too many are waiting already.
        """
        if history.has_run:
            return
        if history.planned_cost is None:
            history.planned_cost = await planned_cost()
        if history.is_slow:
            await self._wait_as_expensive(place, client)

    async def _wait_as_expensive(self, place: Place, client: str) -> None:
        if place.limiter is self._expensive or place.limiter is None:
            return
        place.limiter.release()
        place.limiter = None
        await self._expensive.acquire(client)
        place.limiter = self._expensive

    def release(self, place: Place, history: History) -> None:
        """Release a place, and record how long the operation took."""
        self._running.discard(place)
        if place.limiter is not None:
            place.limiter.release()
        history.add(was_slow=place.own_seconds >= self._expensive_after_seconds)

    def _line(self, cost: int, history: History, *, is_query: bool) -> Limiter:
        if cost >= self._expensive_from or (history.is_slow and is_query):
            return self._expensive
        return self._proven if history.has_run and is_query else self._unproven

    def _is_slow(self, seconds: float) -> bool:
        return seconds >= self._expensive_after_seconds

    def _tick(self) -> None:
        """Give operations that became expensive a place among those, or end them."""
        for place in self._running:
            if place.reads.is_running:
                place.observed_seconds += _TICK_SECONDS
                is_slow = self._is_slow(place.observed_seconds)
                if is_slow and place.limiter is not self._expensive:
                    self._move(place)
        self._is_ticking = bool(self._running)
        if self._is_ticking:
            get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def _move(self, place: Place) -> None:
        if self._expensive.acquire_now():
            if place.limiter is not None:
                place.limiter.release()
            place.limiter = self._expensive
        else:
            place.reads.stop(TooExpensive(self._expensive_after_seconds))
