"""The keys of services in PostgreSQL. A key's secret is stored as its hash, and shown once.

A key is `graph_PREFIX_SECRET`: the prefix names it in lists and in the history, and the secret has
256 random bits, which nobody can guess from a hash.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from graph.database.driver_errors import translated
from graph.database.tables import api_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Select

    from graph.database.engine import Database

_KEY = re.compile(r"graph_(?P<prefix>[0-9a-f]{8})_(?P<secret>[0-9a-f]{64})")
_PREFIX_BYTES = 4
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    prefix: str
    secret_hash: bytes
    name: str
    permissions: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def parsed(key: str) -> tuple[str, bytes] | None:
    """The prefix and the secret's hash; None for a text that is no key."""
    found = _KEY.fullmatch(key)
    return (found["prefix"], sha256(found["secret"].encode()).digest()) if found else None


async def add(
    database: Database, name: str, permissions: Collection[str], expires_at: datetime | None
) -> str:
    """Add a key and return it with its secret, which is not stored."""
    prefix, secret = secrets.token_hex(_PREFIX_BYTES), secrets.token_hex(_SECRET_BYTES)
    values = {
        "prefix": prefix,
        "secret_hash": sha256(secret.encode()).digest(),
        "name": name,
        "permissions": sorted(permissions),
        "expires_at": expires_at,
    }
    async with database.engine.begin() as connection:
        await connection.execute(insert(api_keys).values(values))
    return f"graph_{prefix}_{secret}"


async def every(database: Database) -> Sequence[ApiKey]:
    """All keys, the oldest first; revoked and expired ones too."""
    return await _selected(database, select(api_keys))


async def valid(database: Database) -> Sequence[ApiKey]:
    """The keys that are neither revoked nor expired.

    Raises:
        Unavailable: the database cannot be reached.
    """
    is_current = api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > func.now())
    return await _selected(
        database, select(api_keys).where(api_keys.c.revoked_at.is_(None), is_current)
    )


async def revoke(database: Database, prefix: str) -> bool:
    """Revoke a key; return whether there was one that was not revoked before."""
    statement = (
        update(api_keys)
        .where(api_keys.c.prefix == prefix, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    async with database.engine.begin() as connection:
        return (await connection.execute(statement)).rowcount > 0


async def _selected(database: Database, statement: Select[tuple[object, ...]]) -> list[ApiKey]:
    try:
        async with database.engine.connect() as connection:
            rows = (await connection.execute(statement.order_by(api_keys.c.created_at))).all()
    except Exception as error:
        raise translated(error) from error
    return [ApiKey(**{**row._asdict(), "permissions": frozenset(row.permissions)}) for row in rows]
