"""From a plan to an answer's frame: what one SQL statement says, and what is left to resolvers.

A root field compiles when all that is asked below it has a meaning in SQL. One that does not is
left to the standard executor; the others compile all the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.database.reads import TextQuery
from graph.execution.cost import Price
from graph.selection import (
    Aggregates,
    CountUpTo,
    EdgeList,
    EdgeNode,
    Groups,
    Many,
    NodeList,
    Nodes,
    One,
    PageInfo,
    Resolved,
    Selection,
    Terms,
    Typename,
    Variants,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graph.execution.select import Plan

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compiled:
    """An answer with gaps: `frames` is what stands before, between and after the root fields.

    `gaps` says what fills each: a number is the statement's column, a name is a root field that is
    left to the executor.
    """

    query: TextQuery | None
    frames: tuple[bytes, ...]
    gaps: tuple[int | str, ...]
    price: Price
    cache_control: bytes

    @property
    def left(self) -> frozenset[str]:
        return frozenset(gap for gap in self.gaps if isinstance(gap, str))

    def body(self, columns: Sequence[bytes], left: Mapping[str, bytes]) -> bytes:
        """The whole answer, given the statement's columns and the text of what was left."""
        pieces = [self.frames[0]]
        for gap, frame in zip(self.gaps, self.frames[1:], strict=True):
            pieces += (left[gap] if isinstance(gap, str) else columns[gap], frame)
        return b"".join(pieces)


def compile_plan(plan: Plan) -> Compiled:
    """Compile what can be; the query is None where nothing needs one."""
    frames, gaps = ['{"data":{'], list[int | str]()
    roots: list[Any] = []
    for nth, root in enumerate(plan.root):
        frames[-1] += f'{"," if nth else ""}"{root.key}":'
        if isinstance(root, Typename):
            frames[-1] += f'"{root.text}"'
            continue
        if (obstacle := next(_obstacles(root), None)) is None:
            gaps.append(len(roots))
            roots.append(root)
        else:
            logger.debug("'%s' is left to resolvers: %s has no meaning in SQL", root.key, obstacle)
            gaps.append(root.key)
        frames.append("")
    frames[-1] += "}}"
    query = TextQuery(tuple(roots)) if roots else None
    price = Price(plan.charges)
    texts = tuple(frame.encode() for frame in frames)
    return Compiled(query, texts, tuple(gaps), price, plan.cache_control)


def _obstacles(asked: Any) -> Iterator[str]:
    """The fields below this one that a Python resolver answers."""
    match asked:
        case Resolved():
            yield asked.name
        case One() | NodeList() | EdgeNode():
            yield from _obstacles(asked.to)
        case Selection():
            yield from _obstacles_among(asked.fields)
        case Variants(selections=selections) | Nodes(to=selections):
            for selection in selections:
                yield from _obstacles(selection)
        case Many():
            yield from _obstacles_among(asked.parts)
        case EdgeList() | PageInfo() | CountUpTo() | Aggregates() | Groups() | Terms():
            yield from _obstacles_among(asked.fields)


def _obstacles_among(fields: Sequence[Any]) -> Iterator[str]:
    for field in fields:
        yield from _obstacles(field)
