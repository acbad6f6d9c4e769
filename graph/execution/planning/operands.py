"""Operators and operands of conditions, from the members of a filter."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any

from graph.database.reads import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_TEXTS = {"has": "has_every", "hasEvery": "has_every", "hasSome": "has_some"}
_PATTERNS = {"contains": "%{}%", "startsWith": "{}%", "endsWith": "%{}"}
# Of most values; what follows tells the others apart.
_AS_THEY_ARE = frozenset({str, int, float, bool})
_IGNORE_CASE = "IgnoreCase"


def operator_of(name: str, value: Any) -> tuple[str, Any]:
    """The operator and operand for a member of a filter."""
    plain = name.removesuffix(_IGNORE_CASE)
    if plain in _PATTERNS:
        escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return ("like" if plain == name else "ilike"), _PATTERNS[plain].format(escaped)
    if plain != name:
        return "same", value
    if name in _OF_TEXTS:
        return _OF_TEXTS[name], value if isinstance(value, list) else [value]
    return name, [bound(each) for each in value] if isinstance(value, list) else bound(value)


def bound(value: Any) -> Any:
    """A value as it is bound: see `graph.database.reads.expressions`."""
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, Enum):
        return value.name
    return value.isoformat() if isinstance(value, date) else value  # a datetime is one too


def hashable(operand: Any) -> Any:
    return tuple(operand) if isinstance(operand, list) else operand


def keys_of_ids(given: Mapping[str, Any], entity: str) -> dict[str, Any]:
    """The conditions on ids as conditions on keys; a null is refused with the others."""

    def key(text: Any) -> Any:
        return key_of(text, entity) if isinstance(text, str) else text

    return {
        operator: [key(text) for text in value] if isinstance(value, list) else key(value)
        for operator, value in given.items()
    }
