"""The parts of a statement that SQLAlchemy writes, each once for its structure and world.

A page, a look-up or an aggregate is the same SQL wherever it stands, but for two things: the alias
of the row above it, and the index that the names of its parameters begin with. So it is written
with marks for these, as it will stand: inside another statement. What differs from text to text
(response keys, selected columns, aliases) are the words around the parts. To join both takes a
sixth of the time that SQLAlchemy takes to write the whole, or less.

The anonymous aliases of a part (`anon_1`) are numbered by themselves: no other part sees them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy import literal_column as raw_sql

from graph.database.dialect import DIALECT
from graph.database.reads.sql_fragments import Expression, named
from graph.database.worlds import dialect_in

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.elements import ClauseElement
    from sqlalchemy.types import TypeEngine

    from graph.database.reads.sql_fragments import Sql
    from graph.database.worlds import World

# Structures are few; one with a large filter has some 20 kB.
_MAX_WRITTEN = 512
_BEGIN, _END = "/*begin*/", "/*end*/"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part stands: below the row with this alias, with parameters of these prefixes."""

    above: str
    prefixes: tuple[str, ...]

    def column_above(self, name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
        return raw_sql(named(self.above, name), type_)

    def parameter(self, name: str, type_: Any, *, which: int = 0) -> ColumnElement[Any]:
        return bindparam(f"{self.prefixes[which]}{name}", type_=type_)


# Two arguments may have parameters in one part: a list's, and those of a count or of groups in it.
_MARKED = Place("above__", ("0.", "1."))
_MARK = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|above__\.|\$(\d+)""")
_ABOVE = None


@dataclass(frozen=True, slots=True)
class Part:
    """A clause at a place; `build` makes it from the place and hashable arguments."""

    build: Callable[..., ClauseElement]
    arguments: tuple[Hashable, ...]
    above: str = ""
    indexes: tuple[int, ...] = ()

    @property
    def clause(self) -> ClauseElement:
        """What SQLAlchemy writes if it stands in a statement as it is."""
        prefixes = tuple(f"{index}." for index in self.indexes)
        return self.build(Place(self.above, prefixes), *self.arguments)

    def renamed(self, parameter: str) -> str:
        """The name of a parameter, which was written with a mark; that of the viewer has none."""
        index, _, name = parameter.partition(".")
        return f"{self.indexes[int(index)]}.{name}" if index.isdigit() else parameter


class _Written(NamedTuple):
    """A part's words, with a mark between two of them: a parameter's name, or the alias above."""

    words: tuple[str, ...]
    marks: tuple[str | None, ...]
    parameters: tuple[str, ...]


@lru_cache(maxsize=_MAX_WRITTEN)
def _written(
    build: Callable[..., ClauseElement], arguments: tuple[Hashable, ...], world: World
) -> _Written:
    clause = Expression(_BEGIN, build(_MARKED, *arguments), _END)
    # Labelled, so that SQLAlchemy does not use up the first anonymous name for it.
    compiled: Any = select(clause.label("part")).compile(dialect=dialect_in(world, DIALECT))
    names = tuple(compiled.positiontup or ())
    text = str(compiled)
    text = text[text.index(_BEGIN) + len(_BEGIN) : text.rindex(_END)]
    words, marks, end = [], [], 0
    for found in _MARK.finditer(text):
        if found[0][0] in "'\"":
            continue
        words.append(text[end : found.start()])
        marks.append(names[int(found[1]) - 1] if found[1] else _ABOVE)
        end = found.end()
    return _Written((*words, text[end:]), tuple(marks), names)


def joined(sql: Sql, world: World) -> tuple[str, list[str]]:
    """The text of words and parts in a world, and the names of its parameters in order."""
    numbers: dict[str, int] = {}
    text = "".join(chain.from_iterable(_pieces(each, world, numbers) for each in sql))
    return text, list(numbers)


def _pieces(piece: str | Part, world: World, numbers: dict[str, int]) -> Iterable[str]:
    if isinstance(piece, str):
        return (piece,)
    words, marks, parameters = _written(piece.build, piece.arguments, world)
    known = {
        name: f"${numbers.setdefault(piece.renamed(name), len(numbers) + 1)}" for name in parameters
    }
    between = (f"{piece.above}." if mark is _ABOVE else known[mark] for mark in marks)
    return chain((words[0],), *zip(between, words[1:], strict=True))
