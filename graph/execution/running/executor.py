"""graphql-core's executors: one that ignores `@defer` and `@stream`, and one that answers in parts.

Both have the fast path for declared fields.
"""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from graphql import (
    ExecutionResult,
    default_field_resolver,
    default_type_resolver,
    experimental_execute_incrementally,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.executor import Executor as GraphQLExecutor
from graphql.pyutils import Path, Undefined
from strawberry.execution.is_awaitable import optimized_is_awaitable

from graph.execution.running.declared_fields import COMPLETED, DeclaredFields, awaited
from graph.loading.prefetch import REST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graphql import (
        DocumentNode,
        ExperimentalIncrementalExecutionResults,
        GraphQLObjectType,
        GraphQLSchema,
        OperationDefinitionNode,
    )
    from graphql.execution.collect_fields import FieldDetails, GroupedFieldSet
    from graphql.execution.values import VariableValues

    from graph.execution.documents.operation import Operation
    from graph.loading.prefetch import KeyPath
    from graph.schema.context import Context

# How many fields are executed in one turn of the event loop where there are many: about 10 ms.
_FIELDS_A_TURN = 1_000
# What it takes to send something by itself, in fields.
_FIELDS_OF_A_PART = 20


async def run(executor: Executor) -> ExecutionResult:
    """The executor's result, as a whole."""
    result = executor.execute_operation()
    result = await result if inspect.isawaitable(result) else result
    assert isinstance(result, ExecutionResult)  # noqa: S101  nothing was deferred
    return result


async def run_in_parts(
    schema: GraphQLSchema, document: DocumentNode, context: Context, variables: dict[str, Any]
) -> ExecutionResult | ExperimentalIncrementalExecutionResults:
    """The result in parts, or as a whole if nothing was deferred or streamed after all."""
    result = experimental_execute_incrementally(
        schema,
        document,
        context_value=context,
        variable_values=variables,
        executor_class=IncrementalExecutor,
        is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
    )
    return await result if inspect.isawaitable(result) else result


def executor_of(
    schema: GraphQLSchema,
    operation: Operation,
    variables: VariableValues,
    context: Context | None,
    node: OperationDefinitionNode | None = None,
) -> Executor:
    """An executor of an operation; of `node` alone, if that has only some of its fields."""
    return Executor(
        schema,
        operation.fragments,
        {name: FragmentDetails(node) for name, node in operation.fragments.items()},
        None,
        context,
        node or operation.node,
        variables,
        default_field_resolver,
        default_type_resolver,
        default_field_resolver,
        is_awaitable=optimized_is_awaitable,
    )


class Executor(DeclaredFields):
    """An executor that ignores `@defer` and `@stream`, which the specification permits."""

    execute_collected_root_fields = GraphQLExecutor.execute_collected_root_fields
    execute_collected_subfields = GraphQLExecutor.execute_collected_subfields  # type: ignore[assignment]
    handle_stream = GraphQLExecutor.handle_stream

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """The completed fields of an object. A declared one has a path only if it is needed."""
        completed: dict[str, Any] = {}
        waiting: list[str] = []
        try:
            for key, details in grouped_field_set.items():
                if (place := self.places.get(id(details))) is not None:
                    value = self.resolved(place, source_value, path, position_context)
                else:
                    at = Path(path, key, parent_type.name)
                    value = self.execute_field(
                        parent_type, source_value, details, at, position_context
                    )
                if value is not Undefined:
                    completed[key] = value
                    if type(value) not in COMPLETED and self.is_awaitable(value):
                        waiting.append(key)
        except Exception:
            self.settle([completed[key] for key in waiting])
            raise
        return awaited(completed, waiting) if waiting else completed

    def collect_and_execute_subfields(
        self,
        return_type: GraphQLObjectType,
        field_details_list: list[FieldDetails],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """graphql-core's, in one step: nothing is deferred."""
        fields = self.collect_subfields(return_type, field_details_list).grouped_field_set
        return self.execute_fields(return_type, result, path, fields, position_context)


class _Pace:
    """Limits the fields per turn of the event loop, so that other operations run in between.

    An answer in parts can be as large as a compiled one, and is built field by field.
    """

    def __init__(self) -> None:
        self._left = _FIELDS_A_TURN
        self._one = asyncio.Lock()

    def spend(self, fields: int) -> bool:
        """Count fields; return whether the turn is used up."""
        self._left -= fields
        return self._left >= 0

    async def next_turn(self) -> None:
        async with self._one:
            if self._left < 0:
                await asyncio.sleep(0)
                self._left = _FIELDS_A_TURN


class IncrementalExecutor(DeclaredFields):
    """Answers in parts; the rows of each part are loaded before its fields are executed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pace = _Pace()

    def execute_field(self, *arguments: Any) -> Any:
        if not self._pace.spend(1):
            _parent_type, _source, details, _path, _position = arguments
            place = self.places.get(id(details))
            if place is None or place.leaf is None:
                return self._later(None, partial(super().execute_field, *arguments))
        return super().execute_field(*arguments)

    def execute_collected_subfields(self, *arguments: Any) -> Any:
        """Execute the selection of one object, without its deferred fields."""
        *_, new_defer_usages, _position = arguments
        self._pace.spend(_FIELDS_OF_A_PART * len(new_defer_usages))
        return super().execute_collected_subfields(*arguments)

    def execute_execution_group(self, *arguments: Any) -> Any:
        """Execute the deferred fields of one object."""
        _groups, _type, _source, path, fields, _above = arguments
        keys = _keys(path)
        execute = partial(super().execute_execution_group, *arguments)
        return self._reached([(*keys, key) for key in fields], execute)

    def complete_stream_item(self, path: Path, *rest: Any) -> Any:
        """Complete an element of a streamed list after its initial ones."""
        complete = partial(super().complete_stream_item, path, *rest)
        return self._reached([(*_keys(path), REST)], complete)

    def _reached(self, paths: list[KeyPath], proceed: Callable[[], Any]) -> Any:
        loading = self.context_value.prefetcher.reach(paths)
        if loading is None and self._pace.spend(_FIELDS_OF_A_PART):
            return proceed()
        return self._later(loading, proceed)

    async def _later(self, loading: Awaitable[Any] | None, proceed: Callable[[], Any]) -> Any:
        if loading is not None:
            await loading
        if not self._pace.spend(_FIELDS_OF_A_PART):
            await self._pace.next_turn()
        result = proceed()
        return await result if inspect.isawaitable(result) else result


def _keys(path: Path | None) -> KeyPath:
    return tuple(key for key in path.as_list() if isinstance(key, str)) if path else ()
