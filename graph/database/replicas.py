"""Reads from replicas: the choice of one of them, and the fallback to the primary.

A replica lags. A client that has changed something sends its token (`consistency`), and reads from
a replica only if that has replayed as much. The check must come before the snapshot of the
statement, so it is no condition within it: it belongs to the type of a parameter, which PostgreSQL
reads before it plans the statement.

    CREATE DOMAIN replayed AS pg_lsn
        CONSTRAINT replayed_as_standby CHECK (pg_is_in_recovery())
        CONSTRAINT replayed_check CHECK (value <= pg_last_wal_replay_lsn())

    SELECT ... WHERE $3::replayed IS NULL OR true

This holds for READ COMMITTED: a session of REPEATABLE READ takes its snapshot before it reads
parameters. So sessions, and with them the resolvers, stay on the primary. A promoted replica fails
the first check, with a token or without: it may go another way than the primary does.

What a replica cannot answer, the primary answers: it gets the same statement, once, in the same
world. A replica that is out of reach, or was promoted, rests: it is looked at once a second, and no
client waits for it meanwhile. One that lags too much (`replica_lag`) is left out in the same way.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from graph.database.consistency import ConsistencyToken
from graph.database.driver_errors import is_outdated, sqlstate, typed
from graph.database.replica_lag import STANDBY, LagWatch, LogNotes, Look
from graph.database.server import Server, pooled_engine
from graph.database.tasks import end_task
from graph.errors import Interrupted, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from graph.database.reads import JsonQuery
    from graph.database.stopwatch import Stopwatch
    from graph.selection import Value
    from graph.settings import Settings
    from graph.viewer import Viewer

T = TypeVar("T")

logger = logging.getLogger(__name__)

_REST_SECONDS = 1.0

_CHECK_VIOLATION, _CONFLICT, _SCHEMA = "23514", "40001", "42"


class Fallback(StrEnum):
    """Why the primary answered instead of a replica."""

    BEHIND = "behind"  # it has not replayed as much as the token says
    TIMELINE = "timeline"  # the token is of another timeline
    PROMOTED = "promoted"  # it is no replica any more
    CONFLICT = "conflict"  # recovery ended the statement
    SCHEMA = "schema"  # a migration has not arrived there
    LOST = "lost"  # the connection was lost
    UNREACHABLE = "unreachable"
    RESTING = "resting"  # all of them rest
    LAGGING = "lagging"  # those that do not rest are too far behind


_RESTS = {Fallback.PROMOTED, Fallback.UNREACHABLE}
_CONSTRAINTS = {
    "replayed_as_standby": Fallback.PROMOTED,
    "replayed_check": Fallback.BEHIND,
}


class Reader(Protocol):
    """Answers compiled reads: the primary, or whichever server is fit for it."""

    async def fetch_json(
        self, query: JsonQuery, values: Sequence[Value], viewer: Viewer, stopwatch: Stopwatch
    ) -> Sequence[bytes]: ...

    async def planned_cost(
        self, query: JsonQuery | None, values: Sequence[Value], viewer: Viewer, stopwatch: Stopwatch
    ) -> float: ...


class Replica(Server):
    """A server whose statements have one parameter more: the position that must be replayed."""

    # Its failures are no outages: the primary has the last word.
    _typed = staticmethod(typed)

    def __init__(self, engine: AsyncEngine, max_answer_bytes: int, notes: LogNotes) -> None:
        super().__init__(engine, max_answer_bytes)
        self._notes = notes
        self._timeline: int | None = None
        self._looked_up_at = 0.0
        self._looking_up = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._look = Look(self, f"the replica {self.address}")
        # The last state of a standby that was seen.
        self._state: Any = None
        self.lag_seconds = 0.0
        self.is_lagging = False

    @property
    def address(self) -> str:
        """Its host and port, or that of its socket."""
        url = self.engine.url
        return f"{url.host or url.query.get('host', 'localhost')}:{url.port or 5432}"

    @property
    def is_resting(self) -> bool:
        return self._looking is not None and not self._looking.done()

    @property
    def is_fit(self) -> bool:
        """Whether it can be read, as far as is known."""
        return not self.is_resting and not self.is_lagging

    async def follows(self, timeline: int) -> bool:
        """Whether it replays the log of this timeline, as far as it is known.

        A replica that follows a new timeline is taken for one of the old timeline for a moment,
        which only sends reads to the primary.
        """
        if self._timeline != timeline:
            async with self._looking_up:
                if self._timeline is None or monotonic() - self._looked_up_at > _REST_SECONDS:
                    self._timeline = (await self.first(STANDBY))["timeline"]
                    self._looked_up_at = monotonic()
        return self._timeline == timeline

    def rest(self, reason: Fallback) -> None:
        """Read nothing from it until it is a replica that can be reached."""
        if not self.is_resting:
            logger.warning("the replica %s is not read: %s", self.address, reason)
            self._looking = asyncio.create_task(self._until_fit())

    async def measure(self) -> None:
        """Measure its lag; leave it out of all reads while that is too large.

        Without an answer it has replayed no more than before, as far as is known.
        """
        state = await self._look.first(STANDBY)
        if state is None or state["is_standby"]:
            self._note(state or self._state)

    def _note(self, state: Any) -> None:
        if state is None:
            return
        self._state = state
        self._timeline = state["timeline"]
        replayed = ConsistencyToken(state["timeline"], state["replayed"])
        self.lag_seconds = self._notes.lag_seconds(replayed, state["age_seconds"])
        was_lagging = self.is_lagging
        self.is_lagging = self.lag_seconds > self._notes.most_lag_seconds
        if self.is_lagging and not was_lagging:
            text = "the replica %s is not read: it is %.1f s behind"
            logger.warning(text, self.address, self.lag_seconds)
        elif was_lagging and not self.is_lagging:
            logger.info("the replica %s is read again", self.address)

    async def close(self) -> None:
        await end_task(self._looking)
        await self.engine.dispose()

    async def _until_fit(self) -> None:
        while True:
            await asyncio.sleep(_REST_SECONDS)
            state = await self._look.first(STANDBY)
            if state is not None and state["is_standby"]:
                self._note(state)
                break
        logger.info("the replica %s is read again", self.address)


class Replicas:
    """The replicas of one primary."""

    def __init__(self, primary: Server, replicas: Sequence[Replica], notes: LogNotes) -> None:
        self.all = replicas
        self.most_lag_seconds = notes.most_lag_seconds
        self.watch = LagWatch(primary, replicas, notes)
        self.answered = 0
        self.fallbacks = Counter[Fallback]()
        self._primary = primary
        self._in_turn = deque(replicas)

    @classmethod
    def connect(
        cls, primary: Server, settings: Settings, max_temp_megabytes: int | None
    ) -> Replicas:
        """A pool for each of `settings.replica_urls`. None is opened before it is used."""
        engines = (
            pooled_engine(url.get_secret_value(), settings, max_temp_megabytes)
            for url in settings.replica_urls
        )
        notes = LogNotes(settings.max_replica_lag_seconds)
        replicas = [Replica(engine, settings.max_answer_bytes, notes) for engine in engines]
        for each in replicas:
            each.listeners = primary.listeners
        return cls(primary, replicas, notes)

    async def read(
        self,
        token: ConsistencyToken | None,
        run: Callable[[Server, tuple[int | None, ...]], Awaitable[T]],
    ) -> T:
        """Run a statement on a replica that has what the token stands for, or on the primary.

        `run` gets the server, and what a replica must have replayed (`Server.fetch_json`).

        Raises:
            Exception: what the statement raises on the primary, or would raise on any server.
        """
        replica = self._chosen()
        if replica is None:
            are_resting = all(each.is_resting for each in self.all)
            reason = Fallback.RESTING if are_resting else Fallback.LAGGING
        else:
            try:
                if token is None or await replica.follows(token.timeline):
                    result = await run(replica, (token and token.position,))
                    self.answered += 1
                    return result
                reason = Fallback.TIMELINE
            except Exception as error:
                found = _reason(error)
                if found is None:
                    raise
                reason = found
            if reason in _RESTS:
                replica.rest(reason)
        self.fallbacks[reason] += 1
        return await run(self._primary, ())

    @property
    def can_be_read(self) -> bool:
        """Whether one of them can, as far as is known."""
        return any(each.is_fit for each in self.all)

    async def close(self) -> None:
        for each in self.all:
            await each.close()

    def _chosen(self) -> Replica | None:
        """The replica with the fewest connections in use; they take turns where these are equal."""
        self._in_turn.rotate(-1)
        fit = [each for each in self._in_turn if each.is_fit]
        return min(fit, key=_in_use, default=None)


@dataclass(frozen=True, slots=True)
class FreshReader:
    """Reads that see all that a token stands for; without a token, what the replicas have."""

    replicas: Replicas
    token: ConsistencyToken | None

    async def fetch_json(
        self, query: JsonQuery, values: Sequence[Value], viewer: Viewer, stopwatch: Stopwatch
    ) -> Sequence[bytes]:
        return await self.replicas.read(
            self.token,
            lambda server, replayed: server.fetch_json(query, values, viewer, stopwatch, replayed),
        )

    async def planned_cost(
        self, query: JsonQuery | None, values: Sequence[Value], viewer: Viewer, stopwatch: Stopwatch
    ) -> float:
        return await self.replicas.read(
            None, lambda server, _: server.planned_cost(query, values, viewer, stopwatch)
        )


def _in_use(replica: Replica) -> int:
    return replica.pool.checkedout()


def _reason(error: Exception) -> Fallback | None:
    """Why the primary may answer what a replica did not; None if it would fail as well."""
    state = sqlstate(error)
    if state == _CHECK_VIOLATION:
        return _CONSTRAINTS.get(getattr(error, "constraint_name", ""))
    if state.startswith(_SCHEMA) or is_outdated(error):
        return Fallback.SCHEMA
    if isinstance(error, Interrupted):
        return Fallback.CONFLICT if state == _CONFLICT else Fallback.LOST
    return Fallback.UNREACHABLE if type(error) is Unavailable else None
