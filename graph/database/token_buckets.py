"""Token buckets in PostgreSQL, one per client: all processes share them, and the server's clock.

A bucket is stored as the time at which it will be full again. A charge moves that time away, at
most as far as an empty bucket needs; the passing of time fills the bucket. A bucket whose time has
passed is full, like one that was never stored, and can be deleted.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import blake2b
from os import urandom
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.database.engine import Database

_KEY_BYTES = 16

# $2 is how long the cost takes to fill, $3 how long all of the bucket does. No bucket has a debt of
# more than that, should the clock have been put back or the bucket made smaller. The row says
# whether it was given: it is locked, while a SELECT beside it would read what was there before.
_TAKE = """
    INSERT INTO cost_buckets AS kept (client, full_at, given)
    VALUES ($1, now() + $2::interval, true)
    ON CONFLICT (client) DO UPDATE SET (full_at, given) = (
        SELECT due + CASE WHEN fits THEN $2 ELSE '0' END, fits
        FROM (SELECT least(greatest(kept.full_at, now()), now() + 2 * $3::interval) AS due) AS old
        CROSS JOIN LATERAL (SELECT due + $2 <= now() + $3 AS fits) AS cost)
    RETURNING given, ceil(extract(epoch FROM full_at + $2 - now() - $3))::integer AS wait_seconds
"""
# The same for work that is done: it is always given, and leaves a debt of up to one capacity.
_CHARGE = """
    INSERT INTO cost_buckets AS kept (client, full_at, given)
    VALUES ($1, now() + least($2, 2 * $3::interval), true)
    ON CONFLICT (client) DO UPDATE
    SET full_at = least(greatest(kept.full_at, now()) + $2::interval, now() + 2 * $3::interval)
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
    """Charge a cost, in seconds of refilling, or return the seconds to wait.

    Raises:
        Unavailable: the database cannot be reached.
    """
    cost, brim = timedelta(seconds=cost_seconds), timedelta(seconds=capacity_seconds)
    row = await database.first(_TAKE, _key(client), cost, brim)
    return None if row["given"] else row["wait_seconds"]


async def refund(database: Database, client: str, *, cost_seconds: float) -> None:
    await database.first(_GIVE_BACK, _key(client), timedelta(seconds=cost_seconds))


async def charge(
    database: Database, client: str, *, cost_seconds: float, capacity_seconds: float
) -> None:
    """Charge for work that was done, even if the bucket holds less."""
    cost, brim = timedelta(seconds=cost_seconds), timedelta(seconds=capacity_seconds)
    await database.first(_CHARGE, _key(client), cost, brim)


async def forget(database: Database, *, most: int) -> None:
    """Inspect some buckets, and delete those that are full."""
    await database.first(_FORGET, urandom(_KEY_BYTES), most)


def _key(client: str) -> bytes:
    return blake2b(client.encode(), digest_size=_KEY_BYTES).digest()
