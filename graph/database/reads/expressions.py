"""Compiles terms and conditions to SQL.

Operands are parameters without length or scale: a cast to varchar(50) or numeric(10, 2) would
change the client's value. Times are bound as text, since the driver cannot represent the first and
last times of a column.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Interval,
    Numeric,
    and_,
    any_,
    case,
    cast,
    distinct,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.sql.elements import False_, True_

from graph.database.kinds import Scalar, ScalarKind
from graph.database.reads.buckets import Buckets
from graph.database.reads.columns import Row, column_of, scalar_of_column, table_of
from graph.database.reads.empty_buckets import Span
from graph.database.search import is_found, rank_of
from graph.database.search_functions import MISSPELLED
from graph.selection import (
    AllOf,
    AnyOf,
    Attribute,
    Bucket,
    Exists,
    Matches,
    Measure,
    Not,
    Rank,
    Test,
    Through,
    bounds_in,
    terms_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import FromClause, Select

    from graph.selection import Condition, Relationship, Term

_WORD = Scalar(ScalarKind.TEXT)
_NOTHING: ColumnElement[int] = literal_column("0")
# From a bound that is not among the moments to the nearest one that is.
_NEXT: dict[str, ColumnElement[Any]] = {
    "gt": literal_column("interval '1 microsecond'", Interval),
    "lt": literal_column("interval '-1 microsecond'", Interval),
}
_OPERATORS_OF_LISTS = {"has_every", "has_some"}
# Digits after the point of an average: PostgreSQL's own scale depends on the values.
_SCALE_OF_AVERAGES: ColumnElement[int] = literal_column("6")


def scalar_of(entity: str, term: Term) -> Scalar:  # noqa: PLR0911  one for each
    """The description of the values of a term over an entity's rows."""
    match term:
        case Attribute():
            return scalar_of_column(entity, term.name)
        case Through():
            inner = scalar_of(term.relationship.target, term.term)
            return replace(inner, is_nullable=inner.is_nullable or term.relationship.is_optional)
        case Measure(function="count" | "distinct" | "groups"):
            return Scalar(ScalarKind.COUNT)
        case Measure(function="min" | "max", column=str(column)):
            target = term.relationship.target if term.relationship else entity
            return replace(scalar_of_column(target, column), is_nullable=True, is_required=False)
        case Bucket():
            return Scalar(ScalarKind.TIME, is_nullable=scalar_of(entity, term.term).is_nullable)
        case Rank():
            return Scalar(ScalarKind.INTEGER)
        case _:
            return Scalar(ScalarKind.DECIMAL, is_nullable=isinstance(term, Measure))


def can_be_null(entity: str, term: Term) -> bool:
    """Whether the term's SQL can be NULL."""
    return scalar_of(entity, term).is_nullable


def is_stored(entity: str, term: Term) -> bool:
    """Whether the term is a column of the table, so that an index can contain it."""
    return isinstance(term, Attribute) and isinstance(column_of(entity, term.name), Column)


def measured_together(terms: Iterable[Term]) -> list[tuple[Relationship, tuple[Measure, ...]]]:
    """The measures of children that several of the terms look at, by relationship."""
    by: defaultdict[Relationship, dict[Measure, None]] = defaultdict(dict)
    for term in terms:
        if isinstance(term, Measure) and term.relationship is not None:
            by[term.relationship][Measure(term.function, term.column)] = None
    return [(children, tuple(measures)) for children, measures in by.items() if len(measures) > 1]


