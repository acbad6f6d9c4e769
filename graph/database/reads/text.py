"""The JSON text of a whole tree: one statement for one operation, one column for each root field.

PostgreSQL pages, joins and encodes; what comes back is the answer. The SQL of pages, look-ups and
counts is the same as the loaders' (`columns`, `terms`, `lists`); around it this module writes text:

    an object      '{"a":'||...||',"b":'||...||'}'
    a to-one edge  a scalar sub-select: it cannot become a join that loses the order of the rows
    a connection   see `connections`

A level's rows are an alias, r0, r1, ..., with the plain columns that the level needs: text is made
above the page, so nothing is encoded for rows that a LIMIT cuts off. An inner level names its
parent's key as `r0.id`, in words, so there is nothing for SQLAlchemy to correlate (it would add the
parent to the FROM of a page that sits in a FROM: wrong rows).

A NULL in `||` would make the whole answer NULL, so whatever can be NULL is coalesced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, ColumnElement, Integer, String, bindparam, select
from sqlalchemy import literal_column as in_words

from graph.database.reads import columns
from graph.database.reads.connections import ConnectionWriter
from graph.database.reads.pieces import (
    DIALECT,
    Expression,
    Json,
    Pieces,
    Sql,
    base64_of,
    concatenated,
    json_of,
    named,
    object_of,
)
from graph.database.reads.terms import can_be_null, kind_of
from graph.selection import (
    Attribute,
    Chosen,
    Column,
    GlobalId,
    Many,
    Nodes,
    One,
    Selection,
    Typename,
    Variants,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from graph.selection import Follows, Value


# The name of a parameter: a place, what is read there, and which of several.
_PARAMETER = re.compile(r"([0-9]+)\.([a-z]+)([0-9]*)")


@dataclass(slots=True)
class TextStatement:
    """`sql` returns one row, and in it the JSON text of each root field as bytes, in order."""

    sql: str
    _binders: tuple[Callable[[Sequence[Value]], Any], ...]
    runs: int = 0

    def parameters(self, values: Sequence[Value]) -> list[Any]:
        """The positional parameters for these values of the operation's arguments."""
        return [bind(values) for bind in self._binders]


class TextQuery:
    """Root fields that one statement answers. It is written when the server's version is known."""

    def __init__(self, roots: tuple[Follows, ...]) -> None:
        self._roots = roots
        self._statement: TextStatement | None = None

    def statement(self, json_function: str) -> TextStatement:
        if self._statement is None:
            self._statement = text_statement(self._roots, json_function)
        return self._statement


@lru_cache(maxsize=1024)
def text_statement(roots: tuple[Follows, ...], json_function: str) -> TextStatement:
    """The statement that answers these root fields.

    `json_function` makes JSON of a scalar: `json_scalar`, or `to_json` before PostgreSQL 17.
    """
    writer = RowWriter(json_function)
    columns = [
        Expression(("textsend(", *concatenated(writer.root(root)), ")")).label(f"root{nth}")
        for nth, root in enumerate(roots)
    ]
    compiled: Any = select(*columns).compile(dialect=DIALECT)
    return TextStatement(str(compiled), tuple(_binder(name) for name in compiled.positiontup or ()))


