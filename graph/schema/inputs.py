"""Filters, sorts and groupings of each noun, made from what its type declares.

For a noun such as Order:

    OrderWhere              and, or, not, its columns, its edges
    OrderListWhere          of a to-many edge: some, every, none, and what aggregates must be
    OrderOrderBy            @oneOf: a column, a path over to-one edges, an aggregate of children
    OrderAggregatesOrderBy  @oneOf: an aggregate
    OrderGroupBy            @oneOf: a column, a time's bucket, a path
    OrderHaving             and, or, not, what the aggregates of a group must be
    OrderGroupsOrderBy      @oneOf: an aggregate, or a key of the group
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry

from graph.database.search import SEARCHED
from graph.schema.costs import SEARCH
from graph.schema.fields import derived
from graph.schema.filters import IDFilter, filter_of
from graph.schema.made import input_type
from graph.schema.nouns import Noun, numbers_of, ordered_of
from graph.selection import MAX_DEPTH, MAX_PREDICATES, MAX_SEARCH_CHARS, MAX_WORDS


@strawberry.enum(description="Which way to sort, and where nulls come.")
class Direction(Enum):
    ASC = strawberry.enum_value("ASC", description="The least first, nulls last.")
    DESC = strawberry.enum_value("DESC", description="The most first, before them nulls.")
    ASC_NULLS_FIRST = strawberry.enum_value(
        "ASC_NULLS_FIRST", description="Nulls first, then the least."
    )
    ASC_NULLS_LAST = strawberry.enum_value(
        "ASC_NULLS_LAST", description="The least first, nulls last."
    )
    DESC_NULLS_FIRST = strawberry.enum_value(
        "DESC_NULLS_FIRST", description="Nulls first, then the most."
    )
    DESC_NULLS_LAST = strawberry.enum_value(
        "DESC_NULLS_LAST", description="The most first, nulls last."
    )


@strawberry.enum(description="How long a bucket of time is.")
class TimeUnit(Enum):
    HOUR = strawberry.enum_value("hour", description="From one full hour to the next.")
    DAY = strawberry.enum_value("day", description="From midnight to midnight.")
    WEEK = strawberry.enum_value("week", description="From Monday to Monday (ISO 8601).")
    MONTH = strawberry.enum_value("month", description="A month of the calendar.")
    QUARTER = strawberry.enum_value("quarter", description="A quarter of the calendar.")
    YEAR = strawberry.enum_value("year", description="A year of the calendar.")


@strawberry.input(description="The bucket of time that a moment falls into; its key is the start.")
class TimeBucket:
    unit: TimeUnit = strawberry.field(description="How long the bucket is.")
    time_zone: str = strawberry.field(
        default="UTC",
        description="Where midnight is told: a name of the IANA time zone database.",
    )


_COUNT = "How many there are."
_OVER = {
    "sum": "The sum; null over nothing.",
    "avg": "The mean, rounded to six digits after the point; null over nothing.",
    "min": "The least; null over nothing.",
    "max": "The most; null over nothing.",
}
_FOUND = "Every word of this is in it, or begins a word in it, or is much like one."
_LOGIC = {
    "and": "All of these. Nothing is asked if the list is empty.",
    "or": "At least one of these. Nothing meets an empty list.",
    "not": "Whatever does not meet this.",
}


def inputs_of(noun: Noun) -> dict[str, Any]:
    """The input types of a noun, by name; `Column` enums among them."""
    name = noun.name
    return {
        f"{name}Where": _where(noun),
        f"{name}ListWhere": _list_where(noun),
        f"{name}Having": _having(noun),
        f"{name}ValuesWhere": _values(noun, "Where", filter_of, "What each aggregate must be."),
        f"{name}NumbersWhere": _numbers_where(noun),
        f"{name}OrderBy": _order_by(noun),
        f"{name}AggregatesOrderBy": _aggregates_order_by(noun),
        f"{name}GroupsOrderBy": _groups_order_by(noun),
        f"{name}ValuesOrderBy": _values(
            noun, "OrderBy", lambda _: Direction, "The column to sort by.", one_of=True
        ),
        f"{name}NumbersOrderBy": _numbers_order_by(noun),
        f"{name}Column": _columns(noun),
        f"{name}GroupBy": _group_by(noun),
    }


def _where(noun: Noun) -> Any:
    where = derived(f"{noun.name}Where")
    fields: dict[str, Any] = _logic(where) | {"id": (IDFilter, "The global id.")}
    for name, column in noun.columns.items():
        fields[name] = (filter_of(column.type), column.description)
    if noun.name in SEARCHED:
        fields["search"] = (
            str,
            f"{_FOUND} Up to {MAX_WORDS} words, at most {MAX_SEARCH_CHARS} characters.",
            SEARCH,
        )
    for name, edge in noun.to_one.items():
        fields[name] = (derived(f"{edge.noun}Where"), edge.description)
    for name, edge in noun.to_many.items():
        fields[name] = (derived(f"{edge.noun}ListWhere"), edge.description)
    about = (
        f"What must be true of it: all that is said here. At most {MAX_PREDICATES} predicates, "
        f"nested at most {MAX_DEPTH} deep."
    )
    return input_type(f"{noun.name}Where", about, fields)


def _list_where(noun: Noun) -> Any:
    where = derived(f"{noun.name}Where")
    fields: dict[str, tuple[Any, str]] = {
        "some": (where, "At least one of them meets this."),
        "every": (where, "All of them meet this; true if there are none."),
        "none": (where, "None of them meets this."),
    }
    about = "What must be true of a list: all that is said here."
    return input_type(f"{noun.name}ListWhere", about, fields | _aggregates_where(noun))


def _having(noun: Noun) -> Any:
    fields = _logic(derived(f"{noun.name}Having")) | _aggregates_where(noun)
    return input_type(
        f"{noun.name}Having", "What must be true of a group: all that is said here.", fields
    )


def _order_by(noun: Noun) -> Any:
    fields: dict[str, tuple[Any, str]] = {
        name: (Direction, column.description) for name, column in noun.columns.items()
    }
    if noun.name in SEARCHED:
        about = "How well it matches `search` in `where`: DESC has the best first."
        fields["rank"] = (Direction, about)
    for name, edge in noun.to_one.items():
        fields[name] = (derived(f"{edge.noun}OrderBy"), edge.description)
    for name, edge in noun.to_many.items():
        fields[name] = (derived(f"{edge.noun}AggregatesOrderBy"), edge.description)
    return input_type(
        f"{noun.name}OrderBy", "What to sort by: exactly one of these.", fields, one_of=True
    )


def _aggregates_order_by(noun: Noun) -> Any:
    name = f"{noun.name}AggregatesOrderBy"
    about = "The aggregate to sort by: exactly one of these."
    return input_type(name, about, _aggregates_orders(noun), one_of=True)


def _groups_order_by(noun: Noun) -> Any:
    key = (derived(f"{noun.name}OrderBy"), "A key of the group: one of those in `by`.")
    about = "What to sort groups by: exactly one of these."
    fields = {"key": key, **_aggregates_orders(noun)}
    return input_type(f"{noun.name}GroupsOrderBy", about, fields, one_of=True)


def _group_by(noun: Noun) -> Any:
    fields: dict[str, tuple[Any, str]] = {
        "column": (derived(f"{noun.name}Column"), "The values of this column.")
    }
    for name, column in noun.columns.items():
        if column.type is datetime:
            fields[name] = (TimeBucket, column.description)
    for name, edge in noun.to_one.items():
        fields[name] = (derived(f"{edge.noun}GroupBy"), edge.description)
    about = "What to put together by: exactly one of these."
    return input_type(f"{noun.name}GroupBy", about, fields, one_of=True)


def _columns(noun: Noun) -> Any:
    """An enum whose values are the columns' names in GraphQL."""
    members = {
        column.name.upper() if column.name != "id" else "DATABASE_ID": strawberry.enum_value(
            name, description=column.description
        )
        for name, column in noun.columns.items()
    }
    enum: Any = Enum(f"{noun.name}Column", members)  # type: ignore[misc]  # mypy wants a literal
    return strawberry.enum(enum, description=f"A column of `{noun.name}`.")


