"""What the caches and the code generators of clients need to know beside the schema.

All of it follows from the schema, and is made when it is requested: nothing of it can be stale.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from graphql import (
    GraphQLObjectType,
    GraphQLScalarType,
    is_abstract_type,
    is_introspection_type,
    is_specified_scalar_type,
)

from graph.schema.scalars import client_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLSchema, GraphQLType


def possible_types(schema: GraphQLSchema) -> str:
    """JSON: the object types of each union and interface, as Apollo Client's cache takes them."""
    types = {
        type_.name: sorted(each.name for each in schema.get_possible_types(type_))
        for type_ in _types(schema)
        if is_abstract_type(type_)
    }
    return _as_json(types)


def keyless_types(schema: GraphQLSchema) -> str:
    """JSON: the object types without an `id`, which graphcache keeps in the objects around them."""
    roots = {schema.query_type, schema.mutation_type, schema.subscription_type}
    types = [
        type_.name
        for type_ in _types(schema)
        if isinstance(type_, GraphQLObjectType) and type_ not in roots and "id" not in type_.fields
    ]
    return _as_json(types)


def typescript_scalars(schema: GraphQLSchema) -> str:
    """JSON: `scalars` of graphql-codegen, which has a type for inputs and one for answers."""
    types = {
        name: {"input": client_type(name).sent, "output": client_type(name).received}
        for name in _scalars(schema)
    }
    return _as_json(types)


def python_scalars(schema: GraphQLSchema) -> str:
    """TOML: the tables for scalars of ariadne-codegen, for pyproject.toml."""
    return "\n".join(
        f'[tool.ariadne-codegen.scalars.{name}]\ntype = "{client_type(name).python}"\n'
        for name in _scalars(schema)
    )


def _scalars(schema: GraphQLSchema) -> list[str]:
    """The names of the scalars that the specification does not have."""
    return [
        type_.name
        for type_ in _types(schema)
        if isinstance(type_, GraphQLScalarType) and not is_specified_scalar_type(type_)
    ]


def _types(schema: GraphQLSchema) -> Iterator[GraphQLType]:
    for name in sorted(schema.type_map):
        if not is_introspection_type(schema.type_map[name]):
            yield schema.type_map[name]


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
