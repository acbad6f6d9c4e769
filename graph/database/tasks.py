"""Tasks that run in the background."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graph.errors import ReadOnly

if TYPE_CHECKING:
    import logging


async def end_task(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, and wait until it has ended; what it raises is left to it."""
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


class FailureLog:
    """Logs the failures of a task that tries again: one line when a kind of them begins.

    A standby accepts no changes as long as it is one, which is no failure.
    """

    def __init__(self, logger: logging.Logger, text: str) -> None:
        self._logger = logger
        self._text = text
        self._kind: type[Exception] | None = None

    def note(self, error: Exception) -> None:
        """Note how a try failed."""
        if type(error) is not self._kind and not isinstance(error, ReadOnly):
            reason = f"{error}".partition("\n")[0] or type(error).__name__
            self._logger.warning("%s: %s", self._text, reason)
        self._kind = type(error)

    def end(self) -> None:
        """Note that a try has succeeded."""
        self._kind = None
