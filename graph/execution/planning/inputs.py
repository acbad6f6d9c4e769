"""The values of input objects by their names in Python, without Strawberry's objects between."""

from __future__ import annotations

from dataclasses import MISSING
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import GraphQLInputObjectType, get_named_type, is_input_object_type
from strawberry.relay import GlobalID
from strawberry.types.base import StrawberryMaybe

if TYPE_CHECKING:
    from graphql import GraphQLNamedInputType


def values_of(value: Any, type_: GraphQLNamedInputType) -> Any:
    """A coerced value with the members of input objects as `graph.schema.payloads.given` has them.

    Members that were not given are left out, but for those that Strawberry makes null.
    """
    if isinstance(value, list):
        return [values_of(each, type_) for each in value]
    if value is None or not isinstance(type_, GraphQLInputObjectType):
        return value
    members, nulls = _members(type_)
    found = dict.fromkeys(nulls)
    for name, inner in value.items():
        python_name, inner_type = members[name]
        found[python_name] = inner if inner_type is None else values_of(inner, inner_type)
    return found


def is_readable(type_: GraphQLNamedInputType, seen: frozenset[str] = frozenset()) -> bool:
    """Whether `values_of` reads what Strawberry does, which can convert values as well."""
    if not is_input_object_type(type_) or type_.name in seen:
        return True
    definition = type_.extensions["strawberry-definition"]
    return definition.from_input is None and all(
        field.default_factory is MISSING
        and not isinstance(field.type, StrawberryMaybe)
        and _innermost(field.type) is not GlobalID
        and is_readable(get_named_type(type_.fields[name].type), seen | {type_.name})
        for name, field in _fields(type_).items()
    )


@lru_cache(maxsize=1024)
def _members(
    type_: GraphQLInputObjectType,
) -> tuple[dict[str, tuple[str, GraphQLInputObjectType | None]], tuple[str, ...]]:
    """Each member's name in Python, and its type if that has members; those without default."""
    fields = _fields(type_)
    members = {}
    for name, inner in type_.fields.items():
        inner_type = get_named_type(inner.type)
        has_members = isinstance(inner_type, GraphQLInputObjectType)
        member = fields[name].python_name, inner_type if has_members else None
        members[inner.out_name or name] = member
    nulls = tuple(field.python_name for field in fields.values() if field.default_value is MISSING)
    return members, nulls


def _fields(type_: GraphQLInputObjectType) -> dict[str, Any]:
    return {name: field.extensions["strawberry-definition"] for name, field in type_.fields.items()}


def _innermost(type_: Any) -> Any:
    return _innermost(type_.of_type) if hasattr(type_, "of_type") else type_
