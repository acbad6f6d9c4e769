"""What a row of a file must be before it is staged: fields by name, of the types of the rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.database.transfer.files import Number
from graph.database.writes.values import Values
from graph.errors import FileProblemCode, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import StrEnum

    # Temporary table -> rows to be copied into it.
    Staged: TypeAlias = dict[str, list[tuple[Any, ...]]]
    # Makes a value of what a file has; a ValueError says what it must be instead.
    Read: TypeAlias = Callable[[Any], Any]

_MOST_DIGITS = 100
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+(\.0*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity that can be imported.

    `fields` are those of a record; one that is a mapping is a list of objects with these fields.
    `tables` are the temporary ones: column -> type. Rows fill the first columns, and the column
    `nth` has the number of the row in its batch.

    The statements of a batch run in this order: `resolve` fills the other columns; those of
    `refuse` select (nth, field, code, message) of rows that are then deleted, until none finds any;
    `merge` writes what is left. Those that return `added`, `changed` or `superseded` count rows.
    """

    fields: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, str]]
    read: Callable[[int, Values], Staged]
    resolve: tuple[str, ...]
    refuse: tuple[str, ...]
    merge: tuple[str, ...]
    has_lists: bool = False


def staged(entity: Entity, number: int, given: Mapping[str, Any]) -> tuple[Staged, list[Problem]]:
    """The rows to copy for one record, and its problems; no rows if it has problems."""
    problems: list[Problem] = []
    values = Values(_typed(entity.fields, given, (), problems), (), problems)
    return ({} if problems else entity.read(number, values)), problems


def text(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, Number):
        raise ValueError(f"{_shown(value)} is no text.")  # noqa: TRY004  said to whoever has the file
    if "\0" in value:
        raise ValueError("A text must not hold the character NUL.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("A text must not hold half of a surrogate pair.") from None
    return value


def whole_number(value: Any) -> int:
    """As `Int` of the API: `5.0` is one; `1e3` and `1_000` are none."""
    digits = value if isinstance(value, str) else ""
    if len(digits) > _MOST_DIGITS or not _WHOLE_NUMBER.fullmatch(digits):
        raise ValueError(f"{_shown(value)} is no whole number.")
    return int(digits.partition(".")[0])


def one_of(names: type[StrEnum]) -> Read:
    def read(value: Any) -> StrEnum:
        if value not in set(names):
            raise ValueError(f"{_shown(value)} is none of {', '.join(names)}.")
        return names(value)

    return read


def _typed(
    fields: Mapping[str, Any], given: Mapping[str, Any], path: tuple[str, ...], found: list[Problem]
) -> dict[str, Any]:
    """The values by Python name, converted to the types that the rules expect."""
    typed: dict[str, Any] = {}
    for name, value in given.items():
        at = (*path, name)
        if name not in fields:
            found.append(Problem(at, FileProblemCode.UNKNOWN, "There is no such field."))
            continue
        try:
            typed[_snake_case(name)] = _read(fields[name], value, at, found)
        except ValueError as error:
            found.append(Problem(at, FileProblemCode.INVALID, str(error)))
    return typed


def _read(field: Any, value: Any, path: tuple[str, ...], found: list[Problem]) -> Any:
    if value is None:
        return None
    if callable(field):
        return field(value)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("It is a list of objects.")
    return [_typed(field, each, (*path, str(nth)), found) for nth, each in enumerate(value)]


def _shown(value: Any) -> str:
    return f"'{str(value)[:64]}'"


@cache
def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
