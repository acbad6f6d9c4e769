"""Leases: work that one process at a time does, such as pruning.

A lease is a row with an end. Its holder renews it while it works. If the holder dies, another takes
the lease at its end. Unlike an advisory lock of a session, it works behind a pooler that shares
sessions.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.database.engine import Database

_TAKE = """
    INSERT INTO leases AS held (name, holder, until)
    VALUES ($1, $2, now() + $3::float8 * interval '1 second')
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
        WHERE held.holder = excluded.holder OR held.until < now()
    RETURNING true
"""
_RELEASE = "DELETE FROM leases WHERE name = $1 AND holder = $2"


class Lease:
    """The lease of one name, for this process. `seconds` is how long it lasts unless renewed."""

    def __init__(self, database: Database, name: str, *, seconds: float) -> None:
        self._database = database
        self._name = name
        self._seconds = seconds
        # Not the number of a process, which another machine may have as well.
        self.holder = secrets.token_hex(16)

    async def take(self) -> bool:
        """Take the lease, or renew it; False if another holds it.

        Raises:
            Unavailable: the database cannot be reached.
        """
        return await self._database.first(_TAKE, self._name, self.holder, self._seconds) is not None

    async def release(self) -> None:
        """Give the lease up, if this process holds it."""
        await self._database.first(_RELEASE, self._name, self.holder)
