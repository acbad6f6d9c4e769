"""Texts that clients keep without looking inside: global ids and cursors.

Both are base64: a global id of `Customer:17` (Relay's Global Object Identification), a cursor of
`["Customer:id",17]`, its sort and the key values of its row. Neither grants anything, so neither is
signed; what does not decode to something this code would have made is refused. Cursors are written
by the statement that reads their rows (`graph.database.reads`).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from binascii import a2b_base64, b2a_base64
from typing import Any, TypeAlias, cast
from uuid import UUID

import orjson

from graph.errors import InvalidCursor, InvalidId

INT4_MAX = 2**31 - 1
INT8_MAX = 2**63 - 1

# The key of a row: a positive number that fits into an int8, or a UUID.
RowKey: TypeAlias = int | UUID

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GLOBAL_ID = re.compile(rf"([A-Z][A-Za-z0-9]*):(?:([1-9][0-9]{{0,18}})|({_UUID}))", re.ASCII)


def to_global_id(entity: str, key: RowKey) -> str:
    return b64encode(f"{entity}:{key}".encode()).decode()


def from_global_id(text: str) -> tuple[str, RowKey]:
    """The (entity, key) of a global id; the entity may be one that does not exist.

    The key may be of another kind than the keys of the entity (`graph.database.kinds.fits`).

    Raises:
        InvalidId: not made by `to_global_id`.
    """
    match = _GLOBAL_ID.fullmatch(_plain(text))
    if match is None:
        raise InvalidId(text)
    entity, number, uuid = match.groups()
    if number is None:
        return entity, UUID(uuid)
    key = int(number)
    if key > INT8_MAX:
        raise InvalidId(text)
    return entity, key


def decode_cursor(argument: str, text: str, sort: str) -> list[Any]:
    """The key values that a cursor of this sort holds, as JSON has them.

    `argument` is what to call it.

    Raises:
        InvalidCursor: mangled, or of another sort.
    """
    try:
        found, *values = cast("list[Any]", orjson.loads(_plain(text)))
    except (ValueError, TypeError):
        raise InvalidCursor(argument, "is not a cursor of this API.") from None
    if found != sort:
        raise InvalidCursor(argument, "is a cursor of another list, or of another order.")
    return values


def encode_cursor(sort: str, *values: Any) -> str:
    """The cursor of a row with these key values, as statements write it."""
    return b64encode(json.dumps([sort, *values], separators=(",", ":")).encode()).decode()


def _plain(text: str) -> str:
    """What the text encodes; empty unless it is the one text that encodes it."""
    try:
        decoded = a2b_base64(text, strict_mode=True)
        return decoded.decode() if b2a_base64(decoded, newline=False) == text.encode() else ""
    except ValueError:
        return ""
