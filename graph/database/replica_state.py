"""The state of the replicas, for `graph doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.errors import Unavailable

if TYPE_CHECKING:
    from graph.database.engine import Database
    from graph.database.replicas import Replica

_PRIMARY = """
    SELECT system_identifier AS system, pg_current_wal_flush_lsn() AS flushed
    FROM pg_control_system()
"""
_REPLICA = """
    SELECT system_identifier AS system, pg_is_in_recovery() AS is_standby,
           to_regtype('replayed') IS NOT NULL AS is_migrated,
           pg_last_wal_replay_lsn() AS replayed,
           extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS seconds
    FROM pg_control_system()
"""


async def replica_lines(database: Database) -> list[str]:
    """One line for each replica: how far it is behind, or why it is not read."""
    if database.replicas is None:
        return []
    primary = await database.first(_PRIMARY)
    most = database.replicas.most_lag_seconds
    return [await _line(each, primary, most) for each in database.replicas.all]


async def _line(replica: Replica, primary: Any, most_lag_seconds: float) -> str:
    name = f"the replica {replica.address}"
    try:
        state = await replica.first(_REPLICA)
    except Unavailable:
        return f"Danger: {name} cannot be reached: the others, or the primary, answer for it"
    if state["system"] != primary["system"]:
        return f"Danger: {name} is a copy of another system: its rows are not those of the primary"
    if not state["is_standby"]:
        return f"Danger: {name} is no standby, and is not read: was it promoted?"
    if not state["is_migrated"]:
        return f"Danger: {name} is not read: graph migrate must run, and the replica catch up"
    size, seconds = primary["flushed"] - state["replayed"], state["seconds"]
    if size > 0 and seconds is not None and 0 < most_lag_seconds < seconds:
        return (
            f"Danger: {name} {_lag(size, seconds)}: it is not read while it lags more than"
            f" {most_lag_seconds:g} s (GRAPH_MAX_REPLICA_LAG_SECONDS)"
        )
    return f"{name} {_lag(size, seconds)}"


def _lag(size: int, seconds: float | None) -> str:
    if size <= 0:
        return "has replayed all"
    # The last transaction may be old where few are made, so the time alone says nothing.
    since = "" if seconds is None else f"; its last transaction is {seconds:,.1f} s old"
    return f"is {size:,} bytes of the log behind{since}"
