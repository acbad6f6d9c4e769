"""Texts that clients keep without looking inside: global ids and cursors.

Both are base64: a global id of `Customer:17` (Relay's Global Object Identification), a cursor of
`["Customer:id",17]`, its sort and the key values of its row. Neither grants anything, so neither is
signed; what does not decode to something this code would have made is refused.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode

from graph.errors import InvalidCursor, InvalidId

INT4_MAX = 2**31 - 1

_GLOBAL_ID = re.compile(r"([A-Z][A-Za-z]*):([1-9][0-9]{0,9})", re.ASCII)


def encode_id(noun: str, key: int) -> str:
    return b64encode(f"{noun}:{key}".encode()).decode()


def decode_id(text: str) -> tuple[str, int]:
    """The (noun, key) of a global id; the noun may be one that does not exist.

    Raises:
        InvalidId: not made by `encode_id`.
    """
    match = _GLOBAL_ID.fullmatch(_plain(text))
    if match is None or int(match[2]) > INT4_MAX:
        raise InvalidId(text)
    return match[1], int(match[2])


def sort_of(noun: str) -> str:
    """The name of the order in which a noun's rows come: by their key."""
    return f"{noun}:id"


def encode_cursor(noun: str, key: int) -> str:
    return b64encode(f'["{sort_of(noun)}",{key}]'.encode()).decode()


def decode_cursor(argument: str, text: str, noun: str) -> int:
    """The key value that a cursor of a noun's rows stands for; `argument` is what to call it.

    Raises:
        InvalidCursor: mangled, of another sort, or with a value that no row can have.
    """
    try:
        sort, key = json.loads(_plain(text))
    except (ValueError, TypeError, RecursionError):
        raise InvalidCursor(argument, "is not a cursor of this API.") from None
    if sort != sort_of(noun):
        raise InvalidCursor(argument, f"is not a cursor of this list: it needs '{sort_of(noun)}'.")
    if type(key) is not int or not -INT4_MAX <= key <= INT4_MAX:
        raise InvalidCursor(argument, "is not a cursor of this API.")
    return key


def _plain(text: str) -> str:
    """What the text encodes; empty unless it is the one text that encodes it."""
    try:
        decoded = b64decode(text, validate=True)
        return decoded.decode() if b64encode(decoded).decode() == text else ""
    except ValueError:
        return ""
