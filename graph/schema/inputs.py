"""Filters, sorts and groupings of each entity, made from what its type declares.

For an entity such as Order:

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

from graph.database.catalog import catalog
from graph.schema.costs import SEARCH
from graph.schema.entities import Entity, numbers_of, ordered_of
from graph.schema.fields import derived
from graph.schema.filter_inputs import IDFilter, StringListFilter, filter_of, filter_of_column
from graph.schema.type_factories import input_type
from graph.selection import MAX_DEPTH, MAX_PREDICATES, MAX_SEARCH_CHARS


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
FOUND_BY = (
    "Every word of this is in it, or begins a word in it, or differs from one by a typing error: a"
    " letter that is wrong, missing, too many or moved, among four or more. Accents and upper or"
    " lower case make no difference."
)
_BLANK = "Blank text is no condition; text without words finds nothing."
_LOGIC = {
    "and": "All of these. Nothing is asked if the list is empty.",
    "or": "At least one of these. Nothing meets an empty list.",
    "not": "Whatever does not meet this.",
}


def inputs_of(entity: Entity) -> dict[str, Any]:
    """The input types of an entity, by name; `Column` enums among them."""
    name = entity.name
    return {
        f"{name}Where": _where(entity),
        f"{name}ListWhere": _list_where(entity),
        f"{name}Having": _having(entity),
        f"{name}ValuesWhere": _values(entity, "Where", filter_of, "What each aggregate must be."),
        f"{name}NumbersWhere": _numbers_where(entity),
        f"{name}OrderBy": _order_by(entity),
        f"{name}AggregatesOrderBy": _aggregates_order_by(entity),
        f"{name}GroupsOrderBy": _groups_order_by(entity),
        f"{name}ValuesOrderBy": _values(
            entity, "OrderBy", lambda _: Direction, "The column to sort by.", one_of=True
        ),
        f"{name}NumbersOrderBy": _numbers_order_by(entity),
        f"{name}Column": _columns(entity),
        f"{name}GroupBy": _group_by(entity),
    }


def _where(entity: Entity) -> Any:
    where = derived(f"{entity.name}Where")
    fields: dict[str, Any] = _logic(where) | {"id": (IDFilter, "The global id.")}
    for name, column in entity.columns.items():
        fields[name] = (filter_of_column(column), column.description)
    for name, texts in entity.texts.items():
        fields[name] = (StringListFilter, texts.description)
    if entity.name in catalog.searched:
        fields["search"] = (
            str,
            f"{FOUND_BY} {_BLANK} At most {MAX_SEARCH_CHARS} characters.",
            SEARCH,
        )
    for name, relationship in entity.to_one.items():
        fields[name] = (derived(f"{relationship.entity}Where"), relationship.description)
    for name, relationship in entity.to_many.items():
        fields[name] = (derived(f"{relationship.entity}ListWhere"), relationship.description)
    about = (
        f"What must be true of it: all that is said here. At most {MAX_PREDICATES} predicates, "
        f"nested at most {MAX_DEPTH} deep."
    )
    return input_type(f"{entity.name}Where", about, fields)


def _list_where(entity: Entity) -> Any:
    where = derived(f"{entity.name}Where")
    fields: dict[str, tuple[Any, str]] = {
        "some": (where, "At least one of them meets this."),
        "every": (where, "All of them meet this; true if there are none."),
        "none": (where, "None of them meets this."),
    }
    about = "What must be true of a list: all that is said here."
    return input_type(f"{entity.name}ListWhere", about, fields | _aggregates_where(entity))


def _having(entity: Entity) -> Any:
    fields = _logic(derived(f"{entity.name}Having")) | _aggregates_where(entity)
    return input_type(
        f"{entity.name}Having", "What must be true of a group: all that is said here.", fields
    )


def _order_by(entity: Entity) -> Any:
    fields: dict[str, tuple[Any, str]] = {
        name: (Direction, column.description) for name, column in entity.columns.items()
    }
    if entity.name in catalog.searched:
        about = (
            "How well it matches `search` in `where`. DESC has the best first: words as they are"
            " spelled, words with other accents, beginnings as they are spelled, beginnings with"
            " other accents, typing errors. The worst of the words decides."
        )
        fields["rank"] = (Direction, about)
    for name, relationship in entity.to_one.items():
        fields[name] = (derived(f"{relationship.entity}OrderBy"), relationship.description)
    for name, relationship in entity.to_many.items():
        fields[name] = (
            derived(f"{relationship.entity}AggregatesOrderBy"),
            relationship.description,
        )
    return input_type(
        f"{entity.name}OrderBy", "What to sort by: exactly one of these.", fields, one_of=True
    )


def _aggregates_order_by(entity: Entity) -> Any:
    name = f"{entity.name}AggregatesOrderBy"
    about = "The aggregate to sort by: exactly one of these."
    return input_type(name, about, _aggregates_orders(entity), one_of=True)


def _groups_order_by(entity: Entity) -> Any:
    key = (derived(f"{entity.name}OrderBy"), "A key of the group: one of those in `by`.")
    about = "What to sort groups by: exactly one of these."
    fields = {"key": key, **_aggregates_orders(entity)}
    return input_type(f"{entity.name}GroupsOrderBy", about, fields, one_of=True)


def _group_by(entity: Entity) -> Any:
    fields: dict[str, tuple[Any, str]] = {
        "column": (derived(f"{entity.name}Column"), "The values of this column.")
    }
    for name, column in entity.columns.items():
        if column.type is datetime:
            fields[name] = (TimeBucket, column.description)
    for name, relationship in entity.to_one.items():
        fields[name] = (derived(f"{relationship.entity}GroupBy"), relationship.description)
    about = "What to put together by: exactly one of these."
    return input_type(f"{entity.name}GroupBy", about, fields, one_of=True)


def _columns(entity: Entity) -> Any:
    """An enum whose values are the columns' names in GraphQL."""
    members = {
        column.name.upper() if column.name != "id" else "DATABASE_ID": strawberry.enum_value(
            name, description=column.description
        )
        for name, column in entity.columns.items()
    }
    enum: Any = Enum(f"{entity.name}Column", members)  # type: ignore[misc]  # mypy wants a literal
    return strawberry.enum(enum, description=f"A column of `{entity.name}`.")


