"""How far replicas are behind, in seconds, so that one that is too far behind is not read.

The age of the last transaction that a replica has replayed says little: it grows while nobody
writes. So the position of the primary's log is noted once a second. A replica lags since the first
note that is beyond what it has replayed, and not at all where there is none. While the primary is
away nothing new is written, and lags do not grow.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.database.consistency import FLUSHED, ConsistencyToken
from graph.database.tasks import FailureLog, end_task
from graph.errors import TimedOut, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from graph.database.replicas import Replica
    from graph.database.server import Server

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
# A server that does not answer keeps nobody from looking at the others.
_LONGEST_LOOK_SECONDS = 2.0
# Of one hour in which the log grows all the time.
_MOST_NOTES = 3_600
# A standby may have received more than it has replayed, but of this timeline. Without the right to
# see that (pg_monitor), it is the timeline of its last checkpoint.
STANDBY = """
    SELECT pg_is_in_recovery() AS is_standby,
           greatest((SELECT received_tli FROM pg_stat_wal_receiver),
                    (SELECT timeline_id FROM pg_control_checkpoint())) AS timeline,
           pg_last_wal_replay_lsn() AS replayed,
           extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS age_seconds
"""


class Look:
    """Reads the state of a server again and again, whatever that meets."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._failures = FailureLog(
            logger,
            f"the state of {name} cannot be read",
            f"the state of {name} is read again",
            has_traceback=True,
        )

    async def first(self, sql: str) -> Any | None:
        """The first row; None if there is none. An unexpected error is logged when it begins."""
        try:
            async with asyncio.timeout(_LONGEST_LOOK_SECONDS):
                row = await self._server.first(sql)
        except (Unavailable, TimedOut, TimeoutError):
            return None
        except Exception as error:  # noqa: BLE001  the next look may succeed
            self._failures.note(error)
            return None
        self._failures.end()
        return row


class _Note(NamedTuple):
    """A position of the primary's log, and when it was first seen there."""

    position: ConsistencyToken
    at: float


class LogNotes:
    """When the primary's log had come how far, and the largest lag that replicas may have.

    0 stands for any lag; nothing is noted then.
    """

    def __init__(self, most_lag_seconds: float) -> None:
        self.most_lag_seconds = most_lag_seconds
        self._notes = deque[_Note](maxlen=_MOST_NOTES)
        self._at = 0.0

    def add(self, position: ConsistencyToken, at: float) -> None:
        """Note a position, in the order of time."""
        self._at = at
        if self._notes and position < self._notes[-1].position:
            self._notes.clear()  # a primary that was restored from a backup
        if not self._notes or position > self._notes[-1].position:
            self._notes.append(_Note(position, at))

    def lag_seconds(self, replayed: ConsistencyToken, age_seconds: float | None) -> float:
        """For how long the primary has been beyond a position, up to the last note.

        `age_seconds` is that of the last transaction before the position: a guess, where the notes
        do not reach back so far.
        """
        since = None
        for note in reversed(self._notes):
            if note.position <= replayed:
                return 0.0 if since is None else self._at - since
            since = note.at
        return 0.0 if since is None else max(self._at - since, age_seconds or 0.0)


class LagWatch:
    """Measures the lag of each replica. One per worker."""

    def __init__(self, primary: Server, replicas: Sequence[Replica], notes: LogNotes) -> None:
        self._primary = Look(primary, "the primary")
        self._replicas = replicas
        self._notes = notes
        self._failures = FailureLog(
            logger,
            "the lag of the replicas cannot be measured",
            "the lag of the replicas is measured again",
            has_traceback=True,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure once a second until the block ends, if lags are bounded."""
        task = asyncio.create_task(self._repeat()) if self._notes.most_lag_seconds else None
        try:
            yield
        finally:
            await end_task(task)

    async def measure(self) -> None:
        """Measure the lag of each replica that does not rest, after the primary's position."""
        row = await self._primary.first(FLUSHED)
        if row is not None:
            self._notes.add(ConsistencyToken(*row), monotonic())
        await asyncio.gather(*(each.measure() for each in self._replicas if not each.is_resting))

    async def _repeat(self) -> None:
        while True:
            with self._failures.caught():
                await self.measure()
            await asyncio.sleep(_EVERY_SECONDS)
