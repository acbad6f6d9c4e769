r"""The JSON text of connections: the page of a list, its pageInfo, counts, aggregates and groups.

A page is `string_agg(<text of the row>, ',' ORDER BY ...)` over its rows. The innermost sub-select
is that of `lists`.

Sample:

    { orders(first: 2) { nodes { status } } }

    SELECT textsend('{"nodes":['||(
        SELECT coalesce(string_agg(
            '{"status":'||json_scalar(r0.status)||'}', ',' ORDER BY r0.k0, r0.id), '')
        FROM (SELECT anon_1.id, anon_1.status, anon_1.k0
              FROM (SELECT orders.id AS id, orders.status AS status, orders.date_placed AS k0
                    FROM orders WHERE true
                    ORDER BY orders.date_placed ASC, orders.id ASC LIMIT 101) AS anon_1
              ORDER BY anon_1.k0 ASC, anon_1.id ASC LIMIT $1::INTEGER) r0
    )||']}') AS root0

If a page is used more than once (nodes and edges, or pageInfo beside either), the texts of its rows
are computed in a sub-select with OFFSET 0. Without it PostgreSQL would pull the sub-select up, and
compute them once for each use. The page has one extra row if `hasNextPage` is selected; a CASE
leaves out its text, and so its children too.

Sample:

    { orders(first: 2) { nodes { status } pageInfo { hasNextPage endCursor } } }

    SELECT textsend((
        SELECT '{"nodes":['||coalesce(r1.l0, '')||'],"pageInfo":{"hasNextPage":'||r1.more
            ||',"endCursor":'||coalesce(r1.cn, 'null')||'}}'
        FROM (  -- r1: the lists, and the values of pageInfo
            SELECT count(*) > $1::INTEGER AS more,
                min(r0.cu) FILTER (WHERE r0.rn = 1) AS c1,
                min(r0.cu) FILTER (WHERE r0.rn = $1::INTEGER OR r0.nx IS NULL) AS cn,
                string_agg(r0.n0, ',' ORDER BY r0.rn) FILTER (WHERE r0.rn <= $1::INTEGER) AS l0
            FROM (  -- r0: the texts of the rows
                SELECT r2.rn,
                    CASE WHEN r2.rn <= $1::INTEGER
                        THEN '{"status":'||json_scalar(r2.status)||'}' END AS n0,
                    r2.nx,
                    CASE WHEN r2.rn <= $1::INTEGER
                        THEN '"'||replace(encode(textsend(
                            '["Order:c5573e0088",'||to_json(r2.k0)||','||r2.id||']'
                        ), 'base64'), E'\n', '')||'"' END AS cu
                FROM (  -- r2: the rows, numbered; nx is NULL in the last one
                    SELECT r3.*, row_number() OVER (ORDER BY r3.k0, r3.id) AS rn,
                        lead(1) OVER (ORDER BY r3.k0, r3.id) AS nx
                    FROM (SELECT anon_1.id, anon_1.status, anon_1.k0
                          FROM (SELECT orders.id AS id, orders.status AS status,
                                       orders.date_placed AS k0
                                FROM orders WHERE true
                                ORDER BY orders.date_placed ASC, orders.id ASC
                                LIMIT 101) AS anon_1
                          ORDER BY anon_1.k0 ASC, anon_1.id ASC
                          LIMIT $1::INTEGER + 1) r3
                ) r2 OFFSET 0
            ) r0
        ) r1
    )) AS root0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.reads import summaries
from graph.database.reads.keyset import Ordering
from graph.database.reads.lists import ListParts, Paged, limit_part, row_list
from graph.database.reads.sql_fragments import (
    Json,
    Sql,
    SqlText,
    concatenated,
    object_of,
    typename_of,
)
from graph.selection import (
    Aggregates,
    Column,
    CountUpTo,
    EdgeCursor,
    EdgeList,
    EdgeNode,
    Groups,
    NodeList,
    PageInfo,
    TotalCount,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Select

    from graph.database.reads.json_query import RowWriter
    from graph.database.reads.parts import Part, Place
    from graph.selection import (
        Condition,
        Connection,
        PageShape,
        Relationship,
        Selection,
        Variants,
    )


class ConnectionWriter:
    """Writes one connection of the row whose alias is `parent`."""

    def __init__(self, rows: RowWriter, many: Connection, parent: str) -> None:
        self._rows = rows
        self._connection = many
        self._list = ListParts(many, parent)
        self._order = Ordering(many.relationship.target, many.shape.order)
        self._limit = limit_part(many.argument_index)
        # The distinct selections of the rows.
        self._selections = list(dict.fromkeys(many.rows))
        self._lists = [part for part in many.fields if isinstance(part, NodeList | EdgeList)]

    def text(self) -> SqlText:
        if self._connection.page_info or len(self._lists) > 1:
            return [self._paged()]
        return self._parts(listed=self._only_list, info=lambda _: [])

    def _parts(self, *, listed: Callable[[Any], Sql], info: Callable[[str], SqlText]) -> SqlText:
        """The JSON of the connection, given the SQL of its lists and the JSON of its pageInfo."""
        return object_of(
            (part.response_key, self._part(part, listed, info)) for part in self._connection.fields
        )

    def _part(  # noqa: PLR0911  one for each
        self, part: Any, listed: Callable[[Any], Sql], info: Callable[[str], SqlText]
    ) -> SqlText:
        match part:
            case NodeList() | EdgeList():
                return [Json("["), listed(part), Json("]")]
            case PageInfo():
                return object_of(
                    (
                        field.response_key,
                        info(field.name) if isinstance(field, Column) else typename_of(field),
                    )
                    for field in part.fields
                )
            case TotalCount():
                return [("(", self._list.part(_count), ")")]
            case CountUpTo():
                return summaries.count_up_to(part, self._list, next(self._rows.aliases))
            case Aggregates():
                return summaries.aggregates(part, self._list, next(self._rows.aliases))
            case Groups():
                return summaries.groups(part, self._list, next(self._rows.aliases))
        return typename_of(part)

    def _only_list(self, part: NodeList | EdgeList) -> Sql:
        """The only list of a connection, directly from its page."""
        alias = next(self._rows.aliases)
        text = self._element(part, self._cursor(alias), lambda to: self._rows.row(to, alias))
        listed = (*concatenated(text), f",',' ORDER BY {self._order.words(alias)}),'')")
        return (
            "(SELECT coalesce(string_agg(",
            *listed,
            " FROM (",
            self._rows_of_page(),
            f") {alias})",
        )

    def _element(
        self,
        part: NodeList | EdgeList,
        cursor: SqlText,
        row: Callable[[Selection | Variants], SqlText],
    ) -> SqlText:
        """The JSON of one element of a list."""
        if isinstance(part, NodeList):
            return row(part.selection)
        members: list[tuple[str, SqlText]] = []
        for field in part.fields:
            match field:
                case EdgeNode():
                    members.append((field.response_key, row(field.selection)))
                case EdgeCursor():
                    members.append((field.response_key, cursor))
                case _:
                    members.append((field.response_key, typename_of(field)))
        return object_of(members)

    def _paged(self) -> Sql:
        """A connection whose page is used more than once.

        From the inside: the page, numbered in its direction; the texts of its rows; their lists and
        the values of pageInfo; the JSON of the connection.
        """
        texts, lists = next(self._rows.aliases), next(self._rows.aliases)
        columns: list[Any] = [*self._ends(texts)]
        listed: dict[Any, Sql] = {}
        for nth, part in enumerate(self._lists):
            columns += [",", *self._listed(part, texts), f" AS l{nth}"]
            listed[part] = (f"coalesce({lists}.l{nth},'')",)
        text = self._parts(listed=listed.__getitem__, info=lambda name: self._info(name, lists))
        return (
            *("(SELECT ", *concatenated(text)),
            *(" FROM (SELECT ", *columns),
            *(" FROM (", *self._texts(), f") {texts}) {lists})"),
        )

    def _ends(self, texts: str) -> Sql:
        """Whether the list continues, and the cursors of the page's first and last row."""
        more = ("count(*)>", self._limit, " AS more")
        if not self._connection.wants_cursors:
            return more
        return (
            *more,
            f",min({texts}.cu) FILTER (WHERE {texts}.rn=1) AS c1",
            *(f",min({texts}.cu) FILTER (WHERE {texts}.rn=", self._limit),
            f" OR {texts}.nx IS NULL) AS cn",
        )

    def _listed(self, part: NodeList | EdgeList, texts: str) -> Sql:
        """One of the lists, from texts that are already computed."""
        element = self._element(
            part,
            [(f"{texts}.cu",)],
            lambda selection: [(f"{texts}.n{self._selections.index(selection)}",)],
        )
        direction = " DESC" if self._connection.shape.backwards else ""
        guard = (f" FILTER (WHERE {texts}.rn<=", self._limit, ")")
        order = f",',' ORDER BY {texts}.rn{direction})"
        return ("string_agg(", *concatenated(element), order, *guard)

    def _texts(self) -> Sql:
        """The texts of the page's rows, each computed once, and none for the extra row."""
        rows = next(self._rows.aliases)
        texts = [concatenated(self._rows.row(selection, rows)) for selection in self._selections]
        columns: list[Any] = []
        for nth, text in enumerate(texts):
            columns += [*self._unless_extra(text, rows), f" AS n{nth}"]
        if self._connection.wants_cursors:
            cursor = concatenated(self._cursor(rows))
            columns += [f",{rows}.nx", *self._unless_extra(cursor, rows), " AS cu"]
        return (
            *(f"SELECT {rows}.rn", *columns),
            *(" FROM (", *self._numbered(), f") {rows} OFFSET 0"),
        )

    def _unless_extra(self, text: Sql, rows: str) -> Sql:
        return (f",CASE WHEN {rows}.rn<=", self._limit, " THEN ", *text, " END")

    def _numbered(self) -> Sql:
        """The page with the number of each row in its direction, and whether one follows it."""
        page = next(self._rows.aliases)
        order = self._order.backwards if self._connection.shape.backwards else self._order
        over = f"OVER (ORDER BY {order.words(page)})"
        numbers = f",row_number() {over} AS rn"
        if self._connection.wants_cursors:
            numbers += f",lead(1) {over} AS nx"
        return (f"SELECT {page}.*", numbers, " FROM (", self._rows_of_page(), f") {page}")

    def _rows_of_page(self) -> Part:
        names = frozenset[str]().union(*(rows.columns for rows in self._selections))
        shape, one_more = self._connection.shape, self._connection.wants_more
        return self._list.part(_rows_of_page, shape, names, one_more)

    def _cursor(self, alias: str) -> SqlText:
        return [Json('"'), (self._order.cursor_text(alias),), Json('"')]

    def _info(self, name: str, lists: str) -> SqlText:
        """The JSON of one field of pageInfo."""
        backwards = self._connection.shape.backwards
        first, last = ("cn", "c1") if backwards else ("c1", "cn")
        if name in {"start_cursor", "end_cursor"}:
            return [(f"coalesce({lists}.{first if name == 'start_cursor' else last},'null')",)]
        if name == ("has_previous_page" if backwards else "has_next_page"):
            return [(f"{lists}.more",)]
        if not self._connection.wants_other_side:
            return [Json("false")]
        return [("(", self._list.part(_begins_later, self._connection.shape), ")")]


def _count(place: Place, relationship: Relationship, where: Condition | None) -> Select[Any]:
    return row_list(place, relationship, where).count()


def _rows_of_page(  # noqa: PLR0917  the arguments of a part
    place: Place,
    relationship: Relationship,
    where: Condition | None,
    shape: PageShape,
    names: frozenset[str],
    one_more: bool,  # noqa: FBT001
) -> Select[Any]:
    return Paged(row_list(place, relationship, where), shape).rows(names, one_more=one_more)


def _begins_later(
    place: Place, relationship: Relationship, where: Condition | None, shape: PageShape
) -> ColumnElement[bool]:
    return Paged(row_list(place, relationship, where), shape).begins_later()
