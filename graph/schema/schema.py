"""Strawberry's schema, with a direct call of the resolvers of declared fields."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import strawberry

from graph.database.catalog import catalog
from graph.errors import InvalidSchema
from graph.relay import to_global_id
from graph.schema.access import declare_access
from graph.schema.costs import ROW, Cost, weight_of
from graph.schema.declarations import check_roots, check_search, declare_entities
from graph.schema.fields import Meaning, meaning_of
from graph.schema.generated_types import generate
from graph.schema.resolvers import caller_of, needed_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.database.catalog import DeclaredColumn
    from graph.schema.node import Node


class Schema(strawberry.Schema):
    """Strawberry's schema with direct resolvers for declared fields.

    Strawberry wraps every resolver to provide its own `Info`, converted arguments, permissions and
    extensions. Declared fields (`graph.schema.fields`) need none of these, and their resolvers are
    called for each value of an answer.
    """

    def __init__(
        self,
        *args: Any,
        entities: Sequence[type[Node]] = (),
        description: str | None = None,
        **options: Any,
    ) -> None:
        """`entities` are the types of a store's rows; the types made from theirs are made here.

        `description` is that of the schema itself.

        Raises:
            InvalidSchema: a field says what the engine, or the models, cannot.
        """
        names = {type_.__name__ for type_ in entities}
        declare_entities(entities)
        generate(type_.__name__ for type_ in entities)
        options["types"] = [*options.get("types", ()), *entities]
        if entities:
            check_roots(options["query"], names)
            declare_access(entities, options.get("mutation"))
        super().__init__(*args, **options)
        self._schema.description = description and description.strip()
        if entities:
            _check_searches(self._schema)
        inputs = set[str]()
        for mutation in getattr(self._schema.mutation_type, "fields", {}).values():
            for argument in mutation.args.values():
                _declare_rows(_named(argument.type), inputs)
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
                    definition.directives = (*definition.directives, Cost(weight=10))
                _check_place(definition, type_.name, names)
                self._call_directly(field, definition, type_.name)

    def _call_directly(self, field: Any, definition: Any, type_: str) -> None:
        """Note how `graph.execution`, or any other executor, calls the field's resolver."""
        if (call := caller_of(definition, self)) is not None:
            field.extensions["call"] = call
        direct = _direct(definition, type_)
        if direct is not None and not definition.extensions:
            field.extensions["direct"] = direct
            field.resolve = _without_arguments(direct)


def _declare_rows(type_: Any, seen: set[str]) -> None:
    """Declare the cost of a row at each list in a mutation's input."""
    if type_.name in seen:
        return
    seen.add(type_.name)
    for field in getattr(type_, "fields", {}).values():
        definition = field.extensions.get("strawberry-definition")
        is_list = str(field.type).startswith("[")
        # An input may belong to several schemas of one process.
        if definition is not None and is_list and not weight_of(definition):
            definition.directives = (*definition.directives, ROW)
        _declare_rows(_named(field.type), seen)


def _check_place(definition: Any, type_: str, entities: set[str]) -> None:
    if entities and type_ not in entities and needed_columns(definition) is not None:
        reason = "it needs columns, but its object is no row"
        raise InvalidSchema(type_, definition.python_name, reason)


def _check_searches(schema: Any) -> None:
    for field in schema.query_type.fields.values():
        declared = field.extensions.get("strawberry-definition")
        if meaning_of(declared) is Meaning.SEARCH:
            union = _named(_named(field.type).fields["nodes"].type)
            found = {type_.name for type_ in schema.get_possible_types(union)}
            check_search(schema.query_type.name, declared.python_name, union.name, found)


def _named(type_: Any) -> Any:
    """A GraphQL type without the lists and the non-null around it."""
    return _named(type_.of_type) if hasattr(type_, "of_type") else type_


def _direct(definition: Any, type_: str) -> Callable[[Any, Any], Any] | None:
    """(source, info) -> value, for declared fields of objects."""
    meaning = meaning_of(definition)
    if meaning is None:
        return None
    if definition.base_resolver is None:
        return _column(definition.python_name, catalog.columns.get((type_, definition.python_name)))
    resolver: Callable[..., Any] = definition.base_resolver.wrapped_func
    match meaning:
        case Meaning.GLOBAL_ID | Meaning.TERMS:
            return lambda source, _info: resolver(source)
        case Meaning.NODE | Meaning.NODES | Meaning.MUTATION:
            return None
    return resolver


def _column(name: str, declared: DeclaredColumn | None) -> Callable[[Any, Any], Any]:
    read = attrgetter(name)
    if declared is None or declared.references is None:
        return lambda source, _info: read(source)
    entity = declared.references

    def global_id(source: Any, _info: Any) -> str | None:
        key = read(source)
        return None if key is None else to_global_id(entity, key)

    return global_id


def _without_arguments(resolve: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """The resolver without its arguments, whose values are part of the selection."""
    return lambda source, info, **_arguments: resolve(source, info)


def text_of(schema: Schema) -> str:
    """The schema in the schema definition language, as in `schema.graphql`."""
    text = schema.as_str() + "\n"
    inner = schema._schema  # noqa: SLF001  Strawberry prints no description of a schema
    if inner.description is None:
        return text
    roots = [
        (operation, getattr(inner, f"{operation}_type"))
        for operation in ("query", "mutation", "subscription")
    ]
    fields = "".join(f"  {operation}: {type_.name}\n" for operation, type_ in roots if type_)
    return f'"""\n{inner.description}\n"""\nschema {{\n{fields}}}\n\n{text}'
