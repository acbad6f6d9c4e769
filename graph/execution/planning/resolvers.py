"""Python resolvers inside the one statement: what is known of them before any row is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    Undefined,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.pyutils import Path
from strawberry.execution.is_awaitable import optimized_is_awaitable

from graph.database.reads import decoders_of, names_in_placeholder
from graph.execution.planning.access import entity_within, parts_within
from graph.selection import Connection, Nodes, Resolved, Selection, ToOne

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graphql import GraphQLOutputType

    from graph.database.reads import Decoder
    from graph.execution.planning.plan import Plan, SelectedField

# Where a value stands in an answer: response keys, and indexes in lists.
AnswerPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class CompiledResolver:
    """A field whose value Python puts into the text of a statement.

    `columns` are those in its placeholder; `decoders` read those whose JSON is not their value.
    `call` calls the resolver, if graphql-core need not do it. `complete` turns its value into JSON
    values; it raises an error for what graphql-core must complete. `nullable` tells for each step
    of the field's path whether it may be null.
    """

    selected: SelectedField
    entity: str
    columns: tuple[str, ...]
    decoders: tuple[tuple[str, Decoder], ...]
    call: Callable[[Any, Mapping[str, Any]], Any] | None
    complete: Callable[[Any], Any]
    nullable: tuple[bool, ...]

    @property
    def output_type(self) -> GraphQLOutputType:
        return self.selected.definition.type

    def record(self, type_: type, values: list[Any]) -> Any:
        """The row as a loader would give it to the resolver."""
        record: Any = object.__new__(type_)
        row = record.__dict__
        row.update(zip(self.columns, values, strict=True))
        for name, decode in self.decoders:
            if (value := row[name]) is not None:
                row[name] = decode(value)
        return record

    def path(self, keys: AnswerPath) -> Path:
        """The path of a value in graphql-core's form."""
        types = iter([type_ for type_, _ in self.selected.path])
        path: Path | None = None
        for key in keys:
            path = Path(path, key, None if isinstance(key, int) else next(types))
        assert path is not None  # noqa: S101  a field has a key
        return path

    def nulled_by_error(self, keys: AnswerPath) -> AnswerPath:
        """What becomes null if this value must not be: () is all data."""
        steps = zip(range(len(keys), 0, -1), reversed(self.nullable), strict=True)
        return keys[: next((length for length, is_nullable in steps if is_nullable), 0)]


class Found(NamedTuple):
    """A field with a Python resolver, and the entity of its object; "" if that is no row."""

    field: Resolved
    entity: str

    def compiled(self, plan: Plan) -> CompiledResolver:
        selected = plan.resolvers[self.field.argument_index]
        return CompiledResolver(
            selected,
            self.entity,
            names_in_placeholder(self.field),
            decoders_of(self.entity, self.field),
            selected.definition.extensions.get("call") if is_leaf_type(selected.type) else None,
            _completion(selected.definition.type),
            tuple(_nullable_steps(selected)),
        )


def resolved_within(part: Any, entity: str = "") -> Iterator[Found]:
    """The fields with Python resolvers in a part of a selection, without those below them."""
    if isinstance(part, Resolved):
        yield Found(part, entity)
        return
    inner = entity_within(part)
    for each in parts_within(part):
        yield from resolved_within(each, entity if inner is None else inner)


def can_be_filled(field: Resolved) -> bool:
    """Whether Python can put the value into the text: nothing below it is a row of the store."""
    return field.columns is not None and not any(map(_reads_rows, field.values))


def _reads_rows(part: Any) -> bool:
    return isinstance(part, Selection | ToOne | Connection | Nodes) or any(
        map(_reads_rows, parts_within(part))
    )


def _completion(type_: Any) -> Callable[[Any], Any]:
    """Completes plain values of a type as graphql-core does; raises an error for others."""
    if is_non_null_type(type_):
        return partial(_complete_required, _completion(type_.of_type))
    if is_list_type(type_):
        return partial(_complete_list, _completion(type_.of_type))
    return partial(_complete_leaf, getattr(type_, "coerce_output_value", None))


def _complete_required(complete: Callable[[Any], Any], value: Any) -> Any:
    if value is None:
        raise TypeError
    return complete(value)


def _complete_list(complete: Callable[[Any], Any], value: Any) -> list[Any] | None:
    if value is None:
        return None
    if type(value) not in {list, tuple} or any(map(optimized_is_awaitable, value)):
        raise TypeError
    return [complete(each) for each in value]


def _complete_leaf(coerce: Callable[[Any], Any] | None, value: Any) -> Any:
    if value is None:
        return None
    completed = None if coerce is None or isinstance(value, Exception) else coerce(value)
    if completed is None or completed is Undefined:
        raise TypeError
    return completed


def _nullable_steps(selected: SelectedField) -> Iterator[bool]:
    """Whether each step from the root may be null: fields, and the elements of lists."""
    if selected.above is not None:
        yield from _nullable_steps(selected.above)
        type_: Any = get_nullable_type(selected.above.definition.type)
        while is_list_type(type_):
            yield not is_non_null_type(type_.of_type)
            type_ = get_nullable_type(type_.of_type)
    yield not is_non_null_type(selected.definition.type)
