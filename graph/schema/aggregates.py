"""Aggregates and groups of each noun's lists, made from what its type declares.

For a noun such as Order:

    OrderAggregates      count, and an object for each function over its columns
    OrderNumbers         of sum and avg: exact, since no JSON number is
    OrderValues          of min and max
    OrderDistinctCounts  of distinctCount
    OrderGroup           key and aggregates of the rows that have one key
    OrderGroupKey        its columns, and those across its to-one edges
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import Meaning, declare, derived
from graph.schema.made import object_type
from graph.schema.nouns import Noun, numbers_of, ordered_of

_OVER = {
    "sum": ("Numbers", "The sum of each column; null over nothing."),
    "avg": ("Numbers", "The mean, rounded to six digits after the point; null over nothing."),
    "min": ("Values", "The least of each column; null over nothing."),
    "max": ("Values", "The most of each column; null over nothing."),
    "distinct": ("DistinctCounts", "How many different values each column has, null left out."),
}


def outputs_of(noun: Noun) -> dict[str, Any]:
    """The types of what is said of a noun's lists, by name."""
    name = noun.name
    numbers = {
        field: (column.name, Decimal | None, column.description)
        for field, column in numbers_of(noun).items()
    }
    values = {
        field: (column.name, column.type | None, column.description)
        for field, column in ordered_of(noun).items()
    }
    counts = {
        field: (column.name, int, column.description) for field, column in noun.columns.items()
    }
    return {
        f"{name}Aggregates": _aggregates(noun),
        **({f"{name}Numbers": _leaves(f"{name}Numbers", numbers)} if numbers else {}),
        f"{name}Values": _leaves(f"{name}Values", values),
        f"{name}DistinctCounts": _leaves(f"{name}DistinctCounts", counts),
        f"{name}Group": _group(noun),
        f"{name}GroupKey": _group_key(noun),
    }


def _value(root: Any, info: Info) -> Any:
    return root[info.context.asked(info.path).term]


def _itself(root: Any) -> Any:
    return root


def _aggregates(noun: Noun) -> Any:
    count = declare(
        Meaning.MEASURE, "How many there are.", noun=noun.name, name="count", resolver=_value
    )
    fields: dict[str, tuple[Any, Any]] = {"count": (int, count)}
    for function, (kind, description) in _OVER.items():
        if kind == "Numbers" and not numbers_of(noun):
            continue
        name = "distinctCount" if function == "distinct" else None
        declared = declare(Meaning.TERMS, description, name=name, resolver=_itself)
        fields[function] = (derived(f"{noun.name}{kind}"), declared)
    return object_type(
        f"{noun.name}Aggregates", "Measures of all that a list, or a group, has.", fields
    )


def _leaves(name: str, columns: dict[str, tuple[str, Any, str]]) -> Any:
    fields = {
        column: (type_, declare(Meaning.MEASURE, about, name=field, resolver=_value))
        for field, (column, type_, about) in columns.items()
    }
    return object_type(name, "A measure of each column.", fields)


def _group(noun: Noun) -> Any:
    about = "What the rows of the group have in common."
    key = declare(Meaning.TERMS, about, resolver=_itself)
    about = "Measures of the rows of the group."
    aggregates = declare(Meaning.TERMS, about, resolver=_itself)
    return object_type(
        f"{noun.name}Group",
        "Rows put together.",
        {
            "key": (derived(f"{noun.name}GroupKey"), key),
            "aggregates": (derived(f"{noun.name}Aggregates"), aggregates),
        },
    )


def _group_key(noun: Noun) -> Any:
    fields: dict[str, tuple[Any, Any]] = {}
    for field, column in noun.columns.items():
        about = f"{column.description} Of a moment, the start of its bucket, if it is put into one."
        about = about if column.type.__name__ == "datetime" else column.description
        declared = declare(Meaning.GROUP_KEY, about, noun=noun.name, name=field, resolver=_value)
        fields[column.name] = (column.type | None, declared)
    for edge in noun.to_one.values():
        declared = declare(Meaning.TERMS, edge.description, noun=noun.name, resolver=_itself)
        fields[edge.name] = (derived(f"{edge.noun}GroupKey"), declared)
    about = "What the rows of a group have in common; null where they were not put together by it."
    return object_type(f"{noun.name}GroupKey", about, fields)
