"""Values that follow from a column that has few values, such as an order's status.

What such a field says is worked out once for each of the column's values when an operation is
compiled, and enum_lookup by a CASE: Python has the rule, and it costs no row a call.
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
    """What `value_of` says of a column of the row: plain objects, described by `plain` fields."""

    def resolve(root: Any) -> Any:
        return value_of(getattr(root, column))

    return declare(
        Meaning.ENUM_LOOKUP,
        description,
        resolver=resolve,
        more=Choice(column, values, value_of),
    )


def plain(description: str) -> Any:
    """Objects that belong to one that is not a row: its attribute of the same Python name."""
    return declare(Meaning.PLAIN, description)
