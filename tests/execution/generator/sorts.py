"""Sorts that are valid beside a search or the keys of groups."""

from __future__ import annotations

from typing import Any


def sort_by_rank(others: Any) -> list[dict[str, Any]]:
    """By rank, and then by other sorts."""
    more = others if isinstance(others, list) else [others] if others else []
    return [{"rank": "DESC"}, *more]


def sort_by_key(key: Any, direction: str) -> dict[str, Any]:
    """The sort by a key of `groups(by:)`; of what is not one, whatever."""
    if not (isinstance(key, dict) and key):
        return {"databaseId": direction}
    name, value = next(iter(key.items()))
    if name == "column":
        return {_column(str(value)): direction}
    if isinstance(value, dict) and "unit" not in value:
        return {name: sort_by_key(value, direction)}
    return {name: direction}


def without_doubles(keys: list[Any]) -> list[Any]:
    """Each key of `groups(by:)` once, whether it is put into buckets or not."""
    return list({repr(sort_by_key(key, "ASC")): key for key in keys}.values())


def _column(name: str) -> str:
    """The field that a value of an entity's `Column` enum names: `DATE_PLACED`, `datePlaced`."""
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)
