"""Streams of events: pages of the log, read once for all receivers that want the same.

A receiver's state is one number, that of its last event. While it keeps up, it takes its events
from what its group has read. One that is slow, or begins earlier, reads pages of its own until it
has caught up. So memory is bounded, and no receiver misses an event.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING

from graph.errors import CursorExpired, TimedOut, TooExpensive, Unavailable
from graph.execution.live.group import Group

if TYPE_CHECKING:
    from graph.execution.live.dispatcher import Dispatcher
    from graph.execution.live.group import Bill
    from graph.execution.live.runs import Numbered, Query
    from graph.execution.live.stream import StreamedResult

# What a group keeps of what it has read, for receivers that are a little behind.
_MOST_KEPT = 256
_MOST_KEPT_BYTES = 4 * 1024 * 1024
# A page of one receiver's own.
_OWN_PAGE_SIZE = 20
_RETRY_SECONDS = 1.0


class EventGroup(Group):
    """Receivers of the same events in the same form."""

    def __init__(self, dispatcher: Dispatcher, query: Query, settled: int) -> None:
        super().__init__(dispatcher)
        self.query = query
        # The last result of all receivers, after which there are none.
        self.failure: StreamedResult | None = None
        # The group's events after `since` and up to `read` are kept; up to `settled` they exist.
        self.since = self.read = self.settled = settled
        self._numbers: list[int] = []
        self._results: list[StreamedResult] = []
        self._bytes = 0

    def settle(self, settled: int, *, is_touched: bool) -> None:
        """More events have settled; unless it is touched, none of them is of this group."""
        if not is_touched and self.read == self.settled:
            self.read = settled
        self.settled = settled
        if is_touched:
            self.dispatcher.request(self)

    def fail(self, error: Exception) -> None:
        """End the streams of all receivers."""
        self.failure = self.query.failure(error)
        self.dispatcher.request(self)

    def after(self, number: int) -> tuple[int, StreamedResult] | None:
        """The first kept event after a number, and its number."""
        index = bisect_right(self._numbers, number)
        if index == len(self._numbers):
            return None
        return self._numbers[index], self._results[index]

    async def refresh(self) -> float | None:
        """Read the next page of the events of this group."""
        settled = self.settled
        if self.read >= settled or self.failure is not None:
            return None
        try:
            page = await self.query.page(self.read, settled)
        except Exception as error:  # noqa: BLE001  every receiver is told
            if may_pass(error):
                return _RETRY_SECONDS
            self.failure = self.query.failure(error)
            return None
        self.share(page.cost)
        self._keep(page.events)
        self.read = page.end
        return None

    def _keep(self, events: list[Numbered]) -> None:
        for number, result in events:
            self._numbers.append(number)
            self._results.append(result)
            self._bytes += len(result.body)
        dropped = 0
        while len(self._numbers) - dropped > _MOST_KEPT or self._bytes > _MOST_KEPT_BYTES:
            self.since = self._numbers[dropped]
            self._bytes -= len(self._results[dropped].body)
            dropped += 1
        del self._numbers[:dropped], self._results[:dropped]


class EventStream:
    """One receiver's events."""

    def __init__(self, group: EventGroup, number: int, bill: Bill) -> None:
        self.cursor: str | None = group.query.cursor_of(number)
        self._group = group
        self._number = number
        self._own = deque["Numbered"]()
        self._own_end = number
        self._bill = bill
        self._is_over = False
        bill.begin(group)
        group.members.add(self)

    async def next(self) -> StreamedResult | None:
        while not self._is_over:
            found = self._found()
            if found is not None:
                return found
            is_behind = self._number < self._group.since
            if not is_behind and self._group.failure is not None:
                return self._failed(self._group.failure)
            try:
                # After each of these, there may be something new: only then is there time to wait.
                if self._bill.is_due(self._group):
                    await self._bill.settle(self._group)
                elif is_behind:
                    await self._read_own()
                else:
                    await self._wait()
            except Exception as error:  # noqa: BLE001  the receiver is told
                if not may_pass(error):
                    return self._failed(self._group.query.failure(error))
                await asyncio.sleep(_RETRY_SECONDS)
        return None

    async def close(self) -> None:
        self._is_over = True
        self._group.leave(self)
        await self._bill.close(self._group)

    def _found(self) -> StreamedResult | None:
        """The next event among those that have been read."""
        if self._own:
            number, result = self._own.popleft()
            self._number = number if self._own else self._own_end
            return result
        if self._number < self._group.since:
            return None
        found = self._group.after(self._number)
        if found is None:
            return None
        self._number, result = found
        return result

    async def _wait(self) -> None:
        """Wait for more than has been read; all of that has been taken."""
        group = self._group
        self._number = max(self._number, group.read)
        if group.read < group.settled:
            group.dispatcher.request(group)
        await group.wait(self)

    async def _read_own(self) -> None:
        """Read a page for this receiver alone."""
        query, settled = self._group.query, self._group.settled
        page = await query.page(self._number, settled, _OWN_PAGE_SIZE)
        # Events may be pruned meanwhile, so only a look after the reading is safe.
        if self._number < await query.pruned_through():
            raise CursorExpired
        self._bill.add(page.cost)
        self._own.extend(page.events)
        self._own_end = page.end
        if not page.events:
            self._number = page.end

    def _failed(self, failure: StreamedResult) -> StreamedResult:
        self._is_over = True
        return failure


def may_pass(error: Exception) -> bool:
    """Whether the same query may succeed a little later: the database, or this server, is busy."""
    return isinstance(error, Unavailable) and not isinstance(error, TimedOut | TooExpensive)
