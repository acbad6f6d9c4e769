"""Live queries: run once for all receivers of the same answer, after what they read has changed."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from graph.execution.live.events import may_pass
from graph.execution.live.group import Group

if TYPE_CHECKING:
    from graph.execution.live.dispatcher import Dispatcher
    from graph.execution.live.group import Bill
    from graph.execution.live.runs import Query
    from graph.execution.live.stream import StreamedResult

_LEAST_PAUSE_SECONDS = 0.1
# A query runs for at most a part of the time.
_PAUSES_PER_RUN = 10
_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0


class LiveGroup(Group):
    """Receivers of the same live query.

    The answer has a version. A receiver has taken one, so that it misses none that is new to it,
    though the answer did not change for others.
    """

    def __init__(self, dispatcher: Dispatcher, query: Query) -> None:
        super().__init__(dispatcher)
        self.query = query
        self.result: StreamedResult | None = None
        self.version = 0
        self.is_stale = True
        self.has_failed = False
        # Runs are numbered; the result is of `answered`, or the one before with the same answer.
        self.begun = self.answered = 0
        self._ended_at = self._took_seconds = 0.0
        self._retry_seconds = _RETRY_SECONDS
        dispatcher.request(self)

    def touch(self) -> None:
        """Rows have changed that the query reads."""
        if not self.is_stale:
            self.is_stale = True
            self.request()

    def request(self) -> None:
        """Run the query soon; it rests between two runs."""
        self.dispatcher.request(self, self._pause_seconds)

    @property
    def _pause_seconds(self) -> float:
        pause = max(_LEAST_PAUSE_SECONDS, _PAUSES_PER_RUN * self._took_seconds)
        return self._ended_at + pause - monotonic()

    @property
    def next_fresh(self) -> int:
        """The first run whose answer is not older than now; while it fails, its failure is."""
        return self.begun + (self.is_stale and not self.has_failed)

    async def refresh(self) -> float | None:
        """Run the query if it is stale."""
        if not self.is_stale:
            return None
        if not self.has_failed and (pause := self._pause_seconds) > 0:
            return pause
        began = monotonic()
        self.is_stale = False  # what changes from now on makes it stale again
        self.begun += 1
        try:
            result, cost = await self.query.whole()
        except Exception as error:  # noqa: BLE001  every receiver is told
            self.is_stale = self.has_failed = True
            if may_pass(error) and self.result is not None:
                return _RETRY_SECONDS
            self._take(self.query.failure(error))
            self._retry_seconds = min(2 * self._retry_seconds, _LONGEST_RETRY_SECONDS)
            return self._retry_seconds
        self.share(cost)
        self._take(result)
        self.has_failed, self._retry_seconds = False, _RETRY_SECONDS
        self._ended_at = monotonic()
        self._took_seconds = self._ended_at - began
        return self._pause_seconds if self.is_stale else None

    def _take(self, result: StreamedResult) -> None:
        self.answered = self.begun
        if self.result is None or result.body != self.result.body:
            self.result = result
            self.version += 1


class LiveStream:
    """One receiver's answers: the newest, whenever it takes one."""

    def __init__(self, group: LiveGroup, bill: Bill) -> None:
        self.cursor: str | None = None
        self._group = group
        self._version = 0
        # The first answer is not older than the subscription.
        self._first = group.next_fresh
        self._bill = bill
        self._is_over = False
        bill.begin(group)
        group.members.add(self)

    async def next(self) -> StreamedResult | None:
        group = self._group
        while not self._is_over:
            if group.version > self._version and group.answered >= self._first:
                self._version = group.version
                return group.result
            if self._bill.is_due(group):
                await self._bill.settle(group)  # and look again: there may be something new
            else:
                if group.is_stale:
                    group.request()
                await group.wait(self)
        return None

    async def close(self) -> None:
        self._is_over = True
        self._group.leave(self)
        await self._bill.close(self._group)
