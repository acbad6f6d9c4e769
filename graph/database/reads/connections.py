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

If the list is counted, its count tells if a page without a cursor is the last one.

Sample:

    { orders(first: 2) { totalCount nodes { status } pageInfo { hasNextPage } } }

    SELECT textsend((
        SELECT '{"totalCount":'||r0.n||',"nodes":['||(
            SELECT coalesce(string_agg(
                '{"status":'||json_scalar(r1.status)||'}', ',' ORDER BY r1.k0, r1.id), '')
            FROM (SELECT anon_1.id, anon_1.status, anon_1.k0
                  FROM (SELECT orders.id AS id, orders.status AS status, orders.date_placed AS k0
                        FROM orders WHERE true
                        ORDER BY orders.date_placed ASC, orders.id ASC LIMIT 101) AS anon_1
                  ORDER BY anon_1.k0 ASC, anon_1.id ASC LIMIT $1::INTEGER) r1
        )||'],"pageInfo":{"hasNextPage":'||(r0.n > $1::INTEGER)||'}}'
        FROM (SELECT count(*) AS count_1 FROM orders WHERE true) r0(n)
    )) AS root0

Otherwise the page has one extra row if `hasNextPage` is selected; a CASE leaves out its text, and
so its children too. If a page is used more than once (nodes and edges, or the extra row or a cursor
in pageInfo beside either), the texts of its rows are computed in a sub-select with OFFSET 0.
Without it PostgreSQL would pull the sub-select up, and compute them once for each use.

Sample:

    { orders(first: 2) { nodes { status } pageInfo { hasNextPage endCursor } } }

    SELECT textsend((
        SELECT '{"nodes":['||coalesce(r0.l0, '')||'],"pageInfo":{"hasNextPage":'||r0.more
            ||',"endCursor":'||coalesce(r0.end_cursor, 'null')||'}}'
        FROM (  -- r0: the lists, and the values of pageInfo
            SELECT
                string_agg(r1.n0, ',' ORDER BY r1.rn) FILTER (WHERE r1.rn <= $1::INTEGER) AS l0,
                count(*) > $1::INTEGER AS more,
                min(r1.cu) FILTER (WHERE r1.rn = $1::INTEGER OR r1.nx IS NULL) AS end_cursor
            FROM (  -- r1: the texts of the rows
                SELECT r2.rn,
                    CASE WHEN r2.rn <= $1::INTEGER
                        THEN '{"status":'||json_scalar(r2.status)||'}' END AS n0,
                    r2.nx,
                    CASE WHEN r2.rn <= $1::INTEGER
                        THEN CASE WHEN r2.rn = $1::INTEGER OR r2.nx IS NULL
                            THEN '"'||replace(encode(textsend(
                                '["Order:c5573e0088",'||to_json(r2.k0)||','||r2.id||']'
                            ), 'base64'), E'\n', '')||'"' END END AS cu
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
            ) r1
        ) r0
    )) AS root0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.reads import summaries
