"""Terms and conditions become SQL.

Operands are parameters, without a length or a scale: a cast to varchar(50) or numeric(10, 2) would
change what the client asked for. Times are bound as text, since the driver cannot say the first and
the last moment that a column can hold.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Numeric,
    String,
    and_,
    any_,
    bindparam,
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

from graph.database.reads.columns import Row, column_of, table_of
from graph.database.search import is_found, rank_of
from graph.database.search_functions import MISSPELLED
from graph.database.types import JsonText
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
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.types import TypeEngine

    from graph.selection import Condition, Relationship, Term

# Digits after the point of an average: PostgreSQL's own scale depends on the values.
_SCALE_OF_AVERAGES: ColumnElement[int] = literal_column("6")
# A bucket begins where years do, and not in the year before in which some zone has it begin.
_FIRST_TIME: ColumnElement[Any] = literal_column("timestamptz '0001-01-01 00:00:00+00'")


class ScalarKind(Enum):
    """What values a term has: how they are bound, compared, and said in JSON."""

    INTEGER = Integer()
    COUNT = BigInteger()
    DECIMAL = Numeric()
    TIME = DateTime(timezone=True)
    TEXT = String()
    BOOLEAN = Boolean()
    JSON = JsonText()  # it is only read

    def bound(self, name: str, *, is_list: bool = False) -> ColumnElement[Any]:
        """A parameter of this kind, or an array of them."""
        type_: TypeEngine[Any] = self.value
        said: TypeEngine[Any] = String() if self is ScalarKind.TIME else type_
        sql: ColumnElement[Any] = bindparam(name, type_=ARRAY(said) if is_list else said)
        return cast(sql, ARRAY(type_) if is_list else type_) if said is not type_ else sql


def kind_of(entity: str, term: Term) -> ScalarKind:  # noqa: PLR0911  one for each
    match term:
        case Attribute():
            return _kind_of_column(column_of(entity, term.name))
        case Through():
            return kind_of(term.relationship.target, term.term)
        case Measure(function="count" | "distinct"):
            return ScalarKind.COUNT
        case Measure(function="min" | "max"):
            target = term.relationship.target if term.relationship else entity
            return _kind_of_column(column_of(target, term.column))
        case Bucket():
            return ScalarKind.TIME
        case Rank():
            return ScalarKind.INTEGER
        case _:
            return ScalarKind.DECIMAL


def is_stored(entity: str, term: Term) -> bool:
    """Whether the term is a column of the table, so that an index can have it."""
    return isinstance(term, Attribute) and hasattr(column_of(entity, term.name), "nullable")


def can_be_null(entity: str, term: Term) -> bool:
    """A computed column is null only where it is declared so: none is."""
    match term:
        case Attribute():
            return bool(getattr(column_of(entity, term.name), "nullable", False))
        case Through():
            key = Attribute(term.relationship.source_column or "id")
            return can_be_null(entity, key) or can_be_null(term.relationship.target, term.term)
        case Measure(function="count" | "distinct"):
            return False
        case Bucket():
            return can_be_null(entity, term.term)
        case _:
            return isinstance(term, Measure)


class ExpressionCompiler:
    """The SQL of terms and conditions over one row; `prefix` begins the names of parameters.

    With `joins`, rows across a relationship are joined to this one, once each: right for a
    statement that puts rows together. Without, each term finds them by itself.
    """

    def __init__(self, row: Row, prefix: str = "", *, joins: bool = False) -> None:
        self.row = row
        self._prefix = prefix
        self._joined: dict[Relationship, tuple[ExpressionCompiler, ColumnElement[bool]]] | None = (
            {} if joins else None
        )

    def source(self) -> Any:
        """The row's table with all that was joined to it."""
        source = self.row.source
        for joined, belongs in (self._joined or {}).values():
            source = source.join(joined.source(), belongs)
        return source

    def term(self, term: Term) -> ColumnElement[Any]:
        match term:
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
                zone = self._operand(term.zone, ScalarKind.TEXT)
                begins = func.date_trunc(
                    literal_column(f"'{term.unit}'"), self.term(term.term), zone
                )
                return func.greatest(begins, _FIRST_TIME)

    def condition(self, condition: Condition) -> ColumnElement[bool]:  # noqa: PLR0911  one for each
        """The SQL of a condition; it may be NULL where it is not true."""
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

    def selected(self, what: Any, *conditions: ColumnElement[bool]) -> Any:
        """A sub-select over this row alone: whatever else it names is outside of it."""
        found = select(what).select_from(self.row.source).where(*conditions)
        return found.correlate_except(self.row.source)

    def _operand(
        self, number: int, kind: ScalarKind, *, is_list: bool = False
    ) -> ColumnElement[Any]:
        return kind.bound(f"{self._prefix}o{number}", is_list=is_list)

    def _across(self, relationship: Relationship) -> tuple[ExpressionCompiler, ColumnElement[bool]]:
        row, belongs = self.row.across(relationship)
        return ExpressionCompiler(row, self._prefix), belongs

    def _over(self, relationship: Relationship | None, term: Term) -> ColumnElement[Any]:
        """A term of what the relationship leads to, as a value of this row."""
        assert relationship is not None  # noqa: S101  only a group's own measures have none
        inner, belongs = self._across(relationship)
        value: ColumnElement[Any] = inner.selected(inner.term(term), belongs).scalar_subquery()
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
        return self._joined[term.relationship][0].term(term.term)

    def _exists(self, found: Exists) -> ColumnElement[bool]:
        inner, belongs = self._across(found.relationship)
        what = inner.selected(literal_column("1"), belongs, inner.condition(found.condition))
        return exists(what)

    def _is_found(self, text: int, tier: int) -> ColumnElement[bool]:
        entity, operand = self.row.entity, self._operand(text, ScalarKind.TEXT)
        return is_found(entity, table_of(entity), self.row.column, operand, tier)

    def _measure(self, measure: Measure) -> ColumnElement[Any]:
        if measure.column is None:
            return func.count()
        return _MEASURES[measure.function](self.row.column(measure.column))

    def _test(self, test: Test) -> ColumnElement[bool]:
        term = self.term(test.term)
        if test.operand is None:
            return term.is_(None)
        kind = kind_of(self.row.entity, test.term)
        operand = self._operand(test.operand, kind, is_list=test.operator == "in")
        return _TESTS[test.operator](term, operand)


_MEASURES: dict[str, Callable[[ColumnElement[Any]], ColumnElement[Any]]] = {
    # The sum of integers is a bigint, which JSON numbers cannot say: all sums are exact decimals.
    "sum": lambda column: cast(func.sum(column), Numeric()),
    "avg": lambda column: func.round(func.avg(column), _SCALE_OF_AVERAGES),
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
}


def _kind_of_column(column: ColumnElement[Any]) -> ScalarKind:
    match column.type:
        case Integer():
            return ScalarKind.INTEGER
        case Numeric():
            return ScalarKind.DECIMAL
        case DateTime():
            return ScalarKind.TIME
        case Boolean():
            return ScalarKind.BOOLEAN
        case JsonText():
            return ScalarKind.JSON
        case _:
            return ScalarKind.TEXT
