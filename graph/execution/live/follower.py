"""Follows the event log: which events are settled, and which rows have changed.

While somebody listens, it asks the sequence for its last number every 50 ms, or every 100 ms if
nothing has happened for some seconds. Otherwise it asks once a second. A commit of this worker
wakes it; a worker that commits often wakes it every 50 ms at most.

When the number has moved, it notes which transactions are writing. The number is settled when none
of these is left. This needs no connection of its own, no notification and no column. It works
behind any pooler, and costs writers nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from graph.database.events import is_prepared
from graph.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.database.events import Event, LogReader

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_QUIET_POLL_SECONDS = 0.1
_IDLE_SECONDS = 1.0
# After so long without an event.
_QUIET_AFTER_SECONDS = 5.0
# A worker that commits often looks at several commits together.
_LEAST_SECONDS = 0.05
# While numbers are about to settle, for the first second.
_SOON_SECONDS = 0.01
# Longer transactions hold the log up, and are named in the server's log.
_LONG_SECONDS = 5.0
# More events at once change so much that everything is taken for changed.
_MOST_EVENTS = 2_000


class Listener(Protocol):
    """What hears of changes. `events` is None for more than can be told."""

    @property
    def is_listening(self) -> bool: ...

    def changed(self, events: Sequence[Event] | None) -> None:
        """Events became visible: each is told of once or more, as soon as it is visible."""

    def settled_up_to(self, events: Sequence[Event] | None, number: int) -> None:
        """All events up to a number are known: these, and those told of before."""

    def restarted(self) -> None:
        """The numbers began anew: nothing that was known of the log holds."""


@dataclass(slots=True)
class _Mark:
    """A number that is settled when none of the transactions is left."""

    number: int
    writers: frozenset[str]
    since: float = field(default_factory=monotonic)
    is_reported: bool = False

    def has_settled(self, writers: frozenset[str]) -> bool:
        return self.writers.isdisjoint(writers) and not any(map(is_prepared, writers))


class Follower:
    """One per worker."""

    def __init__(self, log: LogReader, listener: Listener) -> None:
        self.settled: int | None = None  # until the first number has settled
        self._log = log
        self._listener = listener
        self._marks = deque[_Mark]()
        self._sequence = 0  # its file
        self._last = 0  # the number that was looked at last
        # The listener has heard of what is visible up to this number,
        self._heard = 0
        # but for what these write: each has numbers above its own here.
        self._writers = dict[str, int]()
        self._told = set[int]()  # events that are not settled
        self._polls = 0
        self._woken_at = self._moved_at = 0.0
        self._polling = asyncio.Lock()
        self._wake = asyncio.Event()
        self._is_failing = False

    @property
    def last(self) -> int:
        """The last number that was given away, when the log was looked at last."""
        return self._marks[-1].number if self._marks else self.settled or 0

    @property
    def lag_seconds(self) -> float:
        """How long the oldest number that is not settled has been waited for."""
        marks = tuple(self._marks)
        return monotonic() - marks[0].since if marks else 0.0

    @property
    def last_settled(self) -> int:
        """As `settled`, of a follower that has caught up."""
        return self.settled or 0

    async def first_replayed(self) -> int:
        """The smallest number after which a stream may begin.

        Raises:
            Unavailable: the database cannot be reached.
        """
        return await self._log.oldest_cursor(self.settled or 0)

    def wake(self) -> None:
        """Look at the log now: this worker has written to it, or somebody begins to listen."""
        self._wake.set()

    async def catch_up(self) -> int:
        """The last settled number, looked up after this call.

        Raises:
            Unavailable: the database cannot be reached.
        """
        wanted = self._polls + 1
        while self.settled is None or self._polls < wanted:
            async with self._polling:
                if self._polls < wanted or self.settled is None:
                    await self._poll()
            if self.settled is None:
                await asyncio.sleep(_SOON_SECONDS)
        return self.settled

    async def run(self) -> None:
        """Follow the log until it is cancelled; it goes on after every failure."""
        while True:
            await self._pause()
            try:
                async with self._polling:
                    await self._poll()
                await self._report_long_writers()
                self._is_failing = False
            except Unavailable as error:
                self._report(logging.WARNING, "the event log cannot be read: %s", error)
            except Exception:  # noqa: BLE001  it is logged, and subscriptions go on
                self._report(logging.ERROR, "the event log cannot be followed", exc_info=True)

    async def _pause(self) -> None:
        """Wait until the log must be looked at: woken, or after some time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_seconds):
                await self._wake.wait()
        if self._wake.is_set():
            await asyncio.sleep(self._woken_at + _LEAST_SECONDS - monotonic())
            self._woken_at = monotonic()
            self._wake.clear()

    @property
    def _pause_seconds(self) -> float:
        if self._is_failing or (not self._marks and not self._listener.is_listening):
            return _IDLE_SECONDS
        if self._marks and monotonic() - self._marks[0].since < 1:
            return _SOON_SECONDS
        is_quiet = monotonic() - self._moved_at > _QUIET_AFTER_SECONDS
        return _QUIET_POLL_SECONDS if is_quiet else _POLL_SECONDS

    async def _poll(self) -> None:
        self._polls += 1
        newest = self._marks[-1].number if self._marks else self.settled
        last, writers, sequence = await self._log.look(None if self._marks else newest)
        if newest is not None and (last < newest or sequence != self._sequence):
            self._restart()
            last, writers, sequence = await self._log.look()
            newest = None
        self._sequence = sequence
        if last == newest and not self._marks:
            return
        if last != newest:
            self._marks.append(_Mark(last, writers))
            self._moved_at = monotonic()
        self._look_at(last, writers)
        passed = list(takewhile(lambda mark: mark.has_settled(writers), self._marks))
        # If the log cannot be read now, nothing has settled yet.
        await self._tell(passed[-1].number if passed else self.settled, last)
        for _ in passed:
            self._marks.popleft()

    def _look_at(self, last: int, writers: frozenset[str]) -> None:
        """Note after which number events may have become visible since the look before."""
        for ended in self._writers.keys() - writers:
            self._heard = min(self._heard, self._writers.pop(ended))
        for writer in writers:
            # A writer that was not there had not taken a number.
            self._writers.setdefault(writer, 0 if is_prepared(writer) else self._last)
        self._last = last

    def _restart(self) -> None:
        logger.warning("the numbers of events have begun anew")
        self.settled = None
        self._marks.clear()
        self._told.clear()
        self._writers.clear()
        self._heard = self._last = 0
        self._listener.restarted()

    async def _tell(self, settled: int | None, last: int) -> None:
        """Tell of what is visible: up to `settled` for good."""
        before = self.settled
        if settled is None:
            return
        if before is None or not self._listener.is_listening:
            self.settled, self._heard = settled, last
            self._told.clear()
            return
        if settled > before:
            known = await self._events(before, settled)
            # Who begins to listen from now on begins after it.
            self.settled = settled
            self._tell_of(known)
            self._listener.settled_up_to(known, settled)
            self._told = {number for number in self._told if number > settled}
        after = max(settled, self._heard)
        if last > after:
            self._tell_of(await self._events(after, last))
        self._heard = last

    async def _events(self, after: int, upto: int) -> Sequence[Event] | None:
        events = await self._log.events(after, upto, limit=_MOST_EVENTS + 1)
        return None if len(events) > _MOST_EVENTS else events

    def _tell_of(self, events: Sequence[Event] | None) -> None:
        if events is None:
            self._listener.changed(None)
            return
        news = [event for event in events if event.number not in self._told]
        if news:
            if len(self._told) > _MOST_EVENTS:
                self._told.clear()  # to be told twice does no harm
            self._told |= {event.number for event in news}
            self._listener.changed(news)

    async def _report_long_writers(self) -> None:
        mark = self._marks[0] if self._marks else None
        if mark is None or mark.is_reported or monotonic() - mark.since < _LONG_SECONDS:
            return
        mark.is_reported = True
        for holder in await self._log.holders(mark.writers):
            logger.warning(
                "events wait for a transaction: process %s (%r, %s) began it %.0f s ago",
                *holder,
            )

    def _report(self, level: int, message: str, *arguments: object, exc_info: bool = False) -> None:
        """Log a failure, once until it is over."""
        logger.log(
            logging.DEBUG if self._is_failing else level, message, *arguments, exc_info=exc_info
        )
        self._is_failing = True
