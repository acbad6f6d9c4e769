"""Incremental delivery: deferred and streamed fields (`@defer`, `@stream`) come in later parts.

The format is graphql-core's: `pending` announces later parts, `incremental` holds data, `completed`
ends a part, until `hasNext` is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError
from graphql.execution import IncrementalDeferResult

from graph.errors import AnswerTooLarge
from graph.execution.failures import failure
from graph.execution.planning.cost import objects_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from graphql.execution import (
        CompletedResult,
        ExperimentalIncrementalExecutionResults,
        IncrementalResult,
        InitialIncrementalExecutionResult,
        PendingResult,
        SubsequentIncrementalExecutionResult,
    )


class Parts:
    """The parts of an answer after the first, as JSON. The receiver must close it.

    Until then it holds its session, so that all parts are of one snapshot.
    """

    def __init__(
        self,
        results: ExperimentalIncrementalExecutionResults,
        close: Callable[[int], Awaitable[None]],
        max_bytes: int,
    ) -> None:
        self._results = results.subsequent_results
        self._close = close
        self._max_bytes = self._left_bytes = max_bytes
        self._pending = {each.id for each in results.initial_result.pending}
        self.first = orjson.dumps(_initial(results.initial_result))
        self._left_bytes -= len(self.first)
        self._came = objects_in(self.first) - len(results.initial_result.pending)

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Each part, and whether another one follows.

        Raises:
            AnswerTooLarge: all parts together are too large.
        """
        async for result in self._results:
            self._pending |= {each.id for each in result.pending or ()}
            part = orjson.dumps(_subsequent(result))
            self._left_bytes -= len(part)
            if self._left_bytes < 0:
                raise AnswerTooLarge(self._max_bytes)
            self._pending -= {each.id for each in result.completed or ()}
            self._came += objects_in(part) - _wrapping(result)
            yield part, result.has_next

    def broken_off(self, error: Exception) -> bytes:
        """A last part with the error for which the remaining parts are missing."""
        formatted = failure(GraphQLError(str(error), original_error=error))
        completed = [{"id": id_, "errors": [formatted]} for id_ in sorted(self._pending)]
        return orjson.dumps({"completed": completed, "hasNext": False})

    async def close(self) -> None:
        try:
            await self._results.aclose()
        finally:
            await self._close(self._came)


def _initial(result: InitialIncrementalExecutionResult) -> dict[str, Any]:
    return {
        "data": result.data,
        **_errors(result.errors),
        "pending": [_pending(each) for each in result.pending],
        "hasNext": result.has_next,
    }


def _subsequent(result: SubsequentIncrementalExecutionResult) -> dict[str, Any]:
    lists = {
        "pending": [_pending(each) for each in result.pending or ()],
        "incremental": [_incremental(each) for each in result.incremental or ()],
        "completed": [_completed(each) for each in result.completed or ()],
    }
    return {name: each for name, each in lists.items() if each} | {"hasNext": result.has_next}


def _wrapping(result: SubsequentIncrementalExecutionResult) -> int:
    """The number of objects of a part that belong to the format, not to the answer."""
    incremental = result.incremental or ()
    deferred = sum(isinstance(each, IncrementalDeferResult) for each in incremental)
    return 1 + len(result.pending or ()) + len(incremental) + deferred + len(result.completed or ())


def _pending(result: PendingResult) -> dict[str, Any]:
    label = {} if result.label is None else {"label": result.label}
    return {"id": result.id, "path": result.path, **label}


def _incremental(result: IncrementalResult) -> dict[str, Any]:
    at = {"id": result.id} | ({"subPath": result.sub_path} if result.sub_path else {})
    if isinstance(result, IncrementalDeferResult):
        return {**at, "data": result.data, **_errors(result.errors)}
    return {**at, "items": result.items, **_errors(result.errors)}


def _completed(result: CompletedResult) -> dict[str, Any]:
    return {"id": result.id, **_errors(result.errors)}


def _errors(errors: Sequence[GraphQLError] | None) -> dict[str, Any]:
    return {"errors": [failure(error) for error in errors]} if errors else {}
