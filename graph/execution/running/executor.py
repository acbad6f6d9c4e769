"""graphql-core's executor with a fast path for declared fields.

Resolvers of declared fields (`graph.schema.fields`) ignore their arguments, and their `info` is the
same for all objects at one path of the answer. So both are built once per path, and a plain value
is completed directly. graphql-core handles everything else.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from graphql import (
    ExecutionResult,
    GraphQLLeafType,
    default_field_resolver,
    default_type_resolver,
    experimental_execute_incrementally,
    get_nullable_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.executor import Executor as GraphQLExecutor
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.loading.prefetch import REST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graphql import (
        DocumentNode,
        ExperimentalIncrementalExecutionResults,
        GraphQLObjectType,
        GraphQLOutputType,
        GraphQLResolveInfo,
        GraphQLSchema,
        OperationDefinitionNode,
    )
    from graphql.execution.collect_fields import FieldDetails
    from graphql.execution.values import VariableValues
    from graphql.pyutils import Path

    from graph.execution.documents.operation import Operation
    from graph.loading.prefetch import KeyPath
    from graph.schema.context import Context

# How many fields are executed in one turn of the event loop where there are many: about 10 ms.
_FIELDS_A_TURN = 1_000
# What it takes to send something by itself, in fields.
_FIELDS_OF_A_PART = 20
# What is neither null, nor awaitable, nor an error that a resolver returned.
_PLAIN = frozenset({str, int, bool, Decimal, datetime})


@dataclass(frozen=True, slots=True)
class _Place:
    """A declared field at one path of the answer; `info` is that of the first object there."""

    details: list[FieldDetails]  # held, as places are known by its identity
    resolve: Callable[[Any, GraphQLResolveInfo[Any]], Any]
    info: GraphQLResolveInfo[Any]
    type: GraphQLOutputType
    leaf: GraphQLLeafType | None


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


class _Declared(StrawberryGraphQLCoreExecutionContext):
    """The fast path for declared fields."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._places: dict[int, _Place] = {}

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: list[FieldDetails],
        path: Path,
        position_context: Any,
    ) -> Any:
        # graphql-core collects the fields of a place once, for all of its objects.
        place = self._places.get(id(field_details_list)) or self._declared(
            parent_type, field_details_list, path
        )
        if place is None:
            return super().execute_field(
                parent_type, source, field_details_list, path, position_context
            )
        try:
            value = place.resolve(source, place.info)
            if place.leaf is not None and type(value) in _PLAIN:
                return self.complete_leaf_value(place.leaf, value)
            rest = (place.type, field_details_list, place.info, path, value, position_context)
            if self.is_awaitable(value):
                return self.complete_awaitable_value(*rest)
            completed = self.complete_value(*rest)
        except Exception as error:  # noqa: BLE001  what a resolver raises is the field's error
            self.handle_field_error(error, place.type, field_details_list, path)
            return None
        if self.is_awaitable(completed):
            return self._guarded(completed, place, path)
        return completed

    async def _guarded(self, completed: Awaitable[Any], place: _Place, path: Path) -> Any:
        """The completed value with awaitable parts; null if one of them fails it."""
        try:
            return await completed
        except Exception as error:  # noqa: BLE001  as above
            self.handle_field_error(error, place.type, place.details, path)
            return None

    def _declared(
        self, parent_type: GraphQLObjectType, details: list[FieldDetails], path: Path
    ) -> _Place | None:
        field = parent_type.fields.get(details[0].node.name.value)
        resolve = field and field.extensions.get("direct")
        if field is None or resolve is None:
            return None
        nodes = [detail.node for detail in details]
        info = self.build_resolve_info(field, nodes, parent_type, path)
        nullable = get_nullable_type(field.type)
        leaf = nullable if is_leaf_type(nullable) else None
        place = self._places[id(details)] = _Place(details, resolve, info, field.type, leaf)
        return place


class Executor(_Declared):
    """An executor that ignores `@defer` and `@stream`, which the specification permits."""

    execute_collected_root_fields = GraphQLExecutor.execute_collected_root_fields
    execute_collected_subfields = GraphQLExecutor.execute_collected_subfields  # type: ignore[assignment]
    handle_stream = GraphQLExecutor.handle_stream


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


class IncrementalExecutor(_Declared):
    """Answers in parts; the rows of each part are loaded before its fields are executed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pace = _Pace()

    def execute_field(self, *arguments: Any) -> Any:
        if not self._pace.spend(1):
            _parent_type, _source, details, _path, _position = arguments
            place = self._places.get(id(details))
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
