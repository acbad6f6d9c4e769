"""Scalars beyond GraphQL's own. None of them is a float."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NewType

import orjson
import strawberry

if TYPE_CHECKING:
    from strawberry.types.scalar import ScalarDefinition


# JSON that is text already: it becomes part of an answer as it is.
Json = NewType("Json", str)

# As XML Schema has it: no exponent, no white space, none of Python's underscores.
_MAX_DIGITS = 100
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", re.ASCII)


def serialize_datetime(value: datetime) -> str:
    """RFC 3339 in UTC, as PostgreSQL writes it in JSON: a fraction without trailing zeros."""
    text = value.astimezone(UTC).isoformat()
    if value.microsecond:
        seconds, offset = text[: -len("+00:00")], text[-len("+00:00") :]
        return seconds.rstrip("0") + offset
    return text


def parse_datetime(value: object) -> datetime:
    """A moment in UTC: PostgreSQL does not take every offset that Python and RFC 3339 do."""
    if not isinstance(value, str):
        raise ValueError("DateTime must be a string, such as '2026-01-31T12:00:00Z'.")  # noqa: TRY004
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"DateTime cannot represent '{value}': RFC 3339 is needed.") from None
    if parsed.tzinfo is None:
        raise ValueError(f"DateTime cannot represent '{value}': a time zone is needed.")
    try:
        return parsed.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"DateTime cannot represent '{value}': out of range.") from None


def serialize_decimal(value: Decimal) -> str:
    """Plain digits with the scale kept; never an exponent."""
    return format(value, "f")


def parse_decimal(value: object) -> Decimal:
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("Decimal must be a string, such as '12.50': a float is not exact.")  # noqa: TRY004
    if len(value) > _MAX_DIGITS or not _DECIMAL.fullmatch(value):
        raise ValueError(
            f"Decimal cannot represent '{value[:_MAX_DIGITS]}': digits are needed, as in '12.50'."
        )
    return Decimal(value)


def serialize_json(value: str) -> orjson.Fragment:
    return orjson.Fragment(value)


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC, such as `2026-01-31T12:00:00+00:00` (RFC 3339).",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=serialize_datetime,
        parse_value=parse_datetime,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description='An exact decimal number as a string, such as `"12.50"`. All money is one.',
        specified_by_url="https://www.w3.org/TR/xmlschema11-2/#decimal",
        serialize=serialize_decimal,
        parse_value=parse_decimal,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=serialize_json,
    ),
}
