"""Idempotency keys: a repeated request gets the stored answer of the first.

The key is claimed first and the answer stored last, in the transaction of the change itself, so
that neither exists without the other. A request whose key is claimed by a running transaction waits
for it in the unique index. It gets the answer if the other commits, and claims the key itself if
not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from graph.errors import IdempotencyMismatch

if TYPE_CHECKING:
    from datetime import timedelta

    from graph.database.engine import Database
    from graph.database.transaction import Transaction

# The limit is set before the row is: the wait is the INSERT's. It also bounds what comes after.
_CLAIM = """
    INSERT INTO idempotency_keys AS kept (viewer, key, request)
    SELECT $1, $2, $3 FROM set_config('lock_timeout', $5, true)
    ON CONFLICT (viewer, key) DO UPDATE
        SET request = excluded.request, answer = NULL, created_on = now()
        WHERE kept.created_on < now() - $4::interval
    RETURNING 1
"""
_FIND = "SELECT request, answer FROM idempotency_keys WHERE viewer = $1 AND key = $2"
_STORE = "UPDATE idempotency_keys SET answer = $3 WHERE viewer = $1 AND key = $2"
_PRUNE = """
    DELETE FROM idempotency_keys WHERE (viewer, key) IN (
        SELECT viewer, key FROM idempotency_keys
        WHERE created_on < now() - CAST(:kept AS interval) LIMIT 10000 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key, and the hash of the request that uses it."""

    viewer: str
    key: str
    request: bytes


async def claim(
    transaction: Transaction, key: Key, *, kept: timedelta, wait_seconds: float
) -> bytes | None:
    """Claim a key. Returns the stored answer, or None if the key is new.

    Raises:
        IdempotencyMismatch: the key was used for a different request.
        RetryableConflict: the transaction that claimed the key has not ended in time.
    """
    limit = f"{round(wait_seconds * 1000)}ms"
    if await transaction.first(_CLAIM, key.viewer, key.key, key.request, kept, limit):
        return None
    found = await transaction.first(_FIND, key.viewer, key.key)
    if found["request"] != key.request:
        raise IdempotencyMismatch
    answer: bytes = found["answer"]
    return answer


async def store(transaction: Transaction, key: Key, answer: bytes) -> None:
    await transaction.fetch(_STORE, key.viewer, key.key, answer)


async def prune(database: Database, *, kept: timedelta) -> int:
    """Remove expired keys, in small batches; return their number."""
    removed, batch = 0, -1
    while batch:
        async with database.engine.begin() as connection:
            result = await connection.execute(text(_PRUNE), {"kept": kept})
            batch = result.rowcount
            removed += batch
    return removed
