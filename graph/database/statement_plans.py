"""The plans of statements that ran, in one read-only transaction that is rolled back.

It has the role, the settings and the timeouts of all transactions; a statement's SQL has the rows
that exist for its viewer. But the planner's estimates come from all rows of a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.database.transaction import RetryableConflict, transaction
from graph.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graph.database.engine import Database
    from graph.database.recording import RecordedStatement
    from graph.database.stopwatch import Stopwatch
    from graph.database.transaction import Transaction
    from graph.viewer import Viewer

# A sequential scan of a smaller table is as good as any other.
LARGE_ROWS = 10_000
_ROWS = """
    SELECT name, reltuples::bigint AS rows
    FROM unnest($1::text[]) AS name JOIN pg_class ON oid = to_regclass(quote_ident(name))
    WHERE reltuples >= $2
"""


@dataclass(slots=True)
class StatementPlan:
    """The plan of a statement as PostgreSQL's JSON, and the types of its parameters.

    `scanned` are the large tables, with their rows, of which all rows are looked at.
    """

    types: list[str]
    plan: dict[str, Any]
    scanned: dict[str, int]


async def plans_of(
    database: Database,
    statements: Sequence[RecordedStatement],
    viewer: Viewer,
    stopwatch: Stopwatch,
    *,
    analyze: bool,
) -> list[StatementPlan]:
    """The plan of each SELECT with its values; with `analyze` it runs once more.

    Raises:
        Unavailable, TimedOut, TryAgain: a statement could not be planned, or took too long.
    """
    try:
        async with transaction(database, viewer, reads=stopwatch, changes=stopwatch) as tx:
            plans = [await _plan(tx, each, analyze=analyze) for each in statements]
            names = sorted({name for each in plans for name in each.scanned})
            rows = {row["name"]: row["rows"] for row in await tx.fetch(_ROWS, names, LARGE_ROWS)}
    except RetryableConflict:
        raise TryAgain from None
    for each in plans:
        each.scanned = {name: rows[name] for name in each.scanned if name in rows}
    return plans


async def _plan(tx: Transaction, statement: RecordedStatement, *, analyze: bool) -> StatementPlan:
    types, plan = await tx.explain(statement.sql, statement.parameters, analyze=analyze)
    scanned = dict.fromkeys(_scanned(plan["Plan"]), 0)
    return StatementPlan(types, plan, scanned)


def _scanned(node: dict[str, Any]) -> Iterator[str]:
    """The tables of sequential scans in a plan."""
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for below in node.get("Plans", ()):
        yield from _scanned(below)
