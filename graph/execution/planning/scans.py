"""The rows that a list may have to look at: for its filter, its sorts, and values of all its rows.

The estimate is rough. An index helps only with its first column, and a relationship has its average
number of rows. A row that a scan looks at counts 1, a look-up of another row as much as ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.database.reads import is_computed, is_indexed, is_unique
from graph.execution.planning.cost import Charge
from graph.selection import (
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
    terms_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.database.table_sizes import Sizes
    from graph.selection import Condition, PageShape, Relationship, Term

_ROWS_PER_COST = 100
_LOOK_UP = 10.0
# A computed column may look at rows of other tables; which ones, its expression alone knows.
_COMPUTED = 30.0
# Steps in a time zone for each bucket; the similarity of words for each match.
_BUCKET = 20.0
_MATCH = 10.0
_MOST = 1e12
# The rows that an index leaves to look at: a share, or as many as there are keys in a list.
_FOUND_BY_INDEX = 0.1
_FOUND_BY_KEYS = 100.0


@dataclass(frozen=True, slots=True)
class Scan:
    """What one list at one path looks at; its charge depends on the sizes of tables."""

    path: tuple[str, ...]
    times: int
    argument_indexes: tuple[int, ...]
    connection: Connection

    def charge(self, sizes: Sizes) -> Charge:
        rows = min(_Rows(sizes).of_connection(self.connection) * self.times, _MOST)
        weight = int(rows / _ROWS_PER_COST)
        return Charge(self.path, weight, self.argument_indexes, is_object=False)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Estimates numbers of rows, with these sizes of tables."""

    sizes: Sizes

    def of_connection(self, connection: Connection) -> float:
        """The rows that are looked at for each parent."""
        shape, entity = connection.shape, connection.relationship.target
        listed = _share(entity, shape.where, self._listed(connection.relationship))
        matching = listed + self._condition(entity, shape.where, listed)
        looked_at = 0.0
        for part in connection.fields:
            match part:
                case TotalCount() | CountUpTo():
                    looked_at += matching
                case Aggregates(fields=fields):
                    looked_at += matching + listed * self._terms(entity, terms_of(fields))
                case Groups(shape=grouping, fields=fields):
                    terms = dict.fromkeys((*grouping.terms, *terms_of(fields)))
                    looked_at += matching + listed * (1 + self._terms(entity, terms))
        if connection.needs_rows and not _has_indexed_order(entity, shape):
            sorts = (sort.term for sort in shape.order)
            looked_at += matching + listed * self._terms(entity, sorts)
        return looked_at

    def _listed(self, relationship: Relationship) -> float:
        """The average number of rows that belong to one source row; all, from the root."""
        rows = self.sizes.rows(relationship.target)
        if not relationship.is_list and relationship.source is not None:
            return 1.0
        if relationship.target_column is None or relationship.source is None:
            return rows
        return max(rows / max(self.sizes.rows(relationship.source), 1.0), min(rows, 1.0))

    def _terms(self, entity: str, terms: Iterable[Term]) -> float:
        """The rows that the terms of one row look at; one look at children has all aggregates."""
        found = 0.0
        seen: set[Relationship] = set()
        for term in terms:
            if isinstance(term, Measure) and term.relationship is not None:
                found += 0.0 if term.relationship in seen else self._children(term.relationship)
                seen.add(term.relationship)
            found += self._term(entity, term)
        return found

    def _children(self, relationship: Relationship) -> float:
        return _LOOK_UP + self._listed(relationship)

    def _term(self, entity: str, term: Term) -> float:
        """The rows that a term of one row looks at, beside the children that it measures."""
        match term:
            case Attribute(name):
                return _COMPUTED if is_computed(entity, name) else 0.0
            case Through(relationship, inner):
                return _LOOK_UP + self._terms(relationship.target, [inner])
            case Measure():
                return self._measured(entity, term)
            case Bucket(inner):
                return _BUCKET + self._term(entity, inner)
            case Rank():
                return _MATCH

    def _measured(self, entity: str, measure: Measure) -> float:
        relationship = measure.relationship
        measured = entity if relationship is None else relationship.target
        if measure.column is None:
            return 0.0
        column = self._term(measured, Attribute(measure.column))
        return column * (1.0 if relationship is None else self._listed(relationship))

    def _condition(
        self, entity: str, condition: Condition | None, rows: float, *, joins: bool = True
    ) -> float:
        """The rows that a condition on so many rows looks at, beside these.

        With `joins`, PostgreSQL can turn `Exists` into a join, and hash the other table once.
        """
        match condition:
            case Test(term):
                return rows * self._terms(entity, [term])
            case AllOf(conditions):
                each = (self._condition(entity, part, rows, joins=joins) for part in conditions)
                return min(sum(each), _MOST)
            case AnyOf(conditions):
                each = (self._condition(entity, part, rows, joins=False) for part in conditions)
                return min(sum(each), _MOST)
            case Not(inner):
                joins = joins and isinstance(inner, Exists)
                return self._condition(entity, inner, rows, joins=joins)
            case Exists():
                return self._exists(condition, rows, joins=joins)
        return rows * _MATCH if isinstance(condition, Matches) else 0.0

    def _exists(self, found: Exists, rows: float, *, joins: bool) -> float:
        relationship = found.relationship
        target, children = relationship.target, min(rows * self._listed(relationship), _MOST)
        one_by_one = rows * _LOOK_UP + children
        one_by_one += self._condition(target, found.condition, children, joins=joins)
        if not joins or relationship.is_optional:
            return min(one_by_one, _MOST)
        every = self.sizes.rows(target)
        hashed = rows + every + self._condition(target, found.condition, every)
        return min(one_by_one, hashed)


def _has_indexed_order(entity: str, shape: PageShape) -> bool:
    """Whether an index gives the rows of the page, so that no others are looked at."""
    first = shape.order[0].term
    is_by_index = isinstance(first, Attribute) and is_indexed(entity, first.name)
    return shape.where is None and is_by_index


def _share(entity: str, condition: Condition | None, rows: float) -> float:
    """The rows of a list that an index leaves to look at for a condition."""
    match condition:
        case AllOf(conditions):
            return min((_share(entity, each, rows) for each in conditions), default=rows)
        case Test(Attribute(name), "eq" | "in"):
            if is_unique(entity, name):
                return min(rows, _FOUND_BY_KEYS)
            return rows * _FOUND_BY_INDEX if is_indexed(entity, name) else rows
    return rows
