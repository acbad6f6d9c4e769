"""Buckets in PostgreSQL, one for each client: every process sees the same, by one clock.

A bucket is the moment at which it will be full again. To take from it moves the moment away, and
not further than an empty bucket needs; time does the filling. So a bucket whose moment has passed
is like one that was never there, and need not be kept.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import blake2b
from os import urandom
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.database.engine import Database

_KEY_BYTES = 16

# $2 is how long the cost takes to fill, $3 how long all of the bucket does. No bucket is emptier
# than empty, should the clock have been put back or the bucket made smaller. The row says whether
# it was given: it is locked, while a SELECT beside it would read what was there before.
_TAKE = """
    INSERT INTO cost_buckets AS kept (client, full_at, given)
    VALUES ($1, now() + $2::interval, true)
    ON CONFLICT (client) DO UPDATE SET (full_at, given) = (
        SELECT due + CASE WHEN fits THEN $2 ELSE '0' END, fits
        FROM (SELECT least(greatest(kept.full_at, now()), now() + $3::interval) AS due) AS bucket
        CROSS JOIN LATERAL (SELECT due + $2 <= now() + $3 AS fits) AS cost)
    RETURNING given, ceil(extract(epoch FROM full_at + $2 - now() - $3))::integer AS wait_seconds
"""
_GIVE_BACK = "UPDATE cost_buckets SET full_at = full_at - $2::interval WHERE client = $1"
# Keys are hashes: what follows a random one is a fair sample, so that few full buckets are left.
_FORGET = """
    DELETE FROM cost_buckets WHERE client IN (
        SELECT client FROM cost_buckets
        WHERE full_at <= now() AND client IN (
            SELECT client FROM cost_buckets WHERE client >= $1 ORDER BY client LIMIT $2)
        FOR UPDATE SKIP LOCKED)
"""


async def consume(
    database: Database, client: str, *, cost_seconds: float, capacity_seconds: float
) -> int | None:
    """Take what fills in so many seconds, not more than the brim; else say when there is enough.

    Raises:
        Unavailable: the database cannot be reached.
    """
    cost, brim = timedelta(seconds=cost_seconds), timedelta(seconds=capacity_seconds)
    row = await database.first(_TAKE, _key(client), cost, brim)
    return None if row["given"] else row["wait_seconds"]


async def refund(database: Database, client: str, *, cost_seconds: float) -> None:
    await database.first(_GIVE_BACK, _key(client), timedelta(seconds=cost_seconds))


async def forget(database: Database, *, most: int) -> None:
    """Look at some buckets, and remove those that are full."""
    await database.first(_FORGET, urandom(_KEY_BYTES), most)


def _key(client: str) -> bytes:
    return blake2b(client.encode(), digest_size=_KEY_BYTES).digest()
