"""The keys of services, as a worker knows them: a copy of the few rows, renewed on demand.

A key is looked up in the copy, so that neither a valid key nor a flood of invented ones costs a
statement each. A revoked key ends when the copy is renewed: within seconds, in every worker.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from graph.database import api_keys
from graph.errors import InvalidToken
from graph.viewer import Viewer

if TYPE_CHECKING:
    from graph.database.api_keys import ApiKey
    from graph.database.engine import Database

_KEPT_SECONDS = 10.0
# A key that was just added is unknown at first: the copy is renewed for it, but not for each.
_UNKNOWN_KEY_SECONDS = 1.0


class ApiKeys:
    """Finds the viewer of a key. One per application."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[bytes, ApiKey] = {}
        self._loaded_at = float("-inf")
        self._lock = asyncio.Lock()

    async def viewer(self, key: str) -> tuple[Viewer, float]:
        """The service with this key, and until when it is known (in seconds of the epoch).

        Raises:
            InvalidToken: there is no such key, or it was revoked or has expired.
            Unavailable: the database cannot be reached.
        """
        parsed = api_keys.parsed(key)
        if parsed is None:
            raise InvalidToken("it is not an API key")
        prefix, secret_hash = parsed
        await self._renew(_KEPT_SECONDS)
        if secret_hash not in self._keys:
            await self._renew(_UNKNOWN_KEY_SECONDS)
        found = self._keys.get(secret_hash)
        if found is None or found.prefix != prefix:
            raise InvalidToken("there is no such API key, or it was revoked or has expired")
        left_seconds = self._loaded_at + _KEPT_SECONDS - time.monotonic()
        until = datetime.now(UTC) + timedelta(seconds=left_seconds)
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            raise InvalidToken("it has expired")
        viewer = Viewer(
            subject=f"api-key {prefix}",
            role="service",
            may=found.permissions,
            expires_at=found.expires_at,
        )
        return viewer, min(until, found.expires_at or until).timestamp()

    async def _renew(self, after_seconds: float) -> None:
        """Load the keys if they are older than that; requests share one statement."""
        async with self._lock:
            if time.monotonic() - self._loaded_at < after_seconds:
                return
            keys = await api_keys.valid(self._database)
            self._keys = {key.secret_hash: key for key in keys}
            self._loaded_at = time.monotonic()
