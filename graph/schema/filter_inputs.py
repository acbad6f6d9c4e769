"""What a filter can say of one value, by the type of the value.

Null is never equal to a value, less or more than it, nor like it. `ne` and `notIn` are the exact
opposites of `eq` and `in`: they are true of null. Across a to-one relationship that leads to no
row it is the same: that row has no values and its lists are empty, so that `customer: {not: ...}`
and `not: {customer: ...}` are one.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import strawberry

from graph.schema.scalars import BigInt
from graph.schema.type_factories import input_type

if TYPE_CHECKING:
    from graph.schema.entities import ColumnField

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
_NULL = {"isNull": "Null if true; not null if false."}
_TEXTS = {
    "has": "Contains this text.",
    "hasEvery": "Contains all of these texts; matches every list if there are none.",
    "hasSome": "Contains at least one of these texts.",
    "isEmpty": "Empty if true; not empty if false. Null matches neither.",
}
_LISTS = {"in", "notIn", "hasEvery", "hasSome"}
_TRUTHS = {"isNull", "isEmpty"}


def _filter(name: str, what: str, type_: Any, *operators: dict[str, str]) -> Any:
    fields: dict[str, tuple[Any, str]] = {}
    for operator, description in [pair for each in operators for pair in each.items()]:
        operand = bool if operator in _TRUTHS else type_
        fields[operator] = (list[type_] if operator in _LISTS else operand, description)
    return input_type(name, f"Conditions on {what}; a value must match all of them.", fields)


IDFilter = _filter("IDFilter", "an id", strawberry.ID, _EQUALITY)
NullableIDFilter = _filter(
    "NullableIDFilter", "an id, or its absence,", strawberry.ID, _EQUALITY, _NULL
)
StringListFilter = _filter("StringListFilter", "a list of texts", str, _TEXTS, _NULL)

_FILTERS = {
    int: _filter("IntFilter", "a whole number", int, _EQUALITY, _ORDER, _NULL),
    BigInt: _filter("BigIntFilter", "a whole number of 64 bits", BigInt, _EQUALITY, _ORDER, _NULL),
    str: _filter("StringFilter", "a text", str, _EQUALITY, _ORDER, _TEXT, _NULL),
    bool: _filter("BooleanFilter", "a boolean", bool, {"eq": _EQUALITY["eq"]}, _NULL),
    Decimal: _filter("DecimalFilter", "a decimal number", Decimal, _EQUALITY, _ORDER, _NULL),
    float: _filter("FloatFilter", "a number", float, _EQUALITY, _ORDER, _NULL),
    date: _filter("DateFilter", "a day", date, _EQUALITY, _ORDER, _NULL),
    datetime: _filter("DateTimeFilter", "a time", datetime, _EQUALITY, _ORDER, _NULL),
    UUID: _filter("UUIDFilter", "a UUID", UUID, _EQUALITY, _NULL),
}


def filter_of_column(column: ColumnField) -> Any:
    """The filter for the values of a column."""
    if column.references is not None:
        return NullableIDFilter if column.is_nullable else IDFilter
    return filter_of(column.type)


@cache
def filter_of(type_: Any) -> Any:
    """The filter for the values of a column."""
    if isinstance(type_, type) and issubclass(type_, Enum):
        name = type_.__name__
        return _filter(f"{name}Filter", f"a value of `{name}`", type_, _EQUALITY, _NULL)
    return _FILTERS[type_]
