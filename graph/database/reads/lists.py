"""The lists of relationships: their pages, counts, aggregates and groups.

A list is the rows of one parent that match a filter. Parameters are named `limit`, `offset`,
`after0`, `before0`, ..., and `o0`, ... for the operands of the filter, all with a prefix.

A page after a cursor is a union of ranges, each of which reads an index from its start (`keyset`).

Sample:

    query ($after: String) {
        items(first: 2, after: $after, orderBy: [{stock: ASC}]) { nodes { name } } }

    SELECT textsend('{"nodes":['||(
        SELECT coalesce(string_agg(
            '{"name":'||json_scalar(r0.name)||'}', ',' ORDER BY r0.k0, r0.id), '')
        FROM (SELECT anon_1.id, anon_1.name, anon_1.k0
              FROM (SELECT anon_2.id AS id, anon_2.name AS name, anon_2.k0 AS k0
                    FROM (
                        (SELECT items.id AS id, items.name AS name, items.stock AS k0
                         FROM items WHERE items.stock = $1::INTEGER AND items.id > $2::BIGINT
                         ORDER BY items.stock ASC, items.id ASC LIMIT 21)
                        UNION ALL
                        (SELECT items.id AS id, items.name AS name, items.stock AS k0
                         FROM items WHERE items.stock > $1::INTEGER
                         ORDER BY items.stock ASC, items.id ASC LIMIT 21)
                        UNION ALL
                        (SELECT items.id AS id, items.name AS name, items.stock AS k0
                         FROM items WHERE items.stock IS NULL
                         ORDER BY items.stock ASC, items.id ASC LIMIT 21)
                    ) AS anon_2
                    ORDER BY anon_2.k0 ASC, anon_2.id ASC LIMIT 101) AS anon_1
              ORDER BY anon_1.k0 ASC, anon_1.id ASC LIMIT $3::INTEGER) r0
    )||']}') AS root0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    exists,
    func,
    select,
    union_all,
)
from sqlalchemy import literal_column as raw_sql

from graph.database.reads.columns import Row, belongs, columns_of, key_type_of
from graph.database.reads.empty_buckets import starts_of, with_empty
from graph.database.reads.expressions import ExpressionCompiler, measured_together
from graph.database.reads.keyset import Ordering, same
from graph.database.reads.parts import Part
from graph.selection import (
    BY_KEY,
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    AllOf,
    Bucket,
    Measure,
    Test,
    Through,
    columns_read,
    grouped,
    terms_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import CTE, FromClause, Select
    from sqlalchemy.sql.elements import ClauseElement

    from graph.database.reads.parts import Place
    from graph.selection import Condition, Connection, GroupingShape, PageShape, Relationship, Term

_ONE: ColumnElement[int] = raw_sql("1")
# A LIMIT that is a parameter looks expensive to the planner, so it would plan a page anew each
# time: half of its cost. Behind this bound the size makes no difference to it, and it plans once.
_MOST: ColumnElement[int] = raw_sql(str(MAX_PAGE_SIZE + 1))
_NULL: ColumnElement[Any] = raw_sql("NULL")
# The measures of a group without rows, if they are not NULL.
_EMPTY: dict[str, ColumnElement[Any]] = dict.fromkeys(("count", "distinct"), raw_sql("0"))


class RowList:
    """The rows of a relationship for one source row, restricted by a filter."""

    def __init__(
        self,
        relationship: Relationship,
        where: Condition | None,
        *,
        key: ColumnElement[Any],
        prefix: str = "",
        keys: Sequence[Term] = (),
    ) -> None:
        """With `keys`, their rows are joined to those of the list."""
        self.entity = relationship.target
        self.prefix = prefix
        self._relationship, self._where, self._key = relationship, where, key
        self.expressions = ExpressionCompiler(
            Row(relationship.target), prefix, joins=bool(keys), terms=[*terms_in(where), *keys]
        )
        filtered = () if where is None else (self.expressions.condition(where),)
        self.conditions = (belongs(relationship, key), *filtered)

    def with_keys(self, keys: Sequence[Term]) -> RowList:
        """The same list, for these sort keys: rows that several of them look at are joined once."""
        together = measured_together([*terms_in(self._where), *keys])
        if not together and not any(isinstance(key, Through) for key in keys):
            return self
        return RowList(
            self._relationship, self._where, key=self._key, prefix=self.prefix, keys=keys
        )

    def select(self, *what: Any) -> Select[Any]:
        return select(*what).select_from(self.expressions.source()).where(*self.conditions)

    def count(self) -> Select[Any]:
        """The number of rows of the list, on all pages."""
        return self.select(func.count())

    def count_up_to(self, limit: ColumnElement[int]) -> Select[Any]:
        """As `count`, but counting stops at one more than the limit."""
        rows = self.select(_ONE).limit(limit + _ONE).subquery()
        return select(func.count().label("total")).select_from(rows)

    def aggregates(self, terms: Sequence[Term]) -> Select[Any]:
        """One row with the measures as t0, t1, ..."""
        return self.expressions.measures(self.select, terms)

    def groups(self, shape: GroupingShape, terms: Sequence[Term], *, own: str) -> Select[Any]:
        """One row per group: its number `nth` in their order, and the terms as t0, t1, ...

        A term that is not a key is NULL. `own` is the prefix of the grouping's parameters.

        The rows are found first, behind OFFSET 0. PostgreSQL reorders at most eight joins, and the
        keys may have more: it could join whole tables before it filters them.
        """
        known = [grouped(term, shape.by) for term in terms]
        wanted = [term for term in known if term is not None]
        groups = self._grouped([*shape.terms, *wanted], own)
        keys = [groups.term(term) for term in shape.by]
        bucket = next((key for key in shape.by if isinstance(key, Bucket) and key.fills), None)
        if bucket is None:
            having = () if shape.having is None else (groups.condition(shape.having),)
            found = self._in_order(groups, shape, known, own)
            return found.select_from(groups.source()).group_by(*keys).having(*having)
        measures = [term for term in (*shape.terms, *wanted) if _is_of_a_group(term)]
        named = {term: f"k{nth}" for nth, term in enumerate(shape.by)}
        named |= {term: f"m{nth}" for nth, term in enumerate(dict.fromkeys(measures))}
        found = select(*(groups.term(term).label(name) for term, name in named.items()))
        found = found.select_from(groups.source()).group_by(*keys)
        return self._filled(found.cte(), bucket, shape, known, named=named, own=own)

    def _filled(
        self,
        groups: CTE,
        bucket: Bucket,
        shape: GroupingShape,
        terms: Sequence[Term | None],
        *,
        named: Mapping[Term, str],
        own: str,
    ) -> Select[Any]:
        """A page of the groups and those of empty buckets; `named` has the columns of terms."""
        zone = ExpressionCompiler(self.expressions.row, own).zone_of(bucket)
        span = self.expressions.span_in(self._where, bucket)
        starts = starts_of(bucket, zone, groups, named[bucket], span)
        empty = {
            name: _EMPTY.get(term.function, _NULL)
            for term, name in named.items()
            if isinstance(term, Measure)
        }
        by = [named[key] for key in shape.by]
        rows = with_empty(groups, by, named[bucket], empty, starts).subquery()
        known = {term: rows.c[name] for term, name in named.items()}
        filled = ExpressionCompiler(Row(self.entity, rows), own, known=known)
        having = () if shape.having is None else (filled.condition(shape.having),)
        found = self._in_order(filled, shape, terms, own).select_from(rows).where(*having)
        return found.add_cte(groups, nest_here=True)

    def _grouped(self, terms: Sequence[Term], own: str) -> ExpressionCompiler:
        """The rows of the list, with the columns that the terms are read from."""
        columns = (
            self.expressions.row.column(name).label(name) for name in sorted(columns_read(terms))
        )
        rows = self.select(*columns).offset(raw_sql("0")).subquery()
        return ExpressionCompiler(Row(self.entity, rows, names=rows.c), own, joins=True)

    def _in_order(
        self,
        groups: ExpressionCompiler,
        shape: GroupingShape,
        terms: Sequence[Term | None],
        own: str,
    ) -> Select[Any]:
        """A page of groups: their numbers, and the terms."""
        order = Ordering(self.entity, shape.order)
        clauses = order.clauses([groups.term(sort.term) for sort in shape.order])
        values = [_NULL if term is None else groups.term(term) for term in terms]
        return (
            select(
                func.row_number().over(order_by=clauses).label("nth"),
                *(value.label(f"t{nth}") for nth, value in enumerate(values)),
            )
            .order_by(raw_sql("nth"))
            .limit(bindparam(f"{own}limit", type_=Integer))
            .offset(bindparam(f"{own}offset", type_=Integer))
        )

    def parameter(self, name: str) -> ColumnElement[Any]:
        return bindparam(f"{self.prefix}{name}", type_=Integer)


def row_list(place: Place, relationship: Relationship, where: Condition | None) -> RowList:
    """The list of the row above a place."""
    column, type_ = relationship.source_column, key_type_of(relationship)
    # The root has no key, and needs none: `belongs` does not look at it.
    key = place.column_above(column, type_) if column else raw_sql("0", type_)
    return RowList(relationship, where, key=key, prefix=place.prefixes[0])


class ListParts:
    """The parts of a statement that look at the list of one connection.

    Each is made by a function of its place, the relationship, the filter, and further arguments.
    """

    def __init__(self, connection: Connection, parent: str) -> None:
        self.entity = connection.relationship.target
        self._list = (connection.relationship, connection.shape.where)
        self._parent = parent
        self._index = connection.argument_index

    def part(
        self, build: Callable[..., ClauseElement], *arguments: Any, own: int | None = None
    ) -> Part:
        """`own` is the index of an argument beside the list's, for the place's second prefix."""
        indexes = (self._index,) if own is None else (self._index, own)
        return Part(build, (*self._list, *arguments), self._parent, indexes)


def limit_part(argument_index: int) -> Part:
    return Part(_size, ("limit",), indexes=(argument_index,))


def offset_part(argument_index: int) -> Part:
    return Part(_size, ("offset",), indexes=(argument_index,))


def _size(place: Place, name: str) -> ColumnElement[int]:
    return place.parameter(name, Integer)


def _is_of_a_group(term: Term) -> bool:
    """Whether it is an aggregate of one group; the number of groups is of all."""
    return isinstance(term, Measure) and term.function != "groups"


class Paged:
    """A list in the order of a page; the values of its cursors are parameters."""

    def __init__(self, rows: RowList, shape: PageShape) -> None:
        self._shape = shape
        forwards = Ordering(rows.entity, shape.order)
        self._order = forwards.backwards if shape.backwards else forwards
        self._list = rows.with_keys([sort.term for sort in self._order.sorts])
        self._keys = [self._list.expressions.term(sort.term) for sort in self._order.sorts]
        after = self._values("after", shape.after)
        before = self._values("before", shape.before)
        # Where the page begins and where it must end, in its own direction.
        self._start, self._end = (before, after) if shape.backwards else (after, before)

    def rows(self, names: Iterable[str], *, one_more: bool) -> Select[Any]:
        """The rows in the page's direction: id, the named columns, and the sort keys k0, k1, ...

        With `one_more` there is one row more than the limit if the list continues.
        """
        labelled = zip(self._keys, self._order.names, strict=True)
        columns = [
            *columns_of(self._list.entity, names),
            *(key.label(name) for key, name in labelled if name != "id"),
        ]
        if self._start is None and self._end is None:
            return self._cut(self._list.select(*columns), self._keys, one_more=one_more)
        if not self._order.is_stored:
            return self._page_of_computed(columns, one_more=one_more)
        end = [] if self._end is None else [self._before_end(self._keys)]
        ranges = [[]] if self._start is None else self._order.ranges(self._keys, self._start)
        stretches = [self._list.select(*columns).where(*each, *end) for each in ranges]
        if len(stretches) == 1:
            return self._cut(stretches[0], self._keys, one_more=one_more)
        most = raw_sql(str(DEFAULT_PAGE_SIZE + 1)) if self._shape.short else _MOST
        clauses = self._order.clauses(self._keys)
        rows = union_all(*(each.order_by(*clauses).limit(most) for each in stretches)).subquery()
        return self._cut(select(rows), self._keys_of(rows), one_more=one_more)

    def begins_later(self) -> ColumnElement[bool]:
        """Whether the list has rows before the page, in its direction."""
        if self._start is None:  # it begins at an offset
            return exists(self._list.select(_ONE))
        order = self._order.backwards
        source, keys = self._list.select(_ONE), self._keys
        if not self._order.is_stored:
            rows = self._computed([])
            source, keys = select(_ONE).select_from(rows), self._keys_of(rows)
        itself = [same(key, value) for key, value in zip(keys, self._start, strict=True)]
        ranges = [*order.ranges(keys, self._start), itself]
        found: ColumnElement[bool] = exists(source.where(*ranges[0]))
        for conditions in ranges[1:]:
            found = found | exists(source.where(*conditions))
        return found

    def _page_of_computed(self, columns: list[Any], *, one_more: bool) -> Select[Any]:
        """A page by keys without an index: they are computed once per row, and compared."""
        rows = self._computed(columns)
        keys = self._keys_of(rows)
        found = select(rows)
        if self._start is not None:
            found = found.where(self._order.beyond(keys, self._start))
        if self._end is not None:
            found = found.where(self._before_end(keys))
        return self._cut(found, keys, one_more=one_more)

    def _computed(self, columns: list[Any]) -> FromClause:
        """All rows of the list with their keys.

        OFFSET 0 prevents PostgreSQL from computing them twice.
        """
        keys = [key.label(name) for key, name in zip(self._keys, self._order.names, strict=True)]
        columns = columns or [keys[-1]]
        known = {column.name for column in columns}
        missing = [key for key in keys if key.name not in known]
        return self._list.select(*columns, *missing).offset(raw_sql("0")).subquery()

    def _keys_of(self, rows: FromClause) -> list[ColumnElement[Any]]:
        return [rows.c[name] for name in self._order.names]

    def _before_end(self, keys: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        assert self._end is not None  # noqa: S101  the caller has looked
        return self._order.backwards.beyond(keys, self._end)

    def _cut(
        self,
        found: Select[Any],
        keys: Sequence[ColumnElement[Any]],
        *,
        one_more: bool,
    ) -> Select[Any]:
        limit = self._list.parameter("limit")
        limit = limit + _ONE if one_more else limit
        found = found.order_by(*self._order.clauses(keys))
        if self._shape.offset:
            found = found.offset(self._list.parameter("offset"))
        if self._shape.offset or not self._is_planned_once:
            return found.limit(limit)
        bounded = found.limit(_MOST).subquery()
        clauses = self._order.clauses(self._keys_of(bounded))
        return select(bounded).order_by(*clauses).limit(limit)

    @property
    def _is_planned_once(self) -> bool:
        """Whether one plan is good for all values of the filter.

        An index on the filtered column followed by the sort keys is good for any value. Otherwise
        the best plan depends on how rare the values are, and the planner must see them.
        """
        where, first = self._shape.where, self._shape.order[0].term
        tests = where.conditions if isinstance(where, AllOf) else (where,) if where else ()
        return all(
            isinstance(test, Test)
            and (test.term == first or (test.operator == "eq" and self._shape.order == BY_KEY))
            for test in tests
        )

    def _values(self, name: str, nulls: tuple[bool, ...] | None) -> Any:
        if nulls is None:
            return None
        prefix = self._list.prefix
        return self._order.cursor_values(nulls, lambda nth: f"{prefix}{name}{nth}")