class ExpressionCompiler:
    """Compiles terms and conditions over one row; `prefix` begins the names of parameters.

    With `joins`, rows across a to-one relationship are joined once each, and buckets too. Without,
    each term uses a sub-select. Terms that are `known` are columns.

    Several of `terms` that measure the same children are measured together, once for each row.
    """

    def __init__(
        self,
        row: Row,
        prefix: str = "",
        *,
        joins: bool = False,
        known: Mapping[Term, ColumnElement[Any]] = MappingProxyType({}),
        terms: Iterable[Term] = (),
    ) -> None:
        self.row = row
        self._prefix = prefix
        self._joined: dict[Relationship, tuple[ExpressionCompiler, ColumnElement[bool]]] | None = (
            {} if joins else None
        )
        self._buckets = Buckets()
        self._measured = {each: self._lateral(*each) for each in measured_together(terms)}
        self._known = {**known, **self._columns_of_measures()}

    def source(self) -> Any:
        """The row's table with all joins."""
        source = self.row.source
        for lateral in self._measured.values():
            source = source.join(lateral, true())
        for relationship, (joined, belongs) in (self._joined or {}).items():
            is_optional = relationship.is_optional
            source = source.join(joined.source(), belongs, isouter=is_optional)
        return self._buckets.joined_to(source)

    def term(self, term: Term) -> ColumnElement[Any]:  # noqa: PLR0911  one for each
        match term:
            case _ if term in self._known:
                return self._known[term]
            case Attribute():
                return self.row.column(term.name)
            case Through():
                return self._through(term)
            case Measure(relationship=None):
                return self._measure(term)
            case Measure(relationship=relationship):
                return self._over(relationship, Measure(term.function, term.column))
            case Rank():
                return rank_of(partial(self._is_found, term.text))
            case Bucket():
                return self._buckets.key(term, self.term(term.term), self.zone_of(term))

    def zone_of(self, bucket: Bucket) -> ColumnElement[Any]:
        return self._operand(bucket.zone, _WORD)

    def span_in(self, where: Condition | None, bucket: Bucket) -> Span:
        """The first and the last moment of a bucket's term that a filter admits."""
        scalar, ends = Scalar(ScalarKind.TIME), defaultdict[bool, list[Any]](list)
        for test in bounds_in(where, bucket.term):
            assert test.operand is not None  # noqa: S101  a comparison has one
            moment = self._operand(test.operand, scalar)
            if test.operator in _NEXT:
                moment = moment + _NEXT[test.operator]
            ends[test.operator.startswith("l")].append(moment)
        return Span(
            func.greatest(*ends[False]) if ends[False] else None,
            func.least(*ends[True]) if ends[True] else None,
        )

    def condition(self, condition: Condition) -> ColumnElement[bool]:  # noqa: PLR0911  one for each
        """The SQL of a condition; it may be NULL instead of false."""
        match condition:
            case AllOf():
                return and_(true(), *map(self.condition, condition.conditions))
            case AnyOf():
                return or_(false(), *map(self.condition, condition.conditions))
            case Not(condition=Exists() as found):
                return ~self._exists(found)
            case Not():
                return self.condition(condition.condition).is_not(true())
            case Exists():
                return self._exists(condition)
            case Matches():
                return self._is_found(condition.text, MISSPELLED)
            case Test():
                return self._test(condition)

    def selected(self, what: Iterable[Any], *conditions: ColumnElement[bool]) -> Any:
        """A sub-select over this row alone; all other names in it are correlated."""
        found = select(*what).select_from(self.source()).where(*conditions)
        return found.correlate_except(self.row.source)

    def measures(self, rows: Callable[..., Select[Any]], terms: Sequence[Term]) -> Select[Any]:
        """One row with the measures of `rows` as t0, t1, ...; `rows` selects from this row.

        A computed column is computed once for each row, though several measures are taken of it.
        """
        entity, measured = self.row.entity, self
        named = {term.column for term in terms if isinstance(term, Measure) and term.column}
        if any(not is_stored(entity, Attribute(name)) for name in named):
            columns = [self.term(Attribute(name)).label(name) for name in sorted(named)]
            found = rows(*columns).offset(_NOTHING).subquery()
            measured, rows = ExpressionCompiler(Row(entity, found, names=found.c)), select
        values = [measured.term(term).label(f"t{nth}") for nth, term in enumerate(terms)]
        return rows(*values) if values else rows(func.count())

    def _lateral(self, relationship: Relationship, measures: Sequence[Measure]) -> FromClause:
        """The measures of the row's children, in one row."""
        inner, belongs = self._across(relationship)
        return inner.measures(lambda *what: inner.selected(what, belongs), measures).lateral()

    def _columns_of_measures(self) -> dict[Term, ColumnElement[Any]]:
        return {
            Measure(measure.function, measure.column, relationship): lateral.c[f"t{nth}"]
            for (relationship, measures), lateral in self._measured.items()
            for nth, measure in enumerate(measures)
        }

    def _operand(self, number: int, scalar: Scalar, *, is_list: bool = False) -> ColumnElement[Any]:
        return scalar.bound(f"{self._prefix}o{number}", is_list=is_list)

    def _across(
        self, relationship: Relationship, terms: Iterable[Term] = ()
    ) -> tuple[ExpressionCompiler, ColumnElement[bool]]:
        row, belongs = self.row.across(relationship)
        return ExpressionCompiler(row, self._prefix, terms=terms), belongs

    def _over(self, relationship: Relationship | None, term: Term) -> ColumnElement[Any]:
        """A term over the relationship's target, as a value of this row."""
        assert relationship is not None  # noqa: S101  only a group's own measures have none
        inner, belongs = self._across(relationship)
        value: ColumnElement[Any] = inner.selected([inner.term(term)], belongs).scalar_subquery()
        return value

    def _through(self, term: Through) -> ColumnElement[Any]:
        if self._joined is None:
            return self._over(term.relationship, term.term)
        if term.relationship not in self._joined:
            row, belongs = self.row.across(term.relationship)
            self._joined[term.relationship] = (
                ExpressionCompiler(row, self._prefix, joins=True),
                belongs,
            )
        joined = self._joined[term.relationship][0]
        value = joined.term(term.term)
        if not term.relationship.is_optional or is_stored(joined.row.entity, term.term):
            return value
        # What is computed of a row that is not there may be a value all the same, such as 0.
        return case((joined.row.column("id").is_not(None), value))

    def _exists(self, found: Exists) -> ColumnElement[bool]:
        inner, belongs = self._across(found.relationship, terms_in(found.condition))
        what = inner.selected([literal_column("1")], belongs, inner.condition(found.condition))
        if not found.relationship.is_optional:
            return exists(what)
        return or_(exists(what), and_(self._met_by_null(found.condition), ~self._leads(found)))

    def _leads(self, found: Exists) -> ColumnElement[bool]:
        """Whether a to-one relationship has a row."""
        inner, belongs = self._across(found.relationship)
        return exists(inner.selected([literal_column("1")], belongs))

    def _met_by_null(self, condition: Condition) -> ColumnElement[bool]:  # noqa: PLR0911
        """Whether a missing row matches a condition: its values are null and its lists are empty.

        So a condition across a relationship and its `not` are exact opposites.
        """
        match condition:
            case AllOf():
                return and_(true(), *map(self._met_by_null, condition.conditions))
            case AnyOf():
                return or_(false(), *map(self._met_by_null, condition.conditions))
            case Not():
                met = self._met_by_null(condition.condition)
                return ~met if isinstance(met, True_ | False_) else met.is_not(true())
            case Exists(relationship=relationship) if not relationship.is_list:
                return self._met_by_null(condition.condition)
            case Test(term=Measure(function="count")):
                return self._tested(condition, _NOTHING, Scalar(ScalarKind.COUNT))
            case Test(operator="is_null"):
                return true()
        return false()

    def _is_found(self, text: int, tier: int) -> ColumnElement[bool]:
        entity, operand = self.row.entity, self._operand(text, _WORD)
        others = Row(entity, table_of(entity).alias())
        return is_found(entity, self.row.column, others.source, others.column, operand, tier)

    def _measure(self, measure: Measure) -> ColumnElement[Any]:
        if measure.function == "groups":
            return func.count().over()
        if measure.column is None:
            return func.count()
        return _MEASURES[measure.function](self.row.column(measure.column))

    def _test(self, test: Test) -> ColumnElement[bool]:
        scalar = scalar_of(self.row.entity, test.term)
        if test.operator in _OPERATORS_OF_LISTS and isinstance(test.term, Attribute):
            # These take no notice of NULL among the elements, and an index has the column.
            return self._tested(test, self.row.attribute(test.term.name), scalar)
        return self._tested(test, self.term(test.term), scalar)

    def _tested(self, test: Test, term: ColumnElement[Any], scalar: Scalar) -> ColumnElement[bool]:
        if test.operand is None:
            is_null = test.operator == "is_null"
            return term.is_(None) if is_null else func.cardinality(term) == _NOTHING
        operand = self._operand(test.operand, scalar, is_list=test.operator == "in")
        return _TESTS[test.operator](term, operand)


