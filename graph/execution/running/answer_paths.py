"""Paths in the text of an answer, found without parsing its values.

An answer may be large, and its numbers are exact as texts only. So it stays text, even where an
error makes a part of it null.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from graph.database.reads import MARK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from graph.execution.planning.resolvers import AnswerPath

# A string and whether it is a key, a bracket, a comma, or a placeholder; all else is skipped.
_TOKEN = re.compile(
    rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(:?)|[][{},]|%b[^%b]*+%b' % ((MARK.encode(),) * 3)
)


def paths_of_marks(body: bytes) -> Iterator[AnswerPath]:
    """The path of each placeholder below `data`, in order."""
    for path, token in _walked(body):
        if token[0].startswith(MARK.encode()):
            yield tuple(path[1:])


def with_nulls(body: bytes, nulled: Collection[AnswerPath]) -> bytes:
    """The text with null in place of the objects and lists at these paths below `data`."""
    pieces, end, depth = [], 0, None
    for path, token in _walked(body):
        begins = token[0] in {b"{", b"["}
        if depth is None and begins and path and tuple(path[1:]) in nulled:
            depth = len(path)
            pieces += [body[end : token.start()], b"null"]
        elif not begins and depth == len(path):
            end, depth = token.end(), None
    return b"".join([*pieces, body[end:]])


def _walked(body: bytes) -> Iterator[tuple[list[str | int], re.Match[bytes]]]:
    """Each bracket and each placeholder, with the path of the value that it begins, ends, or is."""
    path: list[str | int] = []
    for token in _TOKEN.finditer(body):
        match token[0][:1]:
            case b'"':
                if token[2]:
                    path[-1] = token[1].decode()
            case b",":
                above = path[-1]
                if isinstance(above, int):
                    path[-1] = above + 1
            case b"}" | b"]":
                path.pop()
                yield path, token
            case first:
                yield path, token
                if first in {b"{", b"["}:
                    path.append("" if first == b"{" else 0)
