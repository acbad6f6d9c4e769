"""Whether servers give the same data.

Answers are compared value by value, in order. Two things may be written in different ways and mean
the same, so they are read first: fields called `id` (every server encodes entity and key in its own
way), and moments in time (with or without a fraction of zeros). Money is compared as it is written.
A server whose lists have another shape has a function that gives its answers the common one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from bench.errors import DataDiffers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.servers import Server

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SHOWN = 80


def meaning(body: str, server: Server) -> Any:
    """What a body says, without the ways of its server to say it."""
    return _read(server.shape(orjson.loads(body)), server.read_id)


def check_same(
    workload: str, expected_of: str, expected: Sequence[Any], found_of: str, found: Sequence[Any]
) -> None:
    """Return when two servers have given the same answers.

    Raises:
        DataDiffers: where they differ first.
    """
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        for path, this, that in _differences(one, other, "answer"):
            raise DataDiffers(
                f"{expected_of} and {found_of} do not give the same data. Request {number} of"
                f" {workload}, at {path}: {str(this)[:_SHOWN]!r} and {str(that)[:_SHOWN]!r}"
            )


def _read(value: Any, read_id: Callable[[str], str]) -> Any:
    match value:
        case dict():
            return {
                name: read_id(below) if name == "id" else _read(below, read_id)
                for name, below in value.items()
            }
        case list():
            return [_read(below, read_id) for below in value]
        case str() if _MOMENT.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    return value


def _differences(one: Any, other: Any, path: str) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one | other:
            yield from _differences(one.get(name), other.get(name), f"{path}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (this, that) in enumerate(zip(one, other, strict=True)):
            yield from _differences(this, that, f"{path}[{number}]")
    elif one != other:
        yield path, one, other
