"""Enums of the store as GraphQL types. Their values are declared in the models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry

if TYPE_CHECKING:
    from enum import Enum


def enum(type_: type[Enum], description: str, **values: str) -> None:
    """Add an enum of the models to the schema, with a description for each value by its name."""
    declared: Any = strawberry.enum(type_, description=description)
    for value in declared.__strawberry_definition__.values:
        value.description = values[value.name]
