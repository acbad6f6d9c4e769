"""Custom scalars: exact output, strict input."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, NewType
from uuid import UUID

import orjson
import strawberry

from graph.relay import INT8_MAX

if TYPE_CHECKING:
    from strawberry.types.scalar import ScalarDefinition


# JSON that is text already: it becomes part of an answer as it is.
Json = NewType("Json", str)

# A whole number that a JSON number cannot hold exactly: in JSON it is a string.
BigInt = NewType("BigInt", int)

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

# As XML Schema has it: no exponent, no white space, none of Python's underscores.
_MAX_DIGITS = 100
_MAX_QUOTED = 64
_MICROSECOND_DIGITS = 6
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", re.ASCII)


def serialize_datetime(value: datetime) -> str:
    """RFC 3339 in UTC, as PostgreSQL writes it in JSON: a fraction without trailing zeros."""
    text = value.astimezone(UTC).isoformat()
    if value.microsecond:
        seconds, offset = text[: -len("+00:00")], text[-len("+00:00") :]
        return seconds.rstrip("0") + offset
    return text


def parse_datetime(value: object) -> datetime:
    """A time in UTC from RFC 3339, section 5.6.

    `T` and `Z` may be in lower case, as it allows. The leap second `23:59:60` in UTC becomes the
    first second of the next month, as in PostgreSQL. More than six decimal places are refused,
    since PostgreSQL would round them.
    """
    if not isinstance(value, str):
        raise ValueError("DateTime must be a string, such as '2026-01-31T12:00:00Z'.")  # noqa: TRY004
    found = _RFC_3339.fullmatch(value)
    if found is None:
        raise _no_datetime(value, "RFC 3339 is needed, such as '2026-01-31T12:00:00Z'.")
    day, clock, second, fraction, offset = found.groups(default="")
    if fraction[_MICROSECOND_DIGITS:].strip("0"):
        raise _no_datetime(value, "it has at most six digits after the point.")
    leap = second == "60"
    second = "59" if leap else second
    fraction = f".{fraction[:_MICROSECOND_DIGITS]:0<6}" if fraction else ""
    try:
        text = f"{day}T{clock}:{second}{fraction}{offset.upper()}"
        moment = datetime.fromisoformat(text).astimezone(UTC)
        return _after_leap_second(moment) if leap else moment
    except OverflowError:
        raise _no_datetime(value, "out of range.") from None
    except ValueError:
        raise _no_datetime(value, "there is no such moment.") from None


def _after_leap_second(moment: datetime) -> datetime:
    """The time one second later; leap seconds only end the last day of a month."""
    after = moment + timedelta(seconds=1)
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise ValueError(moment)
    return after


def _no_datetime(value: str, why: str) -> ValueError:
    return ValueError(f"DateTime cannot represent '{value[:_MAX_QUOTED]}': {why}")


def serialize_decimal(value: Decimal) -> str:
    """All digits with their scale, without an exponent."""
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


def parse_big_int(value: object) -> int:
    """A whole number, or the digits of one, between -2**63 and 2**63 - 1."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    # A JSON parser turns a whole number that is too large for it into a float.
    if isinstance(value, float) and abs(value) > INT8_MAX and isfinite(value):
        raise ValueError("BigInt cannot represent a number of more than 64 bits.")
    if type(value) is not int:
        raise ValueError("BigInt must be a whole number, or a string of digits such as '17'.")
    if not -INT8_MAX - 1 <= value <= INT8_MAX:
        raise ValueError("BigInt cannot represent a number of more than 64 bits.")
    return value


def parse_float(value: float) -> float:
    """A finite number, as JSON has it."""
    if not isfinite(value):
        raise ValueError("a number is not finite")
    return float(value)


def parse_date(value: object) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("Date must be a string, such as '2026-01-31'.")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"Date cannot represent '{value}': there is no such day.") from None


def parse_uuid(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("UUID must be a string of 32 hexadecimal digits with hyphens.")
    return UUID(value)


def serialize_json(value: str) -> orjson.Fragment:
    return orjson.Fragment(value)


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "A time in UTC, such as `2026-01-31T12:00:00+00:00` (RFC 3339). As an input it may "
            "have any offset and up to six decimal places of seconds; the leap second "
            "`23:59:60Z` becomes the first second of the next month."
        ),
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=serialize_datetime,
        parse_value=parse_datetime,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description='An exact decimal number as a string, such as `"12.50"`. Used for money.',
        specified_by_url="https://www.w3.org/TR/xmlschema11-2/#decimal",
        serialize=serialize_decimal,
        parse_value=parse_decimal,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description=(
            'A whole number of 64 bits as a string, such as `"17"`: a JSON number of this size is '
            "not exact everywhere. As an input it may be a number too."
        ),
        specified_by_url="https://www.w3.org/TR/xmlschema11-2/#long",
        serialize=str,
        parse_value=parse_big_int,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day of the calendar, such as `2026-01-31` (RFC 3339).",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=date.isoformat,
        parse_value=parse_date,
    ),
    UUID: strawberry.scalar(
        name="UUID",
        description="A universally unique identifier, in lower case with hyphens.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc9562",
        serialize=str,
        parse_value=parse_uuid,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=serialize_json,
    ),
}


class ClientType(NamedTuple):
    """A scalar in the languages of clients."""

    # In TypeScript: the values that a variable may have, and those in an answer.
    sent: str
    received: str
    # In Python, with its module. Pydantic reads and writes all of them as JSON has them.
    python: str
    # The JSON Schema of the values that a variable may have, and of those in an answer.
    json_schema: dict[str, Any]
    answer_schema: dict[str, Any]


_TEXT = {"type": "string"}
_EXACT = {"type": ["string", "integer"]}
_DAY = {"type": "string", "format": "date"}
_TIME = {"type": "string", "format": "date-time"}
_UUID_TEXT = {"type": "string", "format": "uuid"}
_CLIENT_TYPES = {
    "BigInt": ClientType("string | number", "string", "int", _EXACT, _TEXT),
    "Date": ClientType("string", "string", "datetime.date", _DAY, _DAY),
    "DateTime": ClientType("string", "string", "datetime.datetime", _TIME, _TIME),
    "Decimal": ClientType("string", "string", "decimal.Decimal", _EXACT, _TEXT),
    "UUID": ClientType("string", "string", "uuid.UUID", _UUID_TEXT, _UUID_TEXT),
}
_ANY_VALUE = ClientType("unknown", "unknown", "typing.Any", {}, {})


def client_type(scalar: str) -> ClientType:
    """The types of a scalar in clients; any value for JSON, and for a scalar of a store's own."""
    return _CLIENT_TYPES.get(scalar, _ANY_VALUE)
