"""Aggregates and groups of each entity's lists, made from what its type declares.

For an entity such as Order:

    OrderAggregates      count, and an object for each function over its columns
    OrderNumbers         of sum and avg: exact, since no JSON number is
    OrderValues          of min and max
    OrderDistinctCounts  of distinctCount
    OrderGroup           key and aggregates of the rows that have one key
    OrderGroupKey        its columns, and those across its to-one edges
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import strawberry

from graph.relay import to_global_id
from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.entities import Entity, measured_of, numbers_of, ordered_of
from graph.schema.fields import Meaning, declare, derived
from graph.schema.type_factories import object_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.schema.entities import ColumnField

_OVER = {
    "sum": ("Numbers", "The sum of each column; null without values."),
    "avg": ("Numbers", "The mean, rounded to six decimal places; null without values."),
    "min": ("Values", "The minimum of each column; null without values."),
    "max": ("Values", "The maximum of each column; null without values."),
    "distinct": ("DistinctCounts", "The number of distinct values of each column, without null."),
}


def outputs_of(entity: Entity) -> dict[str, Any]:
    """The types of aggregates and groups of an entity, by name."""
    name = entity.name
    numbers = {
        field: (column.name, Decimal | None, column.description)
        for field, column in numbers_of(entity).items()
    }
    values = {
        field: (column.name, column.type | None, column.description)
        for field, column in ordered_of(entity).items()
    }
    counts = {
        field: (column.name, int, column.description)
        for field, column in measured_of(entity).items()
    }
    return {
        f"{name}Aggregates": _aggregates(entity),
        **({f"{name}Numbers": _leaves(f"{name}Numbers", numbers)} if numbers else {}),
        **({f"{name}Values": _leaves(f"{name}Values", values)} if values else {}),
        f"{name}DistinctCounts": _leaves(f"{name}DistinctCounts", counts),
        f"{name}Group": _group(entity),
        f"{name}GroupKey": _group_key(entity),
    }


def _value(root: Any, info: Info) -> Any:
    return root[info.context.selected(info.path).term]


def _key(column: ColumnField) -> Callable[[Any, Info], Any]:
    """A resolver of a group's key; that of a foreign key is a global id."""
    if column.references is None:
        return _value
    references = column.references

    def resolve(root: Any, info: Info) -> Any:
        key = _value(root, info)
        return None if key is None else strawberry.ID(to_global_id(references, key))

    return resolve


def _itself(root: Any) -> Any:
    return root


def _aggregates(entity: Entity) -> Any:
    count = declare(
        Meaning.MEASURE, "The number of rows.", entity=entity.name, name="count", resolver=_value
    )
    fields: dict[str, tuple[Any, Any]] = {"count": (int, count)}
    columns = {"Numbers": numbers_of(entity), "Values": ordered_of(entity)}
    for function, (kind, description) in _OVER.items():
        if not columns.get(kind, measured_of(entity)):
            continue
        name = "distinctCount" if function == "distinct" else None
        declared = declare(Meaning.TERMS, description, name=name, resolver=_itself)
        fields[function] = (derived(f"{entity.name}{kind}"), declared)
    return object_type(f"{entity.name}Aggregates", "Aggregates of a list or a group.", fields)


def _leaves(name: str, columns: dict[str, tuple[str, Any, str]]) -> Any:
    fields = {
        column: (type_, declare(Meaning.MEASURE, about, name=field, resolver=_value))
        for field, (column, type_, about) in columns.items()
    }
    return object_type(name, "One aggregate of each column.", fields)


def _group(entity: Entity) -> Any:
    about = "The key values of the group."
    key = declare(Meaning.TERMS, about, resolver=_itself)
    about = "Aggregates of the rows of the group."
    aggregates = declare(Meaning.TERMS, about, resolver=_itself)
    about = "The number of all groups, on all pages: more than were returned if the list was cut."
    count = declare(Meaning.MEASURE, about, entity=entity.name, name="groupCount", resolver=_value)
    return object_type(
        f"{entity.name}Group",
        "Rows with the same keys.",
        {
            "key": (derived(f"{entity.name}GroupKey"), key),
            "aggregates": (derived(f"{entity.name}Aggregates"), aggregates),
            "group_count": (int, count),
        },
    )


def _group_key(entity: Entity) -> Any:
    fields: dict[str, tuple[Any, Any]] = {}
    for field, column in entity.columns.items():
        about = f"{column.description} For a time in a bucket, the start of the bucket."
        about = about if column.type.__name__ == "datetime" else column.description
        declared = declare(
            Meaning.GROUP_KEY, about, entity=entity.name, name=field, resolver=_key(column)
        )
        fields[column.name] = (column.type | None, declared)
    for relationship in entity.to_one.values():
        declared = declare(
            Meaning.TERMS, relationship.description, entity=entity.name, resolver=_itself
        )
        fields[relationship.name] = (derived(f"{relationship.entity}GroupKey"), declared)
    about = "The key values of a group; null for keys that are not in `by`."
    return object_type(f"{entity.name}GroupKey", about, fields)
