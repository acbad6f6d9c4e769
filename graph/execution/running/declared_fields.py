"""The fast path of executors for declared fields.

Resolvers of declared fields (`graph.schema.fields`) ignore their arguments, and their `info` is the
same for all objects at one path of the answer. So both are built once per path. Plain values,
objects and lists are completed directly: in graphql-core's order, with its errors, and without a
path for each value. graphql-core handles everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLLeafType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLStreamDirective,
    get_nullable_type,
    is_leaf_type,
)
from graphql.execution.executor import collect_iterator_awaitables
from graphql.pyutils import Path, UndefinedType, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graphql import GraphQLOutputType, GraphQLResolveInfo
    from graphql.execution.collect_fields import FieldDetails

# What is neither null, nor awaitable, nor an error that a resolver returned.
_PLAIN = frozenset({str, int, bool, Decimal, datetime})
# The classes of most completed values; none of them is awaitable.
COMPLETED = frozenset({str, int, bool, float, dict, list, type(None)})
# graphql-core tests each value of these before it takes it for an object.
_TESTED = (type(None), UndefinedType, Exception, GeneratorType, CoroutineType)
# A class with one of these may answer such tests in its own way for each value.
_OWN_TESTS = ("__getattr__", "__getattribute__", "__class__", "__await__")


class _Ordinary(dict[type, bool]):
    """Whether values of a class are neither null, nor awaitable, nor errors: by their class alone.

    One for each operation, as it holds the classes.
    """

    def __missing__(self, class_: type) -> bool:
        has_own_tests = any(
            name in vars(base) for base in class_.__mro__[:-1] for name in _OWN_TESTS
        )
        self[class_] = is_ordinary = not has_own_tests and not issubclass(class_, _TESTED)
        return is_ordinary


@dataclass(frozen=True, slots=True)
class _Expected:
    """What a value is completed as: an object, a list, or what graphql-core makes of its type."""

    type: GraphQLOutputType
    object: GraphQLObjectType | None
    elements: _Expected | None

    @classmethod
    def of(cls, type_: GraphQLOutputType) -> _Expected:
        nullable = get_nullable_type(type_)
        return cls(
            type_,
            nullable if isinstance(nullable, GraphQLObjectType) else None,
            cls.of(nullable.of_type) if isinstance(nullable, GraphQLList) else None,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A declared field at one path of the answer; `info` is that of the first object there."""

    details: list[FieldDetails]  # held, as places are known by its identity
    resolve: Callable[[Any, GraphQLResolveInfo[Any]], Any]
    info: GraphQLResolveInfo[Any]
    expected: _Expected
    leaf: GraphQLLeafType | None

    def path(self, above: Path | None) -> Path:
        """The field's path in the object at the path `above`."""
        return Path(above, self.info.path.key, self.info.path.typename)


class DeclaredFields(StrawberryGraphQLCoreExecutionContext):
    """The fast path for declared fields."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.places: dict[int, Place] = {}
        self._ordinary = _Ordinary()

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: list[FieldDetails],
        path: Path,
        position_context: Any,
    ) -> Any:
        # graphql-core collects the fields of a place once, for all of its objects.
        place = self.places.get(id(field_details_list)) or self._declared(
            parent_type, field_details_list, path
        )
        if place is not None:
            return self.resolved(place, source, path.prev, position_context)
        return super().execute_field(
            parent_type, source, field_details_list, path, position_context
        )

    def resolved(self, place: Place, source: Any, above: Path | None, position: Any) -> Any:
        """The completed value of a declared field of the object at the path `above`."""
        try:
            value = place.resolve(source, place.info)
            if place.leaf is not None and type(value) in _PLAIN:
                return self.complete_leaf_value(place.leaf, value)
        except Exception as error:  # noqa: BLE001  what a resolver raises is the field's error
            path = place.path(above)
            self.handle_field_error(error, place.expected.type, place.details, path)
            return None
        return self._completed(place.expected, place, value, place.path(above), position)

    def _completed(
        self, expected: _Expected, place: Place, value: Any, path: Path, position: Any
    ) -> Any:
        """The completed value of a field, or of an element of a list; null if it has an error."""
        rest = (place.details, place.info, path, value, position)
        try:
            if not self._ordinary[type(value)] and self.is_awaitable(value):
                return self.complete_awaitable_value(expected.type, *rest)
            if expected.object is not None and self._ordinary[type(value)]:
                completed = self.complete_object_value(expected.object, *rest)
            elif expected.elements is not None and type(value) is list:
                completed = self._completed_list(expected.elements, place, value, path, position)
            else:
                completed = self.complete_value(expected.type, *rest)
        except Exception as error:  # noqa: BLE001  as above
            self.handle_field_error(error, expected.type, place.details, path)
            return None
        if type(completed) not in COMPLETED and self.is_awaitable(completed):
            return self._guarded(completed, expected.type, place.details, path)
        return completed

    def _completed_list(
        self, expected: _Expected, place: Place, values: list[Any], path: Path, position: Any
    ) -> Any:
        """The completed elements of a list."""
        completed: list[Any] = []
        waiting: list[int] = []
        elements = iter(values)
        try:
            for index, value in enumerate(elements):
                at = Path(path, index, None)
                element = self._completed(expected, place, value, at, position)
                completed.append(element)
                if type(element) not in COMPLETED and self.is_awaitable(element):
                    waiting.append(index)
        except Exception:
            left = collect_iterator_awaitables(elements, self.is_awaitable)
            self.settle([*(completed[index] for index in waiting), *left])
            raise
        return awaited(completed, waiting) if waiting else completed

    def settle(self, awaitables: list[Awaitable[Any]]) -> None:
        """Let what began beside an error come to its end, though nothing waits for it."""
        if awaitables:
            self.settle_in_background(awaitables)

    async def _guarded(
        self,
        completed: Awaitable[Any],
        type_: GraphQLOutputType,
        details: list[FieldDetails],
        path: Path,
    ) -> Any:
        """The completed value with awaitable parts; null if one of them fails it."""
        try:
            return await completed
        except Exception as error:  # noqa: BLE001  as above
            self.handle_field_error(error, type_, details, path)
            return None

    def _declared(
        self, parent_type: GraphQLObjectType, details: list[FieldDetails], path: Path
    ) -> Place | None:
        node = details[0].node
        field = parent_type.fields.get(node.name.value)
        resolve = field and field.extensions.get("direct")
        if field is None or resolve is None:
            return None
        info = self.build_resolve_info(
            field, [detail.node for detail in details], parent_type, path
        )
        nullable = get_nullable_type(field.type)
        leaf = nullable if is_leaf_type(nullable) else None
        expected = _Expected.of(field.type)
        if any(
            directive.name.value == GraphQLStreamDirective.name
            for directive in node.directives or ()
        ):
            expected = replace(expected, elements=None)  # graphql-core completes streamed lists
        place = self.places[id(details)] = Place(details, resolve, info, expected, leaf)
        return place


async def awaited(completed: Any, waiting: list[Any]) -> Any:
    """The list or dictionary, with its values at these indexes or keys awaited, all at once."""
    if len(waiting) == 1:  # it needs no task
        completed[waiting[0]] = await completed[waiting[0]]
        return completed
    values = await gather_with_cancel(*(completed[each] for each in waiting))
    for each, value in zip(waiting, values, strict=True):
        completed[each] = value
    return completed
