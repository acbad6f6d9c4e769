"""Checks a record before it is staged: known fields, with the types that the rules expect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.database.writes.values import Values
from graph.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Temporary table -> rows to be copied into it.
    Staged: TypeAlias = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity that can be imported.

    `read` checks a record and returns the rows to copy. `types` are the types of a record's fields,
    `tables` the temporary tables (column -> type); rows fill their first columns.
    """

    types: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, str]]
    read: Callable[[int, Values], Staged]
    refuse: str
    merge: tuple[str, ...]
    has_lists: bool = False


def staged(entity: Entity, number: int, given: Mapping[str, Any]) -> tuple[Staged, list[Problem]]:
    """The rows to copy for one record, and its problems; no rows if it has problems."""
    problems: list[Problem] = []
    values = Values(_typed(entity.types, given, (), problems), (), problems)
    return ({} if problems else entity.read(number, values)), problems


def _typed(
    types: Mapping[str, Any], given: Mapping[str, Any], path: tuple[str, ...], found: list[Problem]
) -> dict[str, Any]:
    """The values by Python name, converted to the types that the rules expect."""
    typed: dict[str, Any] = {}
    for name, value in given.items():
        at = (*path, name)
        if name not in types:
            found.append(Problem(at, "UNKNOWN", "There is no such field."))
            continue
        type_, python_name = types[name], _snake_case(name)
        if isinstance(type_, dict):
            rows = value if isinstance(value, list) else [value]
            typed[python_name] = [
                _typed(type_, row if isinstance(row, dict) else {}, (*at, str(nth)), found)
                for nth, row in enumerate(rows)
            ]
            continue
        try:
            typed[python_name] = None if value is None else _READ.get(type_, type_)(value)
        except (ValueError, TypeError, InvalidOperation, OverflowError):
            found.append(Problem(at, "INVALID", f"'{str(value)[:64]}' is not what it must be."))
    return typed


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    value.encode()
    return value


def _number(value: Any) -> int:
    if isinstance(value, bool | float):
        raise TypeError(value)
    return int(value)


def _money(value: Any) -> Decimal:
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError(value)
    return amount


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    # The driver takes the first and the last moment there are for infinity.
    if moment.tzinfo is None or moment.year in {MINYEAR, MAXYEAR}:
        raise ValueError(value)
    return moment


_READ: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _number,
    Decimal: _money,
    datetime: _moment,
}


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
