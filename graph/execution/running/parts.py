"""Answers in parts: what the document defers or streams (`@defer`, `@stream`) comes later.

The format is graphql-core's: `pending` names what is still to come, `incremental` is some of it,
and `completed` says what has come, until `hasNext` is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from graphql import (
    GraphQLError,
    GraphQLStreamDirective,
    get_directive_values,
    get_nullable_type,
    is_list_type,
)
from graphql.execution import IncrementalDeferResult
from graphql.execution.incremental.build_execution_plan import get_filtered_defer_usage_set

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
    from graphql.execution.collect_fields import DeferUsage
    from graphql.execution.values import VariableValues
    from graphql.pyutils import RefSet

    from graph.execution.planning.plan import SelectedField


def is_deferred(selected: SelectedField) -> bool:
    """Whether a field may come later than what is around it."""
    usages = _usages(selected)
    return usages is not None and (selected.above is None or usages != _usages(selected.above))


def initial_count(selected: SelectedField, variables: VariableValues) -> int | None:
    """How many elements of a streamed list come first; None for any other field.

    Raises:
        GraphQLError: less than none.
    """
    node = selected.details[0].node
    if not node.directives or not is_list_type(get_nullable_type(selected.definition.type)):
        return None
    stream = get_directive_values(GraphQLStreamDirective, node, variables)
    if not stream or not stream["if"]:
        return None
    count: int | None = stream["initialCount"]
    if count is None or count < 0:
        raise GraphQLError("The argument 'initialCount' of '@stream' must be 0 or more.")
    return count


def _usages(selected: SelectedField) -> RefSet[DeferUsage] | None:
    """The deferred fragments that all ask for the field; None where it is selected for at once."""
    if selected.details[0].defer_usage is None:
        return None
    return get_filtered_defer_usage_set(selected.details) or None


class Parts:
    """What an answer has after its first part, as JSON; whoever was given it closes it.

    Until then it holds what it is loaded by: one session, so all of it is of one snapshot.
    """

    def __init__(
        self,
        results: ExperimentalIncrementalExecutionResults,
        close: Callable[[int], Awaitable[None]],
    ) -> None:
        self._results = results.subsequent_results
        self._close = close
        self._pending = {each.id for each in results.initial_result.pending}
        self.first = orjson.dumps(_initial(results.initial_result))
        self._came = objects_in(self.first) - len(results.initial_result.pending)

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Each part, and whether another one follows."""
        async for result in self._results:
            self._pending |= {each.id for each in result.pending or ()}
            part = orjson.dumps(_subsequent(result))
            self._pending -= {each.id for each in result.completed or ()}
            self._came += objects_in(part) - _wrapping(result)
            yield part, result.has_next

    def broken_off(self, error: Exception) -> bytes:
        """A last part that says why what is still to come does not."""
        said = failure(GraphQLError(str(error), original_error=error))
        completed = [{"id": id_, "errors": [said]} for id_ in sorted(self._pending)]
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
    """How many objects of a part are none of the answer, or go on with one that has come."""
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
