"""Refreshes groups, a few at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.execution.live.group import Group

logger = logging.getLogger(__name__)


class Dispatcher:
    """A group is refreshed by one task at a time, and so many groups at once.

    Each takes a connection; the other ones are for requests.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._due = asyncio.Queue["Group"]()
        self._requested = set["Group"]()
        self._running = set["Group"]()

    def request(self, group: Group, after_seconds: float = 0.0) -> None:
        """Refresh a group soon: once, however often it is requested before that."""
        if group in self._requested:
            return
        self._requested.add(group)
        if group in self._running:
            return
        if after_seconds > 0:
            asyncio.get_running_loop().call_later(after_seconds, self._due.put_nowait, group)
        else:
            self._due.put_nowait(group)

    async def run(self) -> None:
        """Refresh groups until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._at_once):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            group = await self._due.get()
            self._requested.discard(group)
            self._running.add(group)
            again = await self._refreshed(group)
            self._running.discard(group)
            is_requested = group in self._requested
            self._requested.discard(group)
            if again is not None or is_requested:
                self.request(group, again or 0.0)

    async def _refreshed(self, group: Group) -> float | None:
        """The seconds after which a group must be refreshed again; None if it need not be."""
        if len(group.members) <= group.paying:
            return None  # who has paid asks for it
        try:
            again = await group.refresh()
            await group.wake()
        except Exception:
            logger.exception("a group of subscriptions could not be refreshed")
            return 1.0
        return again
