"""Takes JSON apart without reading its values, so that numbers keep their digits."""

from __future__ import annotations

import re

# A string, or a bracket; everything else is skipped.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]|,')
_OPEN, _CLOSED = b"[{", b"]}"


def elements_of(array: bytes) -> list[bytes]:
    """The texts of an array's elements."""
    elements = []
    depth, begin = 0, 1
    for token in _TOKEN.finditer(array):
        first = token[0][:1]
        if first in _OPEN:
            depth += 1
        elif first in _CLOSED:
            depth -= 1
        ends = depth == 0 or (depth == 1 and first == b",")
        if ends and token.start() > begin:
            elements.append(array[begin : token.start()])
        if ends:
            begin = token.end()
    return elements
