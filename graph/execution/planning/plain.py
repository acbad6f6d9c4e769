"""JSON of objects that are not rows: small values, built in Python, with declared fields."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLList, GraphQLNonNull, get_named_type, is_leaf_type

from graph.selection import Column, Plain, Typename

if TYPE_CHECKING:
    from collections.abc import Sequence


def text_of(value: Any, type_: Any, fields: Sequence[Any]) -> str:
    """The JSON text of the selection of a value of a GraphQL type."""
    return orjson.dumps(plain(value, type_, fields)).decode()


def texts_of(choice: Any, type_: Any, fields: Sequence[Any]) -> tuple[Any, ...]:
    """The JSON for each possible value of an enum look-up, by what is permitted."""
    return tuple(
        (
            permitted,
            tuple(
                (value.name, text_of(choice.value_of(value, *permitted), type_, fields))
                for value in choice.values
            ),
        )
        for permitted in product((False, True), repeat=len(choice.depends_on))
    )


def plain(value: Any, type_: Any, fields: Sequence[Any]) -> Any:
    """The value of the answer, as a structure for the JSON encoder."""
    if isinstance(type_, GraphQLNonNull):
        return plain(value, type_.of_type, fields)
    if value is None:
        return None
    if isinstance(type_, GraphQLList):
        return [plain(each, type_.of_type, fields) for each in value]
    if is_leaf_type(type_):
        return type_.serialize(value)
    return {field.response_key: member(value, type_, field) for field in fields}


def member(value: Any, type_: Any, field: Any) -> Any:
    """The value of a field of an object."""
    if isinstance(field, Typename):
        return field.text
    assert isinstance(field, Column | Plain)  # noqa: S101  nothing else stands below such objects
    declared = next(
        definition
        for definition in get_named_type(type_).fields.values()
        if definition.extensions["strawberry-definition"].python_name == field.name
    )
    below = field.fields if isinstance(field, Plain) else ()
    return plain(getattr(value, field.name), declared.type, below)
