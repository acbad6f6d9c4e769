"""The scheduling of batches.

A DataLoader dispatches a batch one turn of the event loop after its first key. That suffices for
the keys of one loader, but not for a level. Two aliases of a relationship are two loaders. Their
statements run one after the other on the operation's only connection. If each was answered as soon
as its rows arrived, the children of the first would be loaded before those of the second were
requested. So the answers of a level are held back until all its statements have run. Then every
resolver of the level continues in the same turn, and the keys of the next level arrive together:
one statement per relationship.

A statement that fails aborts its transaction, and with it the snapshot, so no later statement can
run. All pending requests fail with the same error, not with PostgreSQL's error for an aborted
transaction.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_Asked: TypeAlias = "tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]"


class LevelScheduler:
    """Runs the batches of a level one after another and answers them together.

    One per operation.
    """

    def __init__(self) -> None:
        self._waiting: list[_Asked] = []
        self._running: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    async def run(self, batch: Callable[[], Awaitable[T]]) -> T:
        """Run a batch with its level; return its result when the whole level is done."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run_waiting())
        return await answer

    async def close(self) -> None:
        """Stop all running batches, because the operation has ended. None runs after this.

        A resolver may outlive its operation, if the error of another one has ended that.
        """
        self._failure = RuntimeError("the operation is over")
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run_waiting(self) -> None:
        level: list[_Asked] = []
        try:
            while self._waiting:
                level, self._waiting = self._waiting, []
                outcomes = [await self._outcome(batch) for batch, _ in level]
                for (_, answer), outcome in zip(level, outcomes, strict=True):
                    _settle(answer, outcome)
        finally:
            self._running = None
            for _, answer in (*level, *self._waiting):
                answer.cancel()  # no effect on those that were answered

    async def _outcome(self, batch: Callable[[], Awaitable[Any]]) -> Any:
        if self._failure is None:
            try:
                return await batch()
            except Exception as error:  # noqa: BLE001  it is raised where the batch was requested
                self._failure = error
        return self._failure


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    if answer.cancelled():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
