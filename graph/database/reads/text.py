"""The JSON text of a whole tree: one statement for one operation, one column for each root field.

PostgreSQL pages, joins and encodes; what comes back is the answer. The SQL of pages, look-ups and
counts is the same as the loaders' (`parts`); around it this module writes text:

    an object      '{"a":'||...||',"b":'||...||'}'
    a to-one edge  a scalar sub-select: it cannot become a join that loses the order of the rows
    a page         string_agg(<text of the row>, ',' ORDER BY ...) over the page

A level's rows are an alias, r0, r1, ..., with the plain columns that the level needs: text is made
above the page, so nothing is encoded for rows that a LIMIT cuts off. An inner level names its
parent's key as `r0.id`, in words, so there is nothing for SQLAlchemy to correlate (it would add the
parent to the FROM of a page that sits in a FROM: wrong rows).

Where a page is used more than once (nodes and edges, or pageInfo beside either), the texts of its
rows are computed in a sub-select behind OFFSET 0: without it PostgreSQL would pull the sub-select
up and compute them once for each use. A CASE leaves out the extra row that tells whether the list
goes on, and so its children too.

A NULL in `||` would make the whole answer NULL, so whatever can be NULL is coalesced.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, ColumnElement, Integer, Numeric, String, bindparam, select
from sqlalchemy import literal_column as in_words

from graph.database.reads import parts
from graph.database.reads.pieces import (
    DIALECT,
    Expression,
    Json,
    Pieces,
    Sql,
    base64_of,
    concatenated,
    named,
)
from graph.opaque import sort_of
from graph.selection import (
    Column,
    EdgeCursor,
    EdgeList,
    EdgeNode,
    GlobalId,
    Many,
    NodeList,
    Nodes,
    One,
    PageInfo,
    Selection,
    TotalCount,
    Typename,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import BindParameter, Select

    from graph.selection import Follows, Value


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
    writer = _Writer(json_function)
    columns = [
        Expression(("textsend(", *concatenated(writer.root(root)), ")")).label(f"root{nth}")
        for nth, root in enumerate(roots)
    ]
    compiled: Any = select(*columns).compile(dialect=DIALECT)
    return TextStatement(str(compiled), tuple(_binder(name) for name in compiled.positiontup or ()))


class _Writer:
    def __init__(self, json_function: str) -> None:
        self._json_function = json_function
        self._aliases = (f"r{number}" for number in count())

    def root(self, root: Follows) -> Pieces:
        match root:
            case One():
                return self._lookup(root)
            case Many():
                return self._connection(root, parent="")
            case Nodes():
                return self._nodes(root)

    def _object(self, members: Iterable[tuple[str, Pieces]]) -> Pieces:
        pieces: Pieces = [Json("{")]
        for nth, (key, value) in enumerate(members):
            pieces += [Json(f'{"," if nth else ""}"{key}":'), *value]
        return [*pieces, Json("}")]

    def _row(self, selection: Selection, alias: str) -> Pieces:
        """The text of one row, whose columns are the alias's."""
        noun = selection.noun
        return self._object(
            (field.key, self._field(noun, field, alias)) for field in selection.fields
        )

    def _field(self, noun: str, field: Any, alias: str) -> Pieces:
        match field:
            case Column():
                return self._scalar(parts.column_of(noun, field.name), named(alias, field.name))
            case GlobalId():
                return base64_of(f"'{noun}:'||{named(alias, 'id')}")
            case Typename():
                return [Json(f'"{field.text}"')]
            case One():
                return self._edge(field, alias)
            case Many():
                return self._connection(field, parent=alias)
        raise NotImplementedError(field)

    def _scalar(self, column: ColumnElement[Any], value: str) -> Pieces:
        """The JSON of a column's value; the standard path must say the same (`schema.scalars`)."""
        match column.type:
            case Integer():
                pieces: Pieces = [(value,)]
            case Numeric():
                pieces = [Json('"'), (value,), Json('"')]
            case _:
                pieces = [(f"{self._json_function}({value})",)]
        if getattr(column, "nullable", False):
            return [("coalesce((", *concatenated(pieces), ")::text,'null')")]
        return pieces

    def _edge(self, one: One, parent: str) -> Pieces:
        key = in_words(named(parent, one.edge.source_column or "id"), Integer)
        return [self._one(one, parts.belongs(one.edge, key))]

    def _lookup(self, one: One) -> Pieces:
        column = parts.column_of(one.edge.target, one.edge.target_column)
        value = bindparam(f"{one.place}.value", type_=column.type)
        return [("coalesce(", *self._one(one, parts.matches(one.edge, value)), ",'null')")]

    def _one(self, one: One, found: ColumnElement[bool]) -> Sql:
        alias = next(self._aliases)
        row = select(*parts.columns_of(one.edge.target, one.to.columns)).where(found)
        text = concatenated(self._row(one.to, alias))
        return ("(SELECT ", *text, " FROM (", row, f") {alias})")

    def _nodes(self, nodes: Nodes) -> Pieces:
        """CASE runs only the branch of each id's noun; an id without a row is null in its place."""
        ids = next(self._aliases)
        branches: list[Any] = []
        for selection in nodes.to:
            alias = next(self._aliases)
            key = parts.column_of(selection.noun, "id") == in_words(f"{ids}.key", Integer)
            row = select(*parts.columns_of(selection.noun, selection.columns)).where(key)
            text = concatenated(self._row(selection, alias))
            branches += [f" WHEN '{selection.noun}' THEN (SELECT ", *text, " FROM (", row]
            branches.append(f") {alias})")
        answer = ("coalesce(CASE ", f"{ids}.noun", *branches, " END,'null')")
        nouns = bindparam(f"{nodes.place}.nouns", type_=ARRAY(String))
        keys = bindparam(f"{nodes.place}.keys", type_=ARRAY(Integer))
        source = (" FROM unnest(", nouns, ",", keys, f") WITH ORDINALITY {ids}(noun,key,nth)")
        if not nodes.many:
            return [("(SELECT ", *answer, *source, ")")]
        listed = ("(SELECT coalesce(string_agg(", *answer, f",',' ORDER BY {ids}.nth),'')")
        return [Json("["), (*listed, *source, ")"), Json("]")]

    def _connection(self, many: Many, parent: str) -> Pieces:
        column = many.edge.source_column
        # The root has no key, and needs none: `belongs` does not look at it.
        key = in_words(named(parent, column) if column else "0", Integer)
        if many.page_info or len(_lists(many)) > 1:
            return [self._paged(many, key)]
        return self._parts(many, key, listed=lambda part: self._list(many, key, part))

    def _list(self, many: Many, key: ColumnElement[Any], part: NodeList | EdgeList) -> Sql:
        """The only list of a connection, straight from its page."""
        alias = next(self._aliases)
        cursor = _cursor(many.edge.target, alias)
        text = self._element(part, cursor, lambda selection: self._row(selection, alias))
        listed = (*concatenated(text), f",',' ORDER BY {alias}.id),'')")
        page = self._page(many, key)
        return ("(SELECT coalesce(string_agg(", *listed, " FROM (", page, f") {alias})")

    def _parts(
        self,
        many: Many,
        key: ColumnElement[Any],
        *,
        listed: Callable[[Any], Sql],
        info: Callable[[str], Pieces] | None = None,
    ) -> Pieces:
        """The text of a connection, given the SQL of its lists and the text of its pageInfo."""
        members: list[tuple[str, Pieces]] = []
        for part in many.parts:
            match part:
                case NodeList() | EdgeList():
                    text: Pieces = [Json("["), listed(part), Json("]")]
                case PageInfo():
                    text = self._page_info(part, info)
                case TotalCount():
                    text = [("(", parts.count_of(many.edge, key=key), ")")]
                case Typename():
                    text = [Json(f'"{part.text}"')]
                case _:
                    raise NotImplementedError(part)
            members.append((part.key, text))
        return self._object(members)

    def _page_info(self, part: PageInfo, info: Callable[[str], Pieces] | None) -> Pieces:
        def member(field: Any) -> Pieces:
            if isinstance(field, Typename):
                return [Json(f'"{field.text}"')]
            assert info is not None  # noqa: S101  where flags are asked for, they are computed
            return info(field.name)

        return self._object((field.key, member(field)) for field in part.fields)

    def _element(
        self, part: NodeList | EdgeList, cursor: Pieces, row: Callable[[Selection], Pieces]
    ) -> Pieces:
        """The text of one element of a list."""
        if isinstance(part, NodeList):
            return row(part.to)
        members: list[tuple[str, Pieces]] = []
        for field in part.fields:
            match field:
                case EdgeNode():
                    members.append((field.key, row(field.to)))
                case EdgeCursor():
                    members.append((field.key, cursor))
                case Typename():
                    members.append((field.key, [Json(f'"{field.text}"')]))
                case _:
                    raise NotImplementedError(field)
        return self._object(members)

    def _paged(self, many: Many, key: ColumnElement[Any]) -> Sql:
        """A connection whose page is used more than once.

        From the inside: the page, numbered in its direction; the texts of its rows; their lists
        and what pageInfo needs; the text of it all.
        """
        texts, lists = next(self._aliases), next(self._aliases)
        asked: list[Any] = [*self._ends(many, texts)]
        listed: dict[Any, Sql] = {}
        for nth, part in enumerate(_lists(many)):
            asked += [",", *self._listed(many, part, texts), f" AS l{nth}"]
            listed[part] = (f"coalesce({lists}.l{nth},'')",)
        text = self._parts(
            many, key, listed=listed.__getitem__, info=lambda name: _info(many, key, name, lists)
        )
        rows = self._texts(many, key)
        return (
            *("(SELECT ", *concatenated(text)),
            *(" FROM (SELECT ", *asked),
            *(" FROM (", *rows, f") {texts}) {lists})"),
        )

    def _ends(self, many: Many, texts: str) -> Sql:
        """Whether the list goes on, and the cursors of the page's first and last row."""
        limit = _limit(many)
        return (
            *("count(*)>", limit, " AS more"),
            f",min({texts}.cu) FILTER (WHERE {texts}.rn=1) AS c1",
            *(f",min({texts}.cu) FILTER (WHERE {texts}.rn=", limit),
            f" OR {texts}.nx IS NULL) AS cn",
        )

    def _listed(self, many: Many, part: NodeList | EdgeList, texts: str) -> Sql:
        """One of the lists, of texts that are there already."""
        selections = _selections(many)
        element = self._element(
            part,
            [(f"{texts}.cu",)],
            lambda selection: [(f"{texts}.n{selections.index(selection)}",)],
        )
        order = f",',' ORDER BY {texts}.rn{' DESC' if many.shape.backwards else ''})"
        guard = (f" FILTER (WHERE {texts}.rn<=", _limit(many), ")")
        return ("string_agg(", *concatenated(element), order, *guard)

    def _texts(self, many: Many, key: ColumnElement[Any]) -> Sql:
        """The texts of the page's rows, each computed once, and none for the extra row."""
        rows = next(self._aliases)
        texts = [concatenated(self._row(selection, rows)) for selection in _selections(many)]
        columns: list[Any] = []
        for nth, text in enumerate(texts):
            columns += [*self._unless_extra(many, text, rows), f" AS n{nth}"]
        cursor = concatenated(_cursor(many.edge.target, rows))
        columns += [*self._unless_extra(many, cursor, rows), " AS cu"]
        numbered = self._numbered(many, key)
        return (f"SELECT {rows}.rn,{rows}.nx", *columns, " FROM (", *numbered, f") {rows} OFFSET 0")

    def _unless_extra(self, many: Many, text: Sql, rows: str) -> Sql:
        return (f",CASE WHEN {rows}.rn<=", _limit(many), " THEN ", *text, " END")

    def _numbered(self, many: Many, key: ColumnElement[Any]) -> Sql:
        """The page with each row's number in its direction, and whether there is a next one."""
        page = next(self._aliases)
        over = f"OVER (ORDER BY {page}.id{' DESC' if many.shape.backwards else ''})"
        numbers = f"row_number() {over} AS rn,lead(1) {over} AS nx"
        return (f"SELECT {page}.*,{numbers} FROM (", self._page(many, key), f") {page}")

    def _page(self, many: Many, key: ColumnElement[Any]) -> Select[Any]:
        names = frozenset[str]().union(*(rows.columns for rows in many.rows))
        more, prefix = many.wants_more, f"{many.place}."
        return parts.page_of(many.edge, many.shape, names, key=key, one_more=more, prefix=prefix)


