r"""Placeholders: where the JSON text of a statement has the columns that a Python resolver needs.

The text of `initials`, whose arguments have the index 3, for a customer:

    {"town":"Swansea","initials":␁[3,17,"Toby","Miller"]␁}

JSON has no control character but in escapes, so no data contains the mark ␁ (U+0001). Python reads
the columns, calls the resolver, and puts its value there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from sqlalchemy import Enum

from graph.database.dialect import DIALECT
from graph.database.kinds import ScalarKind
from graph.database.reads.columns import attribute_of, scalar_of_column
from graph.database.reads.sql_fragments import Json, SqlText, json_of, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.selection import Resolved

# Turns the JSON of a column into the value that a loader's record has.
Decoder: TypeAlias = "Callable[[Any], Any]"

MARK = "\x01"

_DECODERS: dict[ScalarKind, Decoder] = {
    ScalarKind.BIGINT: int,
    ScalarKind.DECIMAL: Decimal,
    ScalarKind.FLOAT: float,
    ScalarKind.DATE: date.fromisoformat,
    ScalarKind.TIME: datetime.fromisoformat,
    ScalarKind.UUID: UUID,
}
# A record has the text of JSON.
_AS_TEXT = {ScalarKind.JSON, ScalarKind.FLOAT}


def placeholder(entity: str, field: Resolved, alias: str, function: str) -> SqlText:
    """The index of the field's arguments and the columns of its row; `function` as in `json_of`."""
    pieces: SqlText = [Json(f"{MARK}[{field.argument_index}")]
    for name in names_in_placeholder(field):
        scalar = replace(scalar_of_column(entity, name), references=None)
        value = named(alias, name)
        if scalar.kind is ScalarKind.FLOAT:
            value += "::text"  # as JSON, -0.0 is -0: an integer without a sign
        if scalar.kind in _AS_TEXT:
            scalar = replace(scalar, kind=ScalarKind.TEXT)
        json = json_of(scalar, value, nullable=scalar.is_nullable, function=function)
        pieces += [Json(","), *json]
    return [*pieces, Json(f"]{MARK}")]


def names_in_placeholder(field: Resolved) -> tuple[str, ...]:
    """The names of a field's columns, in the order of its placeholder."""
    return ("id", *sorted((field.columns or frozenset()) - {"id"}))


def decoders_of(entity: str, field: Resolved) -> tuple[tuple[str, Decoder], ...]:
    """How columns are read whose JSON is not their value."""
    found = ((name, _decoder(entity, name)) for name in names_in_placeholder(field))
    return tuple((name, decode) for name, decode in found if decode is not None)


@cache
def _decoder(entity: str, name: str) -> Decoder | None:
    type_ = attribute_of(entity, name).type
    if isinstance(type_, Enum):
        decoder: Decoder | None = type_.result_processor(DIALECT, None)  # type: ignore[no-untyped-call]
        return decoder
    return _DECODERS.get(scalar_of_column(entity, name).kind)
