"""Values that depend only on a column with few values, such as an order's status.

They are computed in Python once for each value of the column when an operation is compiled, and
selected by a CASE in SQL: no row needs a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.schema.fields import Meaning, declare

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum


@dataclass(frozen=True, slots=True)
class Choice:
    column: str
    values: type[Enum]
    value_of: Callable[[Any], Any]


def enum_lookup(
    description: str, *, column: str, values: type[Enum], value_of: Callable[[Any], Any]
) -> Any:
    """A field whose value is `value_of(column)`: plain objects, described by `plain` fields."""

    def resolve(root: Any) -> Any:
        return value_of(getattr(root, column))

    return declare(
        Meaning.ENUM_LOOKUP,
        description,
        resolver=resolve,
        more=Choice(column, values, value_of),
    )


def plain(description: str) -> Any:
    """A field of an object that is not a row: its attribute of the same Python name."""
    return declare(Meaning.PLAIN, description)
