"""Strawberry's schema, whose declared fields are resolved without a detour."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import strawberry

from graph.schema.costs import Cost, weight_of
from graph.schema.fields import Meaning, meaning_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Schema(strawberry.Schema):
    """A schema as Strawberry makes it, but for the resolvers of declared fields.

    Strawberry wraps a resolver in what any resolver may need: an `Info` of its own, converted
    arguments, permissions, extensions. Those of declared fields (`graph.schema.fields`) need none
    of it, and there is one call for each value of an answer.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        types: list[Any] = list(self._schema.type_map.values())
        for type_ in types:
            # graphql-core knows `@oneOf` too, and finds its variables wherever they stand, as
            # Strawberry's own rule does not.
            declared = type_.extensions.get("strawberry-definition")
            if getattr(declared, "is_one_of", False):
                type_.is_one_of = True
            for field in getattr(type_, "fields", {}).values():
                definition = field.extensions.get("strawberry-definition")
                if type_ is self._schema.mutation_type and not weight_of(definition):
                    definition.directives = (*definition.directives, Cost(weight="10"))
                direct = _direct(definition)
                if direct is not None and not definition.extensions:
                    # For `graph.execution`, and for any other executor.
                    field.extensions["direct"] = direct
                    field.resolve = _without_arguments(direct)


def _direct(definition: Any) -> Callable[[Any, Any], Any] | None:
    """(source, info) -> value, for declared fields of objects."""
    meaning = meaning_of(definition)
    if meaning is None:
        return None
    if definition.base_resolver is None:
        read = attrgetter(definition.python_name)
        return lambda source, _info: read(source)
    resolver: Callable[..., Any] = definition.base_resolver.wrapped_func
    match meaning:
        case Meaning.GLOBAL_ID | Meaning.TERMS | Meaning.ENUM_LOOKUP:
            return lambda source, _info: resolver(source)
        case Meaning.LOOKUP | Meaning.NODE | Meaning.NODES | Meaning.MUTATION:
            return None
    return resolver


def _without_arguments(resolve: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """What the arguments say is part of what was selected."""
    return lambda source, info, **_arguments: resolve(source, info)


def text_of(schema: Schema) -> str:
    """The schema in its own language, as `schema.graphql` holds it."""
    return schema.as_str() + "\n"