def _aggregates_where(entity: Entity) -> dict[str, tuple[Any, str]]:
    return _aggregates(entity, "Where", filter_of(int))


def _aggregates_orders(entity: Entity) -> dict[str, tuple[Any, str]]:
    return _aggregates(entity, "OrderBy", Direction)


def _aggregates(entity: Entity, kind: str, count: Any) -> dict[str, tuple[Any, str]]:
    fields: dict[str, tuple[Any, str]] = {"count": (count, _COUNT)}
    for function, description in _OVER.items():
        if function in {"min", "max"} and ordered_of(entity):
            fields[function] = (derived(f"{entity.name}Values{kind}"), description)
        elif function in {"sum", "avg"} and numbers_of(entity):
            fields[function] = (derived(f"{entity.name}Numbers{kind}"), description)
    return fields


def _values(entity: Entity, kind: str, type_of: Any, about: str, *, one_of: bool = False) -> Any:
    fields = {
        name: (type_of(column.type), column.description)
        for name, column in ordered_of(entity).items()
    }
    return input_type(f"{entity.name}Values{kind}", about, fields, one_of=one_of)


def _numbers_where(entity: Entity) -> Any:
    fields = {
        name: (filter_of(Decimal), column.description)
        for name, column in numbers_of(entity).items()
    }
    return input_type(f"{entity.name}NumbersWhere", "What each aggregate must be.", fields)


def _numbers_order_by(entity: Entity) -> Any:
    fields = {name: (Direction, column.description) for name, column in numbers_of(entity).items()}
    about = "The column to sort by."
    return input_type(f"{entity.name}NumbersOrderBy", about, fields, one_of=True)


def _logic(type_: Any) -> dict[str, tuple[Any, str]]:
    return {
        name: (type_ if name == "not" else list[type_], description)
        for name, description in _LOGIC.items()
    }
