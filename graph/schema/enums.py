"""Enums of the store, as clients see them: the values are declared where they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry

if TYPE_CHECKING:
    from enum import Enum


def enum(type_: type[Enum], description: str, **values: str) -> None:
    """Let a type of the models be one of the schema; each value has a description by its name."""
    declared: Any = strawberry.enum(type_, description=description)
    for value in declared.__strawberry_definition__.values:
        value.description = values[value.name]
