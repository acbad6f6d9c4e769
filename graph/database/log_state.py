"""The state of the log, for `graph doctor`: its size, its growth, and who holds its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from graph.database.events import LogReader
from graph.database.partitions import default_of
from graph.database.replay import last_before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.engine import Database
    from graph.database.events import EventLog

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
_HOURS = {"day": 24.0, "week": 168.0}


class _Size(NamedTuple):
    partitions: int
    bytes: int
    rows: float


async def log_lines(database: Database, log: EventLog) -> list[str]:
    """One line each for the size, the growth, what was pruned, and each danger."""
    table = log.table.name
    async with database.autocommit.connect() as connection:
        size = _Size(*(await connection.execute(_SIZE, {"table": table})).one())
        other = default_of(table)
        overflows = await connection.scalar(text(_HAS_ROWS.format(table=other)))
    reader = LogReader(database, log)
    last, writers, _ = await reader.look()
    holders = await reader.holders(writers)
    pruned = await reader.pruned_through()
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
        f"Danger: process {each.pid} ({each.application or 'unnamed'}, {each.state}) has written to"
        f" {table} and has been open for {each.seconds:.0f} s: those who follow the events wait"
        for each in holders
        if each.seconds > LONG_SECONDS
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
