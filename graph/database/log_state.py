"""The state of the log, for `graph doctor`: its size, its growth, and who holds its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from graph.database.partitions import default_of, last_key
from graph.database.pruning import pruned_through
from graph.database.replay import last_before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.engine import Database

# Those who follow the log wait for a transaction that has written to it.
LONG_SECONDS = 5.0

# The rows are those of the last ANALYZE, or VACUUM.
_SIZE = text("""
    SELECT count(*) FILTER (WHERE relpartbound IS NOT NULL),
           coalesce(sum(pg_total_relation_size(pg_class.oid)), 0),
           coalesce(sum(greatest(reltuples, 0)), 0)
    FROM pg_partition_tree(to_regclass(:table)) JOIN pg_class ON pg_class.oid = relid WHERE isleaf
""")
_HAS_ROWS = "SELECT EXISTS (SELECT FROM {table})"
# Where the role may not see the transactions of others, their begin is NULL.
_HOLDERS = text("""
    SELECT DISTINCT pid, coalesce(application_name, ''), coalesce(state, 'hidden'),
           extract(epoch FROM clock_timestamp() - xact_start) AS seconds
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = to_regclass(:table)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND clock_timestamp() - xact_start > CAST(:seconds AS float8) * interval '1 second'
    ORDER BY seconds DESC
""")
_HOURS = {"day": 24.0, "week": 168.0}


class _Size(NamedTuple):
    partitions: int
    bytes: int
    rows: float


async def log_lines(database: Database, table: str) -> list[str]:
    """One line each for the size, the growth, what was pruned, and each danger."""
    async with database.autocommit.connect() as connection:
        size = _Size(*(await connection.execute(_SIZE, {"table": table})).one())
        last = await connection.run_sync(last_key, table)
        other = default_of(table)
        overflows = await connection.scalar(text(_HAS_ROWS.format(table=other)))
        wanted = {"table": table, "seconds": LONG_SECONDS}
        holders = (await connection.execute(_HOLDERS, wanted)).all()
    pruned = await pruned_through(database, table)
    grown = {
        name: last - await last_before(database, table, hours=hours, after=pruned, last=last)
        for name, hours in _HOURS.items()
    }
    lines = list(_lines(table, size, grown, min(pruned, last)))
    if overflows:
        lines.append(
            f"Danger: {other} has rows: numbers went beyond all partitions, as nobody ran"
            " graph serve or graph prune in time. They are pruned row by row"
        )
    return lines + [
        f"Danger: process {pid} ({application or 'unnamed'}, {state}) has written to {table} and"
        f" has been open for {seconds:.0f} s: those who follow the events wait for it"
        for pid, application, state, seconds in holders
    ]


def _lines(table: str, size: _Size, grown: dict[str, int], pruned: int) -> Iterator[str]:
    per_row = float(size.bytes) / size.rows if size.rows else 0.0
    yield (
        f"{table} takes {_megabytes(float(size.bytes))} in {size.partitions} partitions,"
        f" with about {size.rows:,.0f} rows"
        + (f"; pruned through number {pruned:,}" if pruned else "")
    )
    growth = ", ".join(
        f"{rows:,} rows" + (f" ({_megabytes(rows * per_row)})" if per_row else "") + f" in a {name}"
        for name, rows in grown.items()
    )
    yield f"{table} grew by {growth}"


def _megabytes(bytes_: float) -> str:
    return f"{bytes_ / 2**20:,.1f} MB"
