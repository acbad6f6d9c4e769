"""How far back those who follow a log may resume.

A cursor is the number of the last event that somebody has. It can be resumed when all later events
are left and are within the limits of replay. History does not depend on these limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.database.engine import Database
    from graph.settings import Settings

# Numbers follow time, but for transactions that take their time: the search halves the log. An
# event's moment is the begin of its transaction.
_LAST_BEFORE = """
    WITH RECURSIVE halves(low, high) AS (
        SELECT $2::bigint, $3::bigint
        UNION ALL
        SELECT CASE WHEN is_old THEN probe.id ELSE low END,
               CASE WHEN is_old THEN high ELSE middle - 1 END
        FROM halves
        CROSS JOIN LATERAL (SELECT low + (high - low + 1) / 2 AS middle OFFSET 0) AS halved
        LEFT JOIN LATERAL (
            SELECT id, occurred_at < now() - $1::float8 * interval '1 hour' AS is_old
            FROM {table} WHERE id >= middle AND id <= high ORDER BY id LIMIT 1) AS probe ON true
        WHERE low < high
    )
    SELECT low AS number FROM halves ORDER BY high - low, low DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """The most events, and the most hours, that are replayed."""

    events: int = 1_000_000
    hours: float = 168

    @classmethod
    def of(cls, settings: Settings) -> ReplayLimits:
        return cls(settings.replay_events, settings.replay_hours)


def smallest_cursor(limits: ReplayLimits, *, last: int, before: int, pruned: int) -> int:
    """The smallest cursor that may be resumed.

    `last` is the last number of the log, `before` the last one before the limit's hours, `pruned`
    the one up to which the log was pruned.
    """
    return max(last - limits.events, before, pruned, 0)


async def pruned_through(database: Database, table: str) -> int:
    """The number up to which a log was pruned; 0 if it never was.

    Whoever reads the log from a number on and finds this one above it has missed events. Only a
    look after the reading is safe: pruning may go on meanwhile.
    """
    found = await database.first("SELECT through FROM pruned_logs WHERE log = $1", table)
    return found["through"] if found else 0


async def oldest_cursor(database: Database, table: str, limits: ReplayLimits, last: int) -> int:
    """As `smallest_cursor`, for a log whose last settled number is `last`.

    Raises:
        Unavailable: the database cannot be reached.
    """
    pruned = await pruned_through(database, table)
    before = await last_before(database, table, hours=limits.hours, after=pruned, last=last)
    return smallest_cursor(limits, last=last, before=before, pruned=pruned)


async def last_before(
    database: Database, table: str, *, hours: float, after: int, last: int
) -> int:
    """The last number up to `last` of an event older than so many hours; `after` if none is."""
    found = await database.first(_LAST_BEFORE.format(table=table), hours, min(after, last), last)
    number: int = found["number"]
    return number