def _aggregates_where(noun: Noun) -> dict[str, tuple[Any, str]]:
    return _aggregates(noun, "Where", filter_of(int))


def _aggregates_orders(noun: Noun) -> dict[str, tuple[Any, str]]:
    return _aggregates(noun, "OrderBy", Direction)


def _aggregates(noun: Noun, kind: str, count: Any) -> dict[str, tuple[Any, str]]:
    fields: dict[str, tuple[Any, str]] = {"count": (count, _COUNT)}
    for function, description in _OVER.items():
        if function in {"min", "max"}:
            fields[function] = (derived(f"{noun.name}Values{kind}"), description)
        elif numbers_of(noun):
            fields[function] = (derived(f"{noun.name}Numbers{kind}"), description)
    return fields


def _values(noun: Noun, kind: str, type_of: Any, about: str, *, one_of: bool = False) -> Any:
    fields = {
        name: (type_of(column.type), column.description)
        for name, column in ordered_of(noun).items()
    }
    return input_type(f"{noun.name}Values{kind}", about, fields, one_of=one_of)


def _numbers_where(noun: Noun) -> Any:
    fields = {
        name: (filter_of(Decimal), column.description) for name, column in numbers_of(noun).items()
    }
    return input_type(f"{noun.name}NumbersWhere", "What each aggregate must be.", fields)


def _numbers_order_by(noun: Noun) -> Any:
    fields = {name: (Direction, column.description) for name, column in numbers_of(noun).items()}
    about = "The column to sort by."
    return input_type(f"{noun.name}NumbersOrderBy", about, fields, one_of=True)


def _logic(type_: Any) -> dict[str, tuple[Any, str]]:
    return {
        name: (type_ if name == "not" else list[type_], description)
        for name, description in _LOGIC.items()
    }
