"""Which clients use which fields and operations: counts, and when they were used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from graph.database.engine import Database
    from graph.database.server import Server

# A version of a client that nobody has any more makes room for another.
KEPT_DAYS = 180

# In one order, so that two workers do not wait for each other.
_ADD = """
    INSERT INTO usage AS known (kind, name, client, version, uses)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (kind, name, client, version) DO UPDATE
        SET uses = known.uses + excluded.uses, last_used = now()
"""
_PRUNE = f"DELETE FROM usage WHERE last_used < now() - interval '{KEPT_DAYS} days'"  # noqa: S608
# Counts of evicted names are those of all that have no room. Workers that add counts wait for it.
_LOCK = "LOCK TABLE usage IN SHARE ROW EXCLUSIVE MODE"
_EVICT = """
    WITH gone AS (
        DELETE FROM usage
        WHERE (client, version) IN (
            SELECT * FROM unnest(CAST(:clients AS text[]), CAST(:versions AS text[]))
        ) OR kind = 'operation' AND name = ANY(CAST(:operations AS text[]))
        RETURNING kind, uses, first_used, last_used,
            CASE WHEN kind = 'operation' AND name = ANY(CAST(:operations AS text[]))
                 THEN :other ELSE name END AS name,
            CASE WHEN (client, version) IN (
                SELECT * FROM unnest(CAST(:clients AS text[]), CAST(:versions AS text[]))
            ) THEN ARRAY[:other, ''] ELSE ARRAY[client, version] END AS client
    )
    INSERT INTO usage AS known (kind, name, client, version, uses, first_used, last_used)
    SELECT kind, name, client[1], client[2], sum(uses), min(first_used), max(last_used)
    FROM gone GROUP BY kind, name, client
    ON CONFLICT (kind, name, client, version) DO UPDATE
        SET uses = known.uses + excluded.uses,
            first_used = least(known.first_used, excluded.first_used),
            last_used = greatest(known.last_used, excluded.last_used)
"""
_ALL = """
    SELECT kind, name, client, version, uses, first_used, last_used FROM usage
    ORDER BY kind, name, client, version
"""


class Used(NamedTuple):
    """How often a client used something, for the first and the last time when."""

    kind: str
    name: str
    client: str
    version: str
    uses: int
    first_used: datetime
    last_used: datetime


async def add(database: Server, counts: Mapping[Any, int]) -> None:
    """Add counts by tuples of kind, name, client and version; at least one.

    Raises:
        Unavailable: the database cannot be reached.
    """
    columns = [list(column) for column in zip(*counts, strict=True)]
    await database.all(_ADD, *columns, list(counts.values()))


async def used(database: Server) -> list[Used]:
    """All that was used, in the order of kinds and names; raises as `add`."""
    return [Used(*row) for row in await database.all(_ALL)]


async def prune(database: Server) -> None:
    """Remove what was not used for `KEPT_DAYS`; raises as `add`."""
    await database.all(_PRUNE)


async def evict(
    database: Database, clients: Sequence[tuple[str, str]], operations: Sequence[str], other: str
) -> None:
    """Count clients (with their versions) and operations under the name `other` from now on.

    Raises:
        Unavailable: the database cannot be reached.
    """
    values = {
        "clients": [client for client, _ in clients],
        "versions": [version for _, version in clients],
        "operations": list(operations),
        "other": other,
    }
    async with database.write() as session:
        await session.execute(text(_LOCK))
        await session.execute(text(_EVICT), values)
