"""The work of a list beside the rows that it returns: its filter, sorts, counts and groups.

The estimate is the time that PostgreSQL needs, in microseconds, from the sizes of tables. It is
rough. An index helps only with its first column, a relationship has its average number of rows, and
every row matches. `python -m bench.price worst` shows how far estimates are from measured times.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graph.database.reads import is_computed, is_indexed, is_unique, looks_elsewhere
from graph.execution.planning.cost import Charge
from graph.selection import (
    MAX_FILLED_GROUPS,
    MAX_GROUPS,
    Aggregates,
    AllOf,
    AnyOf,
    Attribute,
    Bucket,
    Connection,
    CountUpTo,
    Exists,
    Groups,
    Matches,
    Measure,
    Not,
    Rank,
    Test,
    Through,
    TotalCount,
    bounds_in,
    terms_in,
    terms_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.database.table_sizes import Sizes
    from graph.selection import Condition, PageShape, Relationship, Term

# Microseconds, measured on a machine that needs about half a microsecond for an object.
_ROW = 0.08  # a scan reads it
_TEST = 0.04
_TEXT_TEST = 0.1
_SORT = 0.12
_GROUP = 0.35  # by each key
_AGGREGATE = 0.05
_DISTINCT = 0.4  # it sorts the values of a group
_LOOK_UP = 1.5  # by an index, for one row
_CHILD = 0.15  # a row that a look-up found
_JOIN = 0.15  # a row that is hashed, or looked up in a hash
_COMPUTED = 0.1
# A computed column looks at rows of other tables; which ones, its expression alone knows.
_COMPUTED_ELSEWHERE = 3.0
_BUCKET = 1.8  # steps in a time zone
_MATCH = 1.0  # the similarity of words
_EMPTY_BUCKETS = 10.0  # for each row
_EMPTY = 4.0
_MOST = 1e12
# As much as the objects of a list cost anyway.
_FREE = 5.0
# The rows that an index leaves to look at: a share, or as many as there are keys in a list.
_FOUND_BY_INDEX = 0.1
_FOUND_BY_KEYS = 100.0
_OF_TEXT = {"like", "ilike", "same"}


@dataclass(frozen=True, slots=True)
class Scan:
    """What one list at one path looks at; its charge depends on the sizes of tables."""

    path: tuple[str, ...]
    times: int
    argument_indexes: tuple[int, ...]
    connection: Connection

    def charge(self, sizes: Sizes) -> Charge:
        """One for each microsecond."""
        microseconds = _Work(sizes).of_connection(self.connection)
        weight = int(min(microseconds * self.times, _MOST)) if microseconds >= _FREE else 0
        return Charge(self.path, weight, self.argument_indexes, is_object=False)


@dataclass(frozen=True, slots=True)
class _Work:
    """Estimates microseconds, with these sizes of tables. For one list: it remembers filters."""

    sizes: Sizes
    _filters: dict[tuple[int, float, bool], float] = field(default_factory=dict)

    def of_connection(self, connection: Connection) -> float:
        """The work for each parent."""
        shape, entity = connection.shape, connection.relationship.target
        rows = _share(entity, shape.where, self._listed(connection.relationship))
        read = rows * _ROW + self._filter(entity, shape.where, rows)
        work = 0.0
        for part in connection.fields:
            match part:
                case TotalCount() | CountUpTo():
                    work += read
                case Aggregates(fields=fields):
                    work += read + rows * self._terms(entity, terms_of(fields))
                case Groups(shape=grouping, fields=fields):
                    terms = dict.fromkeys((*grouping.terms, *terms_of(fields)))
                    work += read + rows * self._terms(entity, terms)
                    work += rows * len(grouping.by) * _GROUP
                    work += _filled(grouping.by, rows)
        if connection.needs_rows and not _has_indexed_order(entity, shape):
            sorts = [sort.term for sort in shape.order]
            work += read + rows * (len(sorts) * _SORT + self._terms(entity, sorts))
        return work

    def _listed(self, relationship: Relationship) -> float:
        """The average number of rows that belong to one source row; all, from the root."""
        rows = self.sizes.rows(relationship.target)
        if not relationship.is_list and relationship.source is not None:
            return 1.0
        if relationship.target_column is None or relationship.source is None:
            return rows
        return max(rows / max(self.sizes.rows(relationship.source), 1.0), min(rows, 1.0))

    def _terms(self, entity: str, terms: Iterable[Term]) -> float:
        """The work for the terms of one row; all that measure the same children read them once."""
        work = 0.0
        seen: set[Relationship | str] = set()
        for term in terms:
            work += self._term(entity, term)
            if isinstance(term, Measure):
                children, column = term.relationship, term.column
                if children is not None and children not in seen:
                    seen.add(children)
                    work += _LOOK_UP + self._listed(children) * _CHILD
                if column is not None and (key := f"{children}.{column}") not in seen:
                    seen.add(key)
                    measured = children.target if children else entity
                    times = self._listed(children) if children else 1.0
                    work += times * self._term(measured, Attribute(column))
        return work

    def _term(self, entity: str, term: Term) -> float:
        """The work for a term of one row, beside that for the values that it measures."""
        match term:
            case Attribute(name):
                if looks_elsewhere(entity, name):
                    return _COMPUTED_ELSEWHERE
                return _COMPUTED if is_computed(entity, name) else 0.0
            case Through(relationship, inner):
                return _JOIN + self._terms(relationship.target, [inner])
            case Measure(function, _, relationship):
                each = _DISTINCT if function == "distinct" else _AGGREGATE
                return each * (1.0 if relationship is None else self._listed(relationship))
            case Bucket(inner):
                return _BUCKET + self._term(entity, inner)
            case Rank():
                return _MATCH

    def _filter(
        self, entity: str, where: Condition | None, rows: float, *, joins: bool = True
    ) -> float:
        """The work for a filter of so many rows, beside reading them.

        Each `Exists` needs it twice, and those below it: without a memory, twice as often each.
        """
        key = (id(where), rows, joins)
        if key not in self._filters:
            terms = rows * self._terms(entity, terms_in(where))
            work = terms + self._condition(entity, where, rows, joins=joins)
            self._filters[key] = min(work, _MOST)
        return self._filters[key]

    def _condition(
        self, entity: str, condition: Condition | None, rows: float, *, joins: bool = True
    ) -> float:
        """The work for a condition on so many rows, beside its terms.

        With `joins`, PostgreSQL can turn `Exists` into a join, and hash the other table once.
        """
        match condition:
            case Test(_, operator):
                return rows * (_TEXT_TEST if operator in _OF_TEXT else _TEST)
            case AllOf(conditions) | AnyOf(conditions):
                joins = joins and isinstance(condition, AllOf)
                each = (self._condition(entity, part, rows, joins=joins) for part in conditions)
                return min(sum(each), _MOST)
            case Not(inner):
                return self._condition(entity, inner, rows, joins=joins)
            case Exists():
                return self._exists(condition, rows, joins=joins)
        return rows * _MATCH if isinstance(condition, Matches) else 0.0

    def _exists(self, found: Exists, rows: float, *, joins: bool) -> float:
        relationship = found.relationship
        target, children = relationship.target, min(rows * self._listed(relationship), _MOST)
        one_by_one = rows * _LOOK_UP + children * _CHILD
        one_by_one += self._filter(target, found.condition, children, joins=joins)
        if not joins or relationship.is_optional:
            return min(one_by_one, _MOST)
        every = self.sizes.rows(target)
        hashed = (rows + every) * _JOIN + self._filter(target, found.condition, every)
        return min(one_by_one, hashed)


def _filled(keys: tuple[Term, ...], rows: float) -> float:
    """The work for the groups of empty buckets, of which there are some for each row at most."""
    if not any(isinstance(key, Bucket) and key.fills for key in keys):
        return 0.0
    most = MAX_FILLED_GROUPS if len(keys) > 1 else MAX_GROUPS
    return min(rows * _EMPTY_BUCKETS, most) * _EMPTY


def _has_indexed_order(entity: str, shape: PageShape) -> bool:
    """Whether an index gives the rows of the page, so that no others are looked at.

    Bounds of what is sorted by say where in the index they begin or end.
    """
    first = shape.order[0].term
    is_by_index = isinstance(first, Attribute) and is_indexed(entity, first.name)
    return is_by_index and _only_bounds(shape.where, first)


def _only_bounds(condition: Condition | None, term: Term) -> bool:
    match condition:
        case None:
            return True
        case AllOf(conditions):
            return all(_only_bounds(each, term) for each in conditions)
    return any(bounds_in(condition, term))


def _share(entity: str, condition: Condition | None, rows: float) -> float:
    """The rows of a list that an index leaves to look at for a condition."""
    match condition:
        case AllOf(conditions):
            return min((_share(entity, each, rows) for each in conditions), default=rows)
        case Test(Attribute(name), "eq" | "in" as operator):
            if is_unique(entity, name):
                return min(rows, 1.0 if operator == "eq" else _FOUND_BY_KEYS)
            return rows * _FOUND_BY_INDEX if is_indexed(entity, name) else rows
    return rows
