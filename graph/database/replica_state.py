"""The state of the replicas, for `graph doctor`."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from graph.database.consistency import FLUSHED, ConsistencyToken
from graph.database.replica_lag import STANDBY, LogNotes
from graph.errors import Unavailable

if TYPE_CHECKING:
    from graph.database.engine import Database
    from graph.database.replicas import Replica

_PRIMARY = "SELECT system_identifier FROM pg_control_system()"
_REPLICA = """
    SELECT system_identifier, pg_is_in_recovery() AS is_standby,
           to_regtype('replayed') IS NOT NULL AS is_migrated
    FROM pg_control_system()
"""
_LONGEST_MEASURE_SECONDS = 2.0
_AGAIN_SECONDS = 0.1


async def replica_lines(database: Database) -> list[str]:
    """One line for each replica: how far it is behind, or why it is not read."""
    if database.replicas is None:
        return []
    (system,) = await database.first(_PRIMARY)
    most = database.replicas.most_lag_seconds
    return [await _line(database, each, system, most) for each in database.replicas.all]


async def _line(database: Database, replica: Replica, system: int, most_lag_seconds: float) -> str:
    name = f"the replica {replica.address}"
    try:
        if problem := _problem(await replica.first(_REPLICA), system):
            return f"Danger: {name} is {problem}"
        size, seconds = await _lag(database, replica, LogNotes(most_lag_seconds))
    except Unavailable:
        return f"Danger: {name} cannot be reached: the others, or the primary, answer for it"
    if size <= 0:
        return f"{name} has replayed all"
    lag = f"{name} is {size:,} bytes of the log behind, by {seconds:,.1f} s"
    if 0 < most_lag_seconds < seconds:
        return (
            f"Danger: {lag}: it is not read while it lags more than"
            f" {most_lag_seconds:g} s (GRAPH_MAX_REPLICA_LAG_SECONDS)"
        )
    return lag


def _problem(state: Any, system: int) -> str | None:
    if state["system_identifier"] != system:
        return "a copy of another system: its rows are not those of the primary"
    if not state["is_standby"]:
        return "no standby, and is not read: was it promoted?"
    if not state["is_migrated"]:
        return "not read: graph migrate must run, and the replica catch up"
    return None


async def _lag(database: Database, replica: Replica, notes: LogNotes) -> tuple[int, float]:
    """The bytes and the seconds that a replica is behind, as the watch of a worker has them.

    The age of its last transaction is a guess, which is wrong where few are made. So the replica
    has a moment to replay what the primary's log had at first.
    """
    until = monotonic() + _LONGEST_MEASURE_SECONDS
    first: ConsistencyToken | None = None
    while True:
        flushed = ConsistencyToken(*await database.first(FLUSHED))
        notes.add(flushed, monotonic())
        first = first or flushed
        state = await replica.first(STANDBY)
        replayed = ConsistencyToken(state["timeline"], state["replayed"])
        if replayed >= first or monotonic() > until:
            size = flushed.position - replayed.position
            return size, notes.lag_seconds(replayed, state["age_seconds"])
        await asyncio.sleep(_AGAIN_SECONDS)
