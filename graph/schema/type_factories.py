"""Factories of types that are generated from the declarations of entities."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import strawberry
from strawberry import UNSET

if TYPE_CHECKING:
    from collections.abc import Mapping


def input_type(
    name: str,
    description: str,
    fields: Mapping[str, tuple[Any, ...]],
    *,
    one_of: bool = False,
) -> Any:
    """An input type with these optional fields: GraphQL name -> (type, description, directives)."""
    members = {
        f"field{nth}": (
            type_ | None,
            strawberry.field(default=UNSET, name=field, description=about, directives=directives),
        )
        for nth, (field, (type_, about, *directives)) in enumerate(fields.items())
    }
    return strawberry.input(_class(name, members), description=description, one_of=one_of)


def object_type(
    name: str,
    description: str,
    fields: dict[str, tuple[Any, Any]],
    bases: tuple[Any, ...] = (),
) -> Any:
    """An object type with these fields: Python name -> (type, declaration)."""
    return strawberry.type(_class(name, fields, bases), description=description)


def _class(name: str, members: dict[str, tuple[Any, Any]], bases: tuple[Any, ...] = ()) -> Any:
    namespace: dict[str, Any] = {member: declared for member, (_, declared) in members.items()}
    namespace["__annotations__"] = {member: type_ for member, (type_, _) in members.items()}
    namespace["__module__"] = __name__
    return types.new_class(name, bases, {}, lambda body: body.update(namespace))
