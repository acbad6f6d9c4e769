"""Whether the store can be used, answered soon whatever else runs.

The check has a connection of its own, so it does not wait for operations. Probes at the same time
share one check. Where a busy machine takes too long for it, the last result is the answer while it
is fresh.

A standby is not ready: it can be read, but takes no changes. The connection to it is closed, so
that the next check meets the primary once the address leads there.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import text

from graph.database.driver_errors import translated
from graph.database.outages import outages
from graph.database.revisions import is_served
from graph.database.tasks import end_task
from graph.errors import ReadOnly, WrongRevision

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

# A probe is answered within 100 ms.
_SOON_SECONDS = 0.05
_FRESH_SECONDS = 15.0

_IS_STANDBY = text("SELECT pg_is_in_recovery()")


class Readiness:
    """The readiness of one database. `engine` has one connection, for this alone."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._check: asyncio.Task[None] | None = None
        self._was_ready_at: float | None = None

    async def check(self) -> None:
        """Check that the store can be used.

        Raises:
            Unavailable: the database cannot be reached.
            WrongRevision: it is at a revision that this code does not work on.
            ReadOnly: it is a standby.
        """
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._checked())
            self._check.add_done_callback(_retrieve)  # a probe may not have waited for it
        check = self._check
        if self._is_fresh():
            await asyncio.wait([check], timeout=_SOON_SECONDS)
            if not check.done():
                return
        await asyncio.shield(check)

    async def close(self) -> None:
        await end_task(self._check)
        await self._engine.dispose()

    def _is_fresh(self) -> bool:
        return self._was_ready_at is not None and monotonic() - self._was_ready_at < _FRESH_SECONDS

    async def _checked(self) -> None:
        try:
            async with self._engine.connect() as connection:
                if await connection.scalar(_IS_STANDBY):
                    await connection.invalidate()
                    raise ReadOnly  # noqa: TRY301  the handler is for any failure
                served = await connection.run_sync(is_served)
        except Exception as error:
            self._was_ready_at = None
            raise translated(error) from error
        self._was_ready_at = monotonic() if served else None
        if self._was_ready_at is None:
            raise WrongRevision
        if outages.are_open:
            outages.succeeded()


def _retrieve(check: asyncio.Task[None]) -> None:
    if not check.cancelled():
        check.exception()