def _lists(many: Many) -> list[NodeList | EdgeList]:
    return [part for part in many.parts if isinstance(part, NodeList | EdgeList)]


def _selections(many: Many) -> list[Selection]:
    """What is asked of the rows, each once."""
    return list(dict.fromkeys(many.rows))


def _limit(many: Many) -> BindParameter[int]:
    return bindparam(f"{many.place}.limit", type_=Integer)


def _info(many: Many, key: ColumnElement[Any], name: str, lists: str) -> Pieces:
    """The text of one field of pageInfo."""
    first, last = ("cn", "c1") if many.shape.backwards else ("c1", "cn")
    onwards = "has_previous_page" if many.shape.backwards else "has_next_page"
    if name in {"start_cursor", "end_cursor"}:
        return [(f"coalesce({lists}.{first if name == 'start_cursor' else last},'null')",)]
    if name == onwards:
        return [(f"{lists}.more",)]
    if not many.wants_other_side:
        return [Json("false")]
    beyond = parts.beyond_start(many.edge, many.shape, key=key, prefix=f"{many.place}.")
    return [("EXISTS (", beyond, ")")]


def _cursor(noun: str, alias: str) -> Pieces:
    return base64_of(f"""'["{sort_of(noun)}",'||{named(alias, "id")}||']'""")


def _binder(name: str) -> Callable[[Sequence[Any]], Any]:
    """What reads a parameter, such as `3.limit`, from the values of an operation's arguments."""
    place, what = int(name.split(".", maxsplit=1)[0]), name.split(".")[1]
    match what:
        case "limit":
            return lambda values: values[place].size
        case "after":
            return lambda values: values[place].after
        case "before":
            return lambda values: values[place].before
        case "nouns":
            return lambda values: [noun for noun, _ in values[place].keys]
        case "keys":
            return lambda values: [key for _, key in values[place].keys]
        case _:
            return lambda values: values[place].value