class RowWriter:
    """Writes rows, and whatever is asked below them. Each level has an alias of its own."""

    def __init__(self, json_function: str) -> None:
        self.json_function = json_function
        self.aliases = (f"r{number}" for number in count())

    def root(self, root: Follows) -> Pieces:
        match root:
            case One():
                return self._lookup(root)
            case Many():
                return ConnectionWriter(self, root, parent="").text()
            case Nodes():
                return self._nodes(root)
        raise NotImplementedError(root)

    def row(self, selection: Selection | Variants, alias: str) -> Pieces:
        """The text of one row, whose columns are the alias's."""
        if isinstance(selection, Variants):
            key = in_words(f"{alias}.id", Integer)
            return [self._by_noun(selection.selections, f"{alias}.noun", key)]
        noun = selection.noun
        return object_of((field.key, self._field(noun, field, alias)) for field in selection.fields)

    def _field(self, noun: str, field: Any, alias: str) -> Pieces:
        match field:
            case Column():
                term = Attribute(field.name)
                return json_of(
                    kind_of(noun, term),
                    named(alias, field.name),
                    nullable=can_be_null(noun, term),
                    function=self.json_function,
                )
            case GlobalId():
                return base64_of(f"'{noun}:'||{named(alias, 'id')}")
            case Chosen():
                return [_chosen(named(alias, field.name), field.texts)]
            case Typename():
                return [Json(f'"{field.text}"')]
            case One():
                return self._edge(field, alias)
            case Many():
                return ConnectionWriter(self, field, parent=alias).text()
        raise NotImplementedError(field)

    def _edge(self, one: One, parent: str) -> Pieces:
        key = in_words(named(parent, one.edge.source_column or "id"), Integer)
        return [self._one(one, columns.belongs(one.edge, key))]

    def _lookup(self, one: One) -> Pieces:
        column = columns.column_of(one.edge.target, one.edge.target_column)
        value = bindparam(f"{one.place}.value", type_=column.type)
        return [("coalesce(", *self._one(one, columns.matches(one.edge, value)), ",'null')")]

    def _one(self, one: One, found: ColumnElement[bool]) -> Sql:
        alias = next(self.aliases)
        row = select(*columns.columns_of(one.edge.target, one.to.columns)).where(found)
        text = concatenated(self.row(one.to, alias))
        return ("(SELECT ", *text, " FROM (", row, f") {alias})")

    def _by_noun(
        self, selections: tuple[Selection, ...], noun: str, key: ColumnElement[int]
    ) -> Sql:
        """The text of the row of this noun and key; only its noun's branch is run."""
        branches: list[Any] = []
        for selection in selections:
            alias = next(self.aliases)
            found = columns.column_of(selection.noun, "id") == key
            row = select(*columns.columns_of(selection.noun, selection.columns)).where(found)
            text = concatenated(self.row(selection, alias))
            branches += [f" WHEN '{selection.noun}' THEN (SELECT ", *text, " FROM (", row]
            branches.append(f") {alias})")
        return (f"CASE {noun}", *branches, " END")

    def _nodes(self, nodes: Nodes) -> Pieces:
        """An id without a row is null in its place."""
        ids = next(self.aliases)
        key = in_words(f"{ids}.key", Integer)
        answer = ("coalesce(", *self._by_noun(nodes.to, f"{ids}.noun", key), ",'null')")
        nouns = bindparam(f"{nodes.place}.nouns", type_=ARRAY(String))
        keys = bindparam(f"{nodes.place}.keys", type_=ARRAY(Integer))
        source = (" FROM unnest(", nouns, ",", keys, f") WITH ORDINALITY {ids}(noun,key,nth)")
        if not nodes.many:
            return [("(SELECT ", *answer, *source, ")")]
        listed = ("(SELECT coalesce(string_agg(", *answer, f",',' ORDER BY {ids}.nth),'')")
        return [Json("["), (*listed, *source, ")"), Json("]")]


def _chosen(value: str, texts: Iterable[tuple[str, str]]) -> Sql:
    """One of a few texts, by the value of a column."""
    quoted = ((given.replace("'", "''"), text.replace("'", "''")) for given, text in texts)
    return (f"CASE {value}", *(f" WHEN '{given}' THEN '{text}'" for given, text in quoted), " END")


def _binder(name: str) -> Callable[[Sequence[Any]], Any]:
    """What reads a parameter, such as `3.limit`, from the values of an operation's arguments."""
    place, what, number = _PARAMETER.fullmatch(name).groups()  # type: ignore[union-attr]
    return _reader(int(place), what, int(number or 0))


def _reader(  # noqa: PLR0911  one for each
    place: int, what: str, number: int
) -> Callable[[Sequence[Any]], Any]:
    match what:
        case "o":
            return lambda values: values[place].operands[number]
        case "limit":
            return lambda values: values[place].size
        case "offset":
            return lambda values: values[place].offset
        case "after":
            return lambda values: values[place].after[number]
        case "before":
            return lambda values: values[place].before[number]
        case "nouns":
            return lambda values: [noun for noun, _ in values[place].keys]
        case "keys":
            return lambda values: [key for _, key in values[place].keys]
        case _:
            return lambda values: values[place].value
