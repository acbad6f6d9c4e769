"""What `graph serve` keeps in order by itself: one worker at a time, by a lease.

It removes expired idempotency keys, makes the log's next partition, and removes old events if a
setting says how long they are kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from graph.database import pruning
from graph.database.catalog import catalog
from graph.database.leases import Lease
from graph.database.tasks import FailureLog, end_task
from graph.database.writes import idempotency

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.engine import Database
    from graph.database.events import EventLog
    from graph.settings import Settings

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 60.0
# A run renews it with each step. Another worker goes on after so long if this one dies.
_LEASE_SECONDS = 120.0


class Upkeep:
    """The upkeep of one worker. It uses one connection of the pool at a time."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._keys_kept = timedelta(hours=settings.idempotency_key_hours)
        days = settings.events_kept_days
        self._events_kept = None if days is None else timedelta(days=days)
        # What was removed, and how the runs of this worker ended.
        self.counts = Counter[str]()
        self._lease = Lease(database, "upkeep", seconds=_LEASE_SECONDS)
        self._failures = FailureLog(
            logger, "upkeep failed, and is tried again", "upkeep succeeds again"
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run now and then, until the block ends."""
        task = asyncio.create_task(self._repeat())
        try:
            yield
        finally:
            await end_task(task)
            # Another worker need not wait for the lease's end.
            with suppress(Exception):
                await self._lease.release()

    async def run(self) -> bool:
        """Do all that is due; False if another worker does it.

        Raises:
            Unavailable: the database cannot be reached.
        """
        if not await self._lease.take():
            return False
        removed = await idempotency.prune(self._database, kept=self._keys_kept)
        self.counts["keys"] += removed
        if removed:
            logger.info("removed %d expired idempotency keys", removed)
        if catalog.log is not None:
            await pruning.add_partitions(self._database, catalog.log)
            await self._prune(catalog.log)
        self.counts["done"] += 1
        return True

    async def _prune(self, log: EventLog) -> None:
        if self._events_kept is None:
            return
        pruned = await pruning.prune(
            self._database, log, older_than=self._events_kept, go_on=self._lease.take
        )
        self.counts["events"] += pruned.rows
        if pruned.rows:
            logger.info("removed %d old events", pruned.rows)

    async def _repeat(self) -> None:
        while True:
            with self._failures.caught():
                try:
                    await self.run()
                except Exception:
                    self.counts["failed"] += 1
                    raise
            await asyncio.sleep(_EVERY_SECONDS)
