"""From a plan to an answer's frame: what one SQL statement says, and what is left to resolvers.

A root field compiles when all that is asked below it has a meaning in SQL. One that does not is
left to the standard executor; the others compile all the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.database import edges
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
    Plain,
    Resolved,
    Selection,
    Terms,
    Typename,
    Variants,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graph.execution.plan import Plan
    from graph.selection import Payload

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Framed:
    """JSON with gaps: `frames` is what stands before, between and after the fields.

    `gaps` says what fills each: a number is the statement's column, a name is a field that is said
    otherwise.
    """

    query: TextQuery | None
    frames: tuple[bytes, ...]
    gaps: tuple[int | str, ...]

    @property
    def left(self) -> frozenset[str]:
        return frozenset(gap for gap in self.gaps if isinstance(gap, str))

    def body(self, columns: Sequence[bytes], left: Mapping[str, bytes]) -> bytes:
        """All of it, given the statement's columns and the text of what was left."""
        pieces = [self.frames[0]]
        for gap, frame in zip(self.gaps, self.frames[1:], strict=True):
            pieces += (left[gap] if isinstance(gap, str) else columns[gap], frame)
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Compiled(Framed):
    """An answer: its root fields are the statement's, or left to the executor."""

    price: Price
    cache_control: bytes


class _Frame:
    """Writes an object around what fills it: columns of a statement, and what is said otherwise."""

    def __init__(self) -> None:
        self.columns: list[Any] = []
        self._texts = ["{"]
        self._gaps: list[int | str] = []

    def add(self, field: Any, column: Any | None) -> None:
        """A member; `column` is what the statement is asked for, if it is to say the member."""
        first = self._texts == ["{"]
        self._texts[-1] += f'{"" if first else ","}"{field.key}":'
        if isinstance(field, Typename):
            self._texts[-1] += f'"{field.text}"'
            return
        self._gaps.append(field.key if column is None else len(self.columns))
        self.columns += [] if column is None else [column]
        self._texts.append("")

    def framed(self, before: str = "", after: str = "") -> Framed:
        texts = [before + self._texts[0], *self._texts[1:]]
        texts[-1] += "}" + after
        query = TextQuery(tuple(self.columns)) if self.columns else None
        return Framed(query, tuple(text.encode() for text in texts), tuple(self._gaps))


def compile_plan(plan: Plan) -> Compiled:
    """Compile what can be; the query is None where nothing needs one."""
    frame = _Frame()
    for root in plan.root:
        obstacle = next(_obstacles(root), None)
        if obstacle is not None:
            logger.debug("'%s' is left to resolvers: %s has no meaning in SQL", root.key, obstacle)
        frame.add(root, root if obstacle is None else None)
    framed = frame.framed('{"data":', "}")
    price = Price(plan.charges)
    return Compiled(framed.query, framed.frames, framed.gaps, price, plan.cache_control)


def compile_payload(payload: Payload, place: int) -> Framed | None:
    """Compile what is asked of a mutation's success; None where resolvers have to answer.

    Its rows are looked up by keys at `place` and the places after it, in the order of the columns.
    """
    frame = _Frame()
    for field in payload.fields:
        if any(_obstacles(field)) or _names_rows_below(field):
            return None
        row = None
        if isinstance(field, One):
            edge = edges.lookup(field.to.noun, "id")
            row = One(field.key, edge, field.to, place + len(frame.columns))
        frame.add(field, row)
    return frame.framed()


def _names_rows_below(field: Any) -> bool:
    """Whether rows are asked for in a list of plain objects: there are many, and loaders batch."""
    below = field.fields if isinstance(field, Plain) else ()
    return any(isinstance(each, One) or _names_rows_below(each) for each in below)


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
        case EdgeList() | PageInfo() | Plain() | CountUpTo() | Aggregates() | Groups() | Terms():
            yield from _obstacles_among(asked.fields)


def _obstacles_among(fields: Sequence[Any]) -> Iterator[str]:
    for field in fields:
        yield from _obstacles(field)
