"""PostgreSQL's plans as text, without the values that a client has sent."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_LINES = 200
_MOST_CHARS = 500
_TOTAL_COST = re.compile(r"cost=[0-9.]+?\.\.([0-9.]+)")
_ESTIMATES = "(cost="
# One without an end is cut off.
_TEXTS = re.compile(r"E?'(?:[^']|'')*+(?:'|\Z)")
_NUMBERS = re.compile(r"(?<![\w.$\"])-?\d+(?:\.\d+)?(?![\w.\"])")


def total_cost(first_line: str) -> float:
    """The planner's estimate in the first line of a plan, in its own units."""
    cost = _TOTAL_COST.search(first_line)
    return float(cost[1]) if cost else 0.0


def without_values(lines: Iterable[str]) -> list[str]:
    """The lines with `?` for each text and number in a condition; estimates stay.

    A plan for parameters has their values in it. A value with line breaks goes on in lines of its
    own, so texts are looked for in all lines together.
    """
    kept = []
    plan = "\n".join(islice(lines, _MOST_LINES))
    for line in _TEXTS.sub("?", plan).split("\n"):
        text = line
        if _ESTIMATES not in text:
            text = _NUMBERS.sub("?", text)
        kept.append(text[:_MOST_CHARS])
    return kept
