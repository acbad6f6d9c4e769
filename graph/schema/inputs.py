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
from strawberry import UNSET

from graph.database.catalog import catalog
from graph.schema.costs import SEARCH
from graph.schema.entities import Entity, numbers_of, ordered_of
from graph.schema.fields import derived
from graph.schema.filter_inputs import IDFilter, StringListFilter, filter_of, filter_of_column
from graph.schema.type_factories import input_type
from graph.selection import (
    MAX_DEPTH,
    MAX_FILLED_GROUPS,
    MAX_GROUPS,
    MAX_PREDICATES,
    MAX_SEARCH_CHARS,
)


@strawberry.enum(
    description="The direction of a sort, and the position of nulls: last, unless the name says"
    " otherwise."
)
class Direction(Enum):
    ASC = strawberry.enum_value("ASC", description="Ascending, nulls last.")
    DESC = strawberry.enum_value("DESC", description="Descending, nulls last.")
    ASC_NULLS_FIRST = strawberry.enum_value(
        "ASC_NULLS_FIRST", description="Ascending, nulls first."
    )
    ASC_NULLS_LAST = strawberry.enum_value("ASC_NULLS_LAST", description="Ascending, nulls last.")
    DESC_NULLS_FIRST = strawberry.enum_value(
        "DESC_NULLS_FIRST", description="Descending, nulls first."
    )
    DESC_NULLS_LAST = strawberry.enum_value(
        "DESC_NULLS_LAST", description="Descending, nulls last."
    )


@strawberry.enum(description="The length of a time bucket.")
class TimeUnit(Enum):
    HOUR = strawberry.enum_value("hour", description="From one full hour to the next.")
    DAY = strawberry.enum_value("day", description="From midnight to midnight.")
    WEEK = strawberry.enum_value("week", description="Seven days from `weekStart`.")
    MONTH = strawberry.enum_value("month", description="A month of the calendar.")
    QUARTER = strawberry.enum_value("quarter", description="A quarter of the calendar.")
    YEAR = strawberry.enum_value("year", description="A year of the calendar.")


@strawberry.enum(description="A day of the week.")
class Weekday(Enum):
    MONDAY = strawberry.enum_value(0, description="The first day of ISO 8601.")
    TUESDAY = strawberry.enum_value(1, description="The day after Monday.")
    WEDNESDAY = strawberry.enum_value(2, description="The day after Tuesday.")
    THURSDAY = strawberry.enum_value(3, description="The day after Wednesday.")
    FRIDAY = strawberry.enum_value(4, description="The day after Thursday.")
    SATURDAY = strawberry.enum_value(5, description="The day after Friday.")
    SUNDAY = strawberry.enum_value(6, description="The day before Monday.")


@strawberry.input(description="Groups times by bucket; the key is the bucket's start.")
class TimeBucket:
    unit: TimeUnit = strawberry.field(description="The length of the bucket.")
    time_zone: str = strawberry.field(
        default="UTC",
        description="The time zone of midnight: a name in the IANA time zone database.",
    )
    week_start: Weekday | None = strawberry.field(
        default=UNSET, description="The first day of each WEEK; MONDAY if it is not given."
    )
    empty_buckets: bool | None = strawberry.field(
        default=UNSET,
        description="Whether there is a group for each bucket without rows, too: from the first to "
        "the last bucket with rows, or as far as `where` bounds the time, for all values of the "
        "other keys. At most one key has it, and at most "
        f"{MAX_GROUPS:,} buckets in {MAX_FILLED_GROUPS:,} groups.",
    )


_COUNT = "The number of rows."
_OVER = {
    "sum": "The sum; null without values.",
    "avg": "The mean, rounded to six decimal places; null without values.",
    "min": "The minimum; null without values.",
    "max": "The maximum; null without values.",
}
FOUND_BY = (
    "Every word occurs, begins a word, or differs from one by a typing error: a wrong, missing,"
    " additional or moved letter, among four or more. Accents and case do not matter."
)
_BLANK = "Blank text is no condition; text without words finds nothing."
_LOGIC = {
    "and": "Rows that match all of these; all rows if the list is empty.",
    "or": "Rows that match at least one of these; none if the list is empty.",
    "not": "Rows that do not match this.",
}


def inputs_of(entity: Entity) -> dict[str, Any]:
    """The input types of an entity, and its `Column` enums, by name."""
    name = entity.name
    return {
        f"{name}Where": _where(entity),
        f"{name}ListWhere": _list_where(entity),
        f"{name}Having": _having(entity),
        f"{name}ValuesWhere": _values(entity, "Where", filter_of, "Conditions on aggregates."),
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
        f"Conditions; a row must match all of them. At most {MAX_PREDICATES} conditions, "
        f"nested at most {MAX_DEPTH} deep."
    )
    return input_type(f"{entity.name}Where", about, fields)


def _list_where(entity: Entity) -> Any:
    where = derived(f"{entity.name}Where")
    fields: dict[str, tuple[Any, str]] = {
        "some": (where, "At least one row matches this."),
        "every": (where, "All rows match this; true if there are none."),
        "none": (where, "No row matches this."),
    }
    about = "Conditions on a list; it must match all of them."
    return input_type(f"{entity.name}ListWhere", about, fields | _aggregates_where(entity))


def _having(entity: Entity) -> Any:
    fields = _logic(derived(f"{entity.name}Having")) | _aggregates_where(entity)
    return input_type(
        f"{entity.name}Having", "Conditions on a group; it must match all of them.", fields
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
        f"{entity.name}OrderBy", "The sort key: exactly one of these.", fields, one_of=True
    )


def _aggregates_order_by(entity: Entity) -> Any:
    name = f"{entity.name}AggregatesOrderBy"
    about = "The aggregate to sort by: exactly one of these."
    return input_type(name, about, _aggregates_orders(entity), one_of=True)


def _groups_order_by(entity: Entity) -> Any:
    key = (derived(f"{entity.name}OrderBy"), "A key of the group: one of those in `by`.")
    about = "The sort key of groups: exactly one of these."
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
    about = "The key to group by: exactly one of these."
    return input_type(f"{entity.name}GroupBy", about, fields, one_of=True)


def _columns(entity: Entity) -> Any:
    """An enum of the columns' GraphQL names."""
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
    return input_type(f"{entity.name}NumbersWhere", "Conditions on aggregates.", fields)


def _numbers_order_by(entity: Entity) -> Any:
    fields = {name: (Direction, column.description) for name, column in numbers_of(entity).items()}
    about = "The column to sort by."
    return input_type(f"{entity.name}NumbersOrderBy", about, fields, one_of=True)


def _logic(type_: Any) -> dict[str, tuple[Any, str]]:
    return {
        name: (type_ if name == "not" else list[type_], description)
        for name, description in _LOGIC.items()
    }
