"""The time that the statements of one operation take, and a way to end the one that runs."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

from graph.database.outages import outages
from graph.errors import reason_of
from graph.telemetry import STATEMENT, Step, note, steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

_UNTIMED = nullcontext()


class Stopwatch:
    """Adds up the time of an operation's statements, which run one after another.

    The time that an operation waits for a connection does not count. A block is one statement.
    """

    __slots__ = (
        "_began",
        "_last_seconds",
        "_reason",
        "_seconds",
        "_task",
        "rows",
        "statements",
        "text",
    )

    def __init__(self) -> None:
        self._seconds = 0.0
        # Statements so far, and the rows that they returned.
        self.statements = self.rows = 0
        # The running statement's, for a trace; "" where it is not known as text.
        self.text = ""
        self._last_seconds = 0.0
        self._began: float | None = None
        self._task: asyncio.Task[object] | None = None
        self._reason: Exception | None = None

    @property
    def seconds(self) -> float:
        """The time so far, that of a running statement included."""
        return (
            self._seconds if self._began is None else self._seconds + perf_counter() - self._began
        )

    @property
    def is_running(self) -> bool:
        return self._began is not None

    def connecting(self) -> AbstractContextManager[None]:
        """A block that waits for a connection; see `graph.database.recording`."""
        return _UNTIMED

    def note(self, sql: str, parameters: Sequence[Any]) -> None:  # noqa: ARG002  a recorder notes them
        """Note the statement that is running, for a trace; see also `graph.database.recording`."""
        self.text = sql

    def stop(self, reason: Exception) -> None:
        """End the running statement, if there is one; its block raises the reason.

        asyncpg cancels the statement of a cancelled task in PostgreSQL. Where that may have been
        too late for a change, the block raises OutcomeUnknown.
        """
        if self._began is not None and self._reason is None and self._task is not None:
            self._reason = reason
            self._task.cancel()

    def __enter__(self) -> None:
        self.statements += 1
        self._task = asyncio.current_task()
        self._began = perf_counter()

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._began is not None:
            self._last_seconds = perf_counter() - self._began
            self._seconds += self._last_seconds
            self._began = None
        if steps.get() is not None:
            note(self._step(error))
        self.text = ""
        if error is None and outages.are_open:
            outages.succeeded()
        task, reason = self._task, self._reason
        self._task = self._reason = None
        # A cancellation from elsewhere takes precedence over this one.
        if reason is None or task is None or task.uncancel() > 0:
            return
        if isinstance(error, asyncio.CancelledError):
            raise reason_of(error, reason) from None

    def _step(self, error: BaseException | None) -> Step:
        """The statement that has just ended (semantic conventions for PostgreSQL)."""
        ended = time_ns()
        attributes = {"db.system.name": "postgresql"}
        if self.text:
            attributes["db.query.text"] = self.text
        if error is not None:
            attributes["error.type"] = type(error).__name__
            if state := getattr(error, "sqlstate", None):
                attributes["db.response.status_code"] = state
        return Step(STATEMENT, ended - int(self._last_seconds * 1e9), ended, attributes)
