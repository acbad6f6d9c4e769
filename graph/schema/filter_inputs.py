"""What a filter can say of one value, by the type of the value.

Null is never equal to a value, less or more than it, nor like it. `ne` and `notIn` are the exact
opposites of `eq` and `in`: they are true of null.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

import strawberry

from graph.schema.type_factories import input_type

_EQUALITY = {
    "eq": "Equal to this.",
    "ne": "Not equal to this; also matches null.",
    "in": "Equal to one of these; matches nothing if the list is empty.",
    "notIn": "Equal to none of these; also matches null.",
}
_ORDER = {
    "lt": "Less than this.",
    "lte": "Less than this, or equal to it.",
    "gt": "More than this.",
    "gte": "More than this, or equal to it.",
}
_TEXT = {
    "contains": "Contains this.",
    "startsWith": "Begins with this.",
    "endsWith": "Ends with this.",
    "eqIgnoreCase": "Equal to this, ignoring case.",
    "containsIgnoreCase": "Contains this, ignoring case.",
    "startsWithIgnoreCase": "Begins with this, ignoring case.",
    "endsWithIgnoreCase": "Ends with this, ignoring case.",
}
_NULL = "Null if true; not null if false."


def _filter(name: str, what: str, type_: Any, *operators: dict[str, str]) -> Any:
    fields: dict[str, tuple[Any, str]] = {}
    for operator, description in [pair for each in operators for pair in each.items()]:
        takes_list = operator in {"in", "notIn"}
        fields[operator] = (list[type_] if takes_list else type_, description)
    if type_ is not strawberry.ID:
        fields["isNull"] = (bool, _NULL)
    return input_type(name, f"Conditions on {what}; a value must match all of them.", fields)


IDFilter = _filter("IDFilter", "an id", strawberry.ID, _EQUALITY)

_FILTERS = {
    int: _filter("IntFilter", "a whole number", int, _EQUALITY, _ORDER),
    str: _filter("StringFilter", "a text", str, _EQUALITY, _ORDER, _TEXT),
    bool: _filter("BooleanFilter", "a boolean", bool, {"eq": _EQUALITY["eq"]}),
    Decimal: _filter("DecimalFilter", "a decimal number", Decimal, _EQUALITY, _ORDER),
    datetime: _filter("DateTimeFilter", "a time", datetime, _EQUALITY, _ORDER),
}


@cache
def filter_of(type_: Any) -> Any:
    """The filter for values of a Python type."""
    if isinstance(type_, type) and issubclass(type_, Enum):
        name = type_.__name__
        return _filter(f"{name}Filter", f"a value of `{name}`", type_, _EQUALITY)
    return _FILTERS[type_]
