"""What is asked of lists, and what the answers must be."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graph.opaque import encode_id
from graph.schema.scalars import serialize_datetime
from tests.execution.generator.known import Known
from tests.execution.plain.filters import measure
from tests.execution.plain.shop import COLUMNS, NUMBERS, ORDERED, TO_ONE, Status

if TYPE_CHECKING:
    from tests.execution.plain.lists import Group
    from tests.execution.plain.shop import Row, Shop

# The field of Query that has every row of a noun; and each other way to its rows.
ROOTS = {"Customer": "customers", "Item": "items", "Order": "orders", "OrderLine": "orderLines"}
EDGES = {
    "Order": [("Customer", "orders")],
    "OrderLine": [("Order", "lineItems"), ("Item", "orderLines")],
}
FUNCTIONS: dict[str, dict[str, Any]] = {
    "sum": NUMBERS,
    "avg": NUMBERS,
    "min": ORDERED,
    "max": ORDERED,
}


def known_of(shop: Shop) -> Known:
    """What a filter can name of these rows."""
    known = Known()
    types = {int: "Int", str: "String", Decimal: "Decimal", datetime: "DateTime"}
    types |= {bool: "Boolean", Status: "OrderStatus"}
    for noun, rows in shop.rows.items():
        known.ids[noun] = [encode_id(noun, row["databaseId"]) for row in rows]
        for name, type_ in COLUMNS[noun].items():
            values = [shown(row[name]) for row in rows if row[name] is not None]
            known.values[name] += values
            known.values[types[type_]] += values
    known.values = defaultdict(list, {name: each for name, each in known.values.items() if each})
    return known


def shown(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return serialize_datetime(value) if isinstance(value, datetime) else value


def aggregates_asked(noun: str) -> str:
    """All aggregates of a noun's rows."""
    asked = ["count", f"distinctCount {{ {' '.join(COLUMNS[noun])} }}"]
    asked += [
        f"{function} {{ {' '.join(columns[noun])} }}"
        for function, columns in FUNCTIONS.items()
        if columns[noun]
    ]
    return " ".join(asked)


def aggregates_of(noun: str, rows: list[Row]) -> dict[str, Any]:
    """What they must be."""
    counts = {name: measure(noun, rows, "distinctCount", name) for name in COLUMNS[noun]}
    return {
        "count": len(rows),
        "distinctCount": counts,
        **{
            function: {name: shown(measure(noun, rows, function, name)) for name in columns[noun]}
            for function, columns in FUNCTIONS.items()
            if columns[noun]
        },
    }


def keys_asked(noun: str) -> str:
    """All keys that groups of a noun's rows can have."""
    edges = [f"{edge} {{ {keys_asked(to)} }}" for edge, (to, _) in TO_ONE.get(noun, {}).items()]
    return " ".join((*COLUMNS[noun], *edges))


def keys_of(noun: str, group: Group, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """What they must be: null where rows were not put together by it."""
    columns = {name: shown(group.key.get((*path, name))) for name in COLUMNS[noun]}
    edges = TO_ONE.get(noun, {}).items()
    return columns | {edge: keys_of(to, group, (*path, edge)) for edge, (to, _) in edges}
