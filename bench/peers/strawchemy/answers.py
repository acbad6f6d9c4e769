"""Answers of strawchemy in the shape of all others: its lists are pages, its keys name entities."""

from __future__ import annotations

from typing import Any

_ENTITIES = {
    "customer": "Customer",
    "customers": "Customer",
    "orders": "Order",
    "lineItems": "OrderLine",
    "item": "Item",
}


def in_common_shape(answer: Any) -> Any:
    """The answer, as if it had been given by a server with pages and global ids."""
    return _value("", answer)


def _value(name: str, value: Any) -> Any:
    """The value of a field of this name."""
    match value:
        case list() if name in _ENTITIES:
            return {"nodes": [_object(name, element) for element in value]}
        case {"orders": list() as nodes, "all": {"aggregations": {"count": int() as count}}}:
            page = {"hasNextPage": count > len(nodes)}
            return {"orders": {"totalCount": count, **_value("orders", nodes), "pageInfo": page}}
        case {"count": _, "sum": _}:
            return {"aggregates": value}
        case dict():
            return _object(name, value)
    return str(value) if name == "databaseId" else value


def _object(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """An object, or the elements of a list, which is the value of a field of this name."""
    found = {field: _value(field, value) for field, value in fields.items()}
    if "id" in found:
        found["id"] = f"{_ENTITIES[name]}:{found['id']}"
    return found
