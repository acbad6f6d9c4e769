"""Python resolvers of entities that declare what they read.

    @resolver("The initials.", needs=["first_name", "last_name"])
    def initials(self) -> str:
        return f"{self.first_name[:1]}{self.last_name[:1]}"

Such a field does not take its object out of the one statement: the columns come in the answer's
text, and Python puts the value in their place. The resolver is called once per object, and may be
async.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.schema.schema_converter import get_arguments

from graph.schema.costs import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from strawberry.types.field import StrawberryField


def resolver(
    description: str, *, needs: Iterable[str], cost: int | None = None, **options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: a field of an entity, computed by the decorated function.

    `needs` are the columns of its row that it reads, stored or computed, by their names in Python;
    it has no others. A viewer who may not see one of them may not select the field. `cost` is the
    cost of one call.
    """
    directives = [*options.pop("directives", ()), *([Cost(weight=cost)] if cost else ())]
    field: Callable[[Callable[..., Any]], Any] = strawberry.field(
        description=description,
        metadata={"needs": frozenset(needs)},
        directives=directives,
        **options,
    )
    return field


def needed_columns(field: object) -> frozenset[str] | None:
    """The columns that a field's Python resolver declares that it needs; None if it does not."""
    metadata = getattr(field, "metadata", None) or {}
    columns: frozenset[str] | None = metadata.get("needs")
    return columns


def caller_of(
    definition: Any, schema: strawberry.Schema
) -> Callable[[Any, Mapping[str, Any]], Any] | None:
    """(source, coerced arguments) -> the value of a resolver that declares what it needs.

    None for one that takes `info`, or has permission classes or extensions: graphql-core calls it.
    """
    if needed_columns(definition) is None or not _is_plain(definition):
        return None
    function, config = definition.base_resolver, schema.config
    scalars = schema.schema_converter.scalar_registry

    def call(source: Any, arguments: Mapping[str, Any]) -> Any:
        given, named = get_arguments(
            field=definition,
            source=source,
            info=None,  # type: ignore[arg-type]  # the resolver does not take it
            kwargs=dict(arguments),
            config=config,
            scalar_registry=scalars,
        )
        return function(*given, **named)

    if definition.arguments or not function.self_parameter:
        return call
    method = function.wrapped_func
    return lambda source, _: method(source)


def _is_plain(field: StrawberryField) -> bool:
    takes_info = field.base_resolver is None or field.base_resolver.info_parameter is not None
    return not (takes_info or field.permission_classes or field.extensions)
