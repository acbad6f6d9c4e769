"""Selections of lists, and the answers that are expected for them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graph.relay import to_global_id
from graph.schema.scalars import serialize_datetime
from tests.execution.generator.known import Known
from tests.execution.plain.filters import measure
from tests.execution.plain.shop import (
    COLUMNS,
    COUNTED,
    NUMBERS,
    ORDERED,
    TO_ONE,
    BigInt,
    CustomerId,
    ItemId,
    OrderId,
    References,
    Status,
)

if TYPE_CHECKING:
    from tests.execution.plain.lists import Group
    from tests.execution.plain.shop import Row, Shop

# The field of Query that has every row of an entity; and each other way to its rows.
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
    types |= {bool: "Boolean", Status: "OrderStatus", BigInt: "BigInt"}
    types |= dict.fromkeys((CustomerId, ItemId, OrderId), "ID")
    for entity, rows in shop.rows.items():
        known.ids[entity] = [to_global_id(entity, row["databaseId"]) for row in rows]
        for name, type_ in COLUMNS[entity].items():
            values = [shown(row[name]) for row in rows if row[name] is not None]
            known.values[name] += values
            known.values[types[type_]] += values
    known.values = defaultdict(list, {name: each for name, each in known.values.items() if each})
    return known


def shown(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, BigInt):
        return str(int(value))
    if isinstance(value, References):
        return to_global_id(value.entity, int(value))
    return serialize_datetime(value) if isinstance(value, datetime) else value


def aggregates_asked(entity: str) -> str:
    """All aggregates of an entity's rows."""
    asked = ["count", f"distinctCount {{ {' '.join(COUNTED[entity])} }}"]
    asked += [
        f"{function} {{ {' '.join(columns[entity])} }}"
        for function, columns in FUNCTIONS.items()
        if columns[entity]
    ]
    return " ".join(asked)


def aggregates_of(entity: str, rows: list[Row]) -> dict[str, Any]:
    """What they must be."""
    counts = {name: measure(entity, rows, "distinctCount", name) for name in COUNTED[entity]}
    return {
        "count": len(rows),
        "distinctCount": counts,
        **{
            function: {
                name: shown(measure(entity, rows, function, name)) for name in columns[entity]
            }
            for function, columns in FUNCTIONS.items()
            if columns[entity]
        },
    }


def keys_asked(entity: str) -> str:
    """All keys that groups of an entity's rows can have."""
    edges = [f"{edge} {{ {keys_asked(to)} }}" for edge, (to, _) in TO_ONE.get(entity, {}).items()]
    return " ".join((*COLUMNS[entity], *edges))


def keys_of(entity: str, group: Group, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """What they must be: null where rows were not put together by it."""
    columns = {name: shown(group.key.get((*path, name))) for name in COLUMNS[entity]}
    edges = TO_ONE.get(entity, {}).items()
    return columns | {edge: keys_of(to, group, (*path, edge)) for edge, (to, _) in edges}
