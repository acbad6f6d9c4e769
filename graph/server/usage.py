"""Stores the usage of one worker now and then."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from graph.database import usage
from graph.database.tasks import FailureLog, end_task
from graph.errors import ReadOnly
from graph.execution.running.usage import OTHER, UsageCounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.engine import Database

logger = logging.getLogger(__name__)

_REFRESH_EVERY = 60
_LAST_SECONDS = 2.0


class UsageRecorder:
    """Stores counts every so many seconds, and what is left at the end."""

    def __init__(self, database: Database, seconds: float) -> None:
        self.counts = UsageCounts()
        self._database = database
        self._seconds = seconds
        self._failures = FailureLog(
            logger, "usage cannot be stored, and is kept", "usage is stored again"
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[UsageCounts]:
        """Store counts until the block ends."""
        task = asyncio.create_task(self._repeat())
        try:
            yield self.counts
        finally:
            await end_task(task)
            try:
                async with asyncio.timeout(_LAST_SECONDS):
                    await self.store()
            except ReadOnly:
                pass
            except Exception as error:  # noqa: BLE001  they are counts; the worker ends
                logger.warning("the last counts of usage are lost: %s", error)

    async def store(self) -> None:
        """Store the counts since the last time.

        Raises:
            Unavailable: the database cannot be reached; the counts are kept for the next time.
        """
        counts = self.counts.take()
        if not counts:
            return
        try:
            await usage.add(self._database, counts)
        except BaseException:
            self.counts.give_back(counts)
            raise

    async def _repeat(self) -> None:
        times = 0
        while True:
            await asyncio.sleep(self._seconds)
            with self._failures.caught():
                if times % _REFRESH_EVERY == 0:
                    await self._refresh()
                await self.store()
                times += 1

    async def _refresh(self) -> None:
        """Make room, and learn which names are stored: workers share the bounds."""
        await usage.prune(self._database)
        evicted = self.counts.know(await usage.used(self._database), datetime.now(UTC))
        if any(evicted):
            await usage.evict(self._database, *evicted, OTHER)