from graph.database.reads.keyset import Ordering
from graph.database.reads.lists import ListParts, Paged, limit_part, offset_part, row_list
from graph.database.reads.sql_fragments import (
    Json,
    Sql,
    SqlText,
    concatenated,
    object_of,
    separated,
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
    looks_across,
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
        rows.looks_across |= looks_across(many.shape.where)
        self._connection = many
        self._list = ListParts(many, parent)
        self._order = Ordering(many.relationship.target, many.shape.order)
        self._limit = limit_part(many.argument_index)
        self._offset = offset_part(many.argument_index)
        # The distinct selections of the rows.
        self._selections = list(dict.fromkeys(many.rows))
        self._lists = [part for part in many.fields if isinstance(part, NodeList | EdgeList)]
        self._has_extra_row = many.wants_more and not many.tells_more_by_count
        # The aliases of what several parts of the connection may name; "" if none does.
        self._page = next(rows.aliases) if self._is_page_shared else ""
        self._count = next(rows.aliases) if many.wants_count else ""

    @property
    def _is_page_shared(self) -> bool:
        """Whether the page is used more than once."""
        return len(self._lists) > 1 or self._has_extra_row or self._connection.wants_ends

    def text(self) -> SqlText:
        fields = self._connection.fields
        text = object_of((part.response_key, self._part(part)) for part in fields)
        sources: list[Sql] = []
        if self._page:
            sources.append(("(", *self._lists_of_page(), f") {self._page}"))
        if self._count:
            sources.append(("(", self._list.part(_count), f") {self._count}(n)"))
        if not sources:
            return text
        return [("(SELECT ", *concatenated(text), " FROM ", *separated(sources), ")")]

    def _part(self, part: Any) -> SqlText:  # noqa: PLR0911  one for each
        """The JSON of one field of the connection."""
        match part:
            case NodeList() | EdgeList():
                return [Json("["), self._listed(part), Json("]")]
            case PageInfo():
                return object_of(
                    (
                        field.response_key,
                        self._info(field.name) if isinstance(field, Column) else typename_of(field),
                    )
                    for field in part.fields
                )
            case TotalCount():
                return [(f"{self._count}.n",)]
            case CountUpTo():
                return summaries.count_up_to(part, self._list, next(self._rows.aliases))
            case Aggregates():
                return summaries.aggregates(part, self._list, next(self._rows.aliases))
            case Groups():
                return summaries.groups(part, self._list, next(self._rows.aliases))
        return typename_of(part)

    def _listed(self, part: NodeList | EdgeList) -> Sql:
        if self._page:
            return (f"coalesce({self._page}.l{self._lists.index(part)},'')",)
        return self._only_list(part)

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

    def _lists_of_page(self) -> Sql:
        """The lists of a page that is used more than once, and the values of pageInfo.

        From the inside: the page, numbered in its direction; the texts of its rows; their lists.
        """
        texts = next(self._rows.aliases)
        columns = [self._list_of_texts(part, texts) for part in self._lists]
        columns = [(*column, f" AS l{nth}") for nth, column in enumerate(columns)]
        if self._has_extra_row:
            columns.append(("count(*)>", self._limit, " AS more"))
        for name, condition in self._ends(texts).items():
            columns.append((f"min({texts}.cu) FILTER (WHERE ", *condition, f") AS {name}"))
        return ("SELECT ", *separated(columns), " FROM (", *self._texts(), f") {texts}")

    def _list_of_texts(self, part: NodeList | EdgeList, texts: str) -> Sql:
        """One of the lists, from texts that are already computed."""
        element = self._element(
            part,
            [(f"{texts}.cu",)],
            lambda selection: [(f"{texts}.n{self._selections.index(selection)}",)],
        )
        direction = " DESC" if self._connection.shape.backwards else ""
        order = f",',' ORDER BY {texts}.rn{direction})"
        guard = (f" FILTER (WHERE {texts}.rn<=", self._limit, ")") if self._has_extra_row else ()
        return ("string_agg(", *concatenated(element), order, *guard)

    def _texts(self) -> Sql:
        """The texts of the page's rows, each computed once, and none for the extra row."""
        rows = next(self._rows.aliases)
        texts = [concatenated(self._rows.row(selection, rows)) for selection in self._selections]
        columns: list[Sql] = [(f"{rows}.rn",)]
        columns += [
            (*self._unless_extra(text, rows), f" AS n{nth}") for nth, text in enumerate(texts)
        ]
        if self._connection.wants_ends:
            columns.append((f"{rows}.nx",))
        if self._connection.wants_cursors:
            columns.append((*self._unless_extra(self._cursor_of(rows), rows), " AS cu"))
        return ("SELECT ", *separated(columns), " FROM (", *self._numbered(), f") {rows} OFFSET 0")

    def _cursor_of(self, rows: str) -> Sql:
        """The cursor of a row; if only pageInfo has cursors, that of the rows that it names."""
        cursor = concatenated(self._cursor(rows))
        if self._connection.wants_edge_cursors:
            return cursor
        conditions = separated(self._ends(rows).values(), " OR ")
        return ("CASE WHEN ", *conditions, " THEN ", *cursor, " END")

    def _ends(self, rows: str) -> dict[str, Sql]:
        """Whether a row is the one whose cursor a field of pageInfo has, by the selected fields."""
        first: Sql = (f"{rows}.rn=1",)
        last: Sql = (f"{rows}.nx IS NULL",)
        if self._has_extra_row:
            last = (f"{rows}.rn=", self._limit, " OR ", *last)
        start, end = (last, first) if self._connection.shape.backwards else (first, last)
        ends = {"start_cursor": start, "end_cursor": end}
        return {name: ends[name] for name in ends if name in self._connection.page_info}

    def _unless_extra(self, text: Sql, rows: str) -> Sql:
        if not self._has_extra_row:
            return text
        return (f"CASE WHEN {rows}.rn<=", self._limit, " THEN ", *text, " END")

    def _numbered(self) -> Sql:
        """The page with the number of each row in its direction, and whether one follows it."""
        page = next(self._rows.aliases)
        order = self._order.backwards if self._connection.shape.backwards else self._order
        over = f"OVER (ORDER BY {order.words(page)})"
        numbers = f",row_number() {over} AS rn"
        if self._connection.wants_ends:
            numbers += f",lead(1) {over} AS nx"
        return (f"SELECT {page}.*", numbers, " FROM (", self._rows_of_page(), f") {page}")

    def _rows_of_page(self) -> Part:
        names = frozenset[str]().union(*(rows.columns for rows in self._selections))
        return self._list.part(_rows_of_page, self._connection.shape, names, self._has_extra_row)

    def _cursor(self, alias: str) -> SqlText:
        return [Json('"'), (self._order.cursor_text(alias),), Json('"')]

    def _info(self, name: str) -> SqlText:
        """The JSON of one field of pageInfo."""
        if name in {"start_cursor", "end_cursor"}:
            return [(f"coalesce({self._page}.{name},'null')",)]
        if name == ("has_previous_page" if self._connection.shape.backwards else "has_next_page"):
            return [self._more()]
        if not self._connection.wants_other_side:
            return [Json("false")]
        return [("(", self._list.part(_begins_later, self._connection.shape), ")")]

    def _more(self) -> Sql:
        """Whether the list continues after the page, in its direction."""
        if self._has_extra_row:
            return (f"{self._page}.more",)
        offset = ("+", self._offset) if self._connection.shape.offset else ()
        return (f"({self._count}.n>", self._limit, *offset, ")")


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