def _exact(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A sum of floats depends on their order, and can be infinite; one of decimals is neither."""
    return cast(column, Numeric()) if isinstance(column.type, Float) else column


_MEASURES: dict[str, Callable[[ColumnElement[Any]], ColumnElement[Any]]] = {
    # The sum of integers is a bigint, which JSON numbers cannot say: all sums are exact decimals.
    "sum": lambda column: cast(func.sum(_exact(column)), Numeric()),
    "avg": lambda column: func.round(func.avg(_exact(column)), _SCALE_OF_AVERAGES),
    "min": func.min,
    "max": func.max,
    "distinct": lambda column: func.count(distinct(column)),
}

_TESTS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": lambda term, operand: term == operand,
    "in": lambda term, operand: term == any_(operand),
    "lt": lambda term, operand: term < operand,
    "lte": lambda term, operand: term <= operand,
    "gt": lambda term, operand: term > operand,
    "gte": lambda term, operand: term >= operand,
    "like": lambda term, operand: term.like(operand),
    "ilike": lambda term, operand: term.ilike(operand),
    "same": lambda term, operand: func.lower(term) == func.lower(operand),
    "has_every": lambda term, operand: term.op("@>", is_comparison=True)(operand),
    "has_some": lambda term, operand: term.op("&&", is_comparison=True)(operand),
}
