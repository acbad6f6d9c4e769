"""Tasks that run in the background."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graph.errors import ReadOnly

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator


async def end_task(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, and wait until it has ended; what it raises is left to it."""
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


class FailureLog:
    """Logs the failures of a task that tries again: each kind once until a try succeeds, and that.

    A standby accepts no changes as long as it is one, which is no failure. `has_traceback`: only
    defects are expected, which the traceback locates.
    """

    def __init__(
        self, logger: logging.Logger, failing: str, over: str, *, has_traceback: bool = False
    ) -> None:
        self._logger = logger
        self._failing = failing
        self._over = over
        self._has_traceback = has_traceback
        self._kinds = set[type[Exception]]()

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch what a try raises, and note how it ends."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  it is tried again
            self.note(error)
        else:
            self.end()

    def note(self, error: Exception) -> None:
        """Note how a try failed."""
        if isinstance(error, ReadOnly) or type(error) in self._kinds:
            return
        self._kinds.add(type(error))
        if self._has_traceback:
            self._logger.error("%s", self._failing, exc_info=error)
        else:
            reason = f"{error}".partition("\n")[0] or type(error).__name__
            self._logger.warning("%s: %s", self._failing, reason)

    def end(self) -> None:
        """Note that a try has succeeded."""
        if self._kinds:
            self._kinds.clear()
            self._logger.info("%s", self._over)
