"""Terms, conditions and sorts over a row. None of them contains a client's value.

A client's value, an operand, is kept apart: a condition refers to it by index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Association:
    """The table of a many-to-many relationship; a row pairs a source with a target."""

    table: str
    to_source: str
    to_target: str


@dataclass(frozen=True, slots=True)
class Relationship:
    """`name` states result and key: `orders_of_customer`.

    A row of `target` belongs to a row of `source` when its `target_column` equals the other's
    `source_column`; or, with an `association`, when a row there pairs these values. From the root
    there is no source; without a `target_column` the relationship leads to every row of the target.

    One that is no list leads to one row; if it `is_optional`, to none at times.
    """

    name: str
    target: str
    target_column: str | None = None
    source: str | None = None
    source_column: str | None = None
    association: Association | None = None
    is_list: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of the row, stored or computed."""

    name: str


@dataclass(frozen=True, slots=True)
class Through:
    """A term over the row of a to-one relationship."""

    relationship: Relationship
    term: Term


@dataclass(frozen=True, slots=True)
class Measure:
    """An aggregate: `function` is count, sum, avg, min, max, distinct; or groups, their number.

    It is taken over the rows of `relationship`, or of the group without one. A count has no
    `column`.
    """

    function: str
    column: str | None = None
    relationship: Relationship | None = None


@dataclass(frozen=True, slots=True)
class Rank:
    """The rank of a row in a search; larger is better."""

    text: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The start of the hour, day, ... of a time; `zone` is an operand.

    Weeks begin on `first_weekday`: 0 is Monday, 6 Sunday. With `fills` there are groups of the
    buckets that have no rows.
    """

    term: Term
    unit: str
    zone: int
    first_weekday: int = 0
    fills: bool = False


Term: TypeAlias = Attribute | Through | Measure | Rank | Bucket


def grouped(term: Term, by: Iterable[Term]) -> Term | None:
    """The term as a key of the group: itself, or its bucket; None if it is not in `by`."""
    if isinstance(term, Measure):
        return term
    for key in by:
        if term in (key, key.term if isinstance(key, Bucket) else None):
            return key
    return None


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort by a term. `nulls_first` matters for nullable terms."""

    term: Term
    descending: bool = False
    nulls_first: bool = False

    @property
    def reversed(self) -> Sort:
        return Sort(self.term, not self.descending, not self.nulls_first)


# The default order, which also completes every other order.
BY_KEY = (Sort(Attribute("id")),)
_DIGEST_LENGTH = 10


@lru_cache(maxsize=1024)
def sort_of(entity: str, sorts: tuple[Sort, ...] = BY_KEY) -> str:
    """The name of an order of an entity's rows, which is unique for each order."""
    if sorts == BY_KEY:
        return f"{entity}:id"
    names = ",".join(map(str, sorts))
    return f"{entity}:{sha256(names.encode()).hexdigest()[:_DIGEST_LENGTH]}"


@dataclass(frozen=True, slots=True)
class Test:
    """A term beside an operand: never true where the term is null.

    `operator` is eq, in, lt, lte, gt, gte, like, ilike or same (without regard to case); `is_null`
    has no operand.
    """

    __test__ = False  # pytest takes the name for its own

    term: Term
    operator: str
    operand: int | None = None


@dataclass(frozen=True, slots=True)
class AllOf:
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a condition, which is never null; `negated` makes it."""

    condition: Test | Exists | Matches


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether the relationship has a row that matches the condition."""

    relationship: Relationship
    condition: Condition


@dataclass(frozen=True, slots=True)
class Matches:
    """Whether the row matches every word: exactly, by its beginning, or by similarity."""

    text: int


Condition: TypeAlias = Test | AllOf | AnyOf | Not | Exists | Matches


def negated(condition: Condition) -> Condition:
    """The opposite of a condition, with `Not` around single tests, searches and `Exists` only.

    PostgreSQL turns an `Exists` into a join if it is a condition of its own, negated or not. It
    looks into no other negation and no `AnyOf`, and would look up the children row by row.
    """
    match condition:
        case Not(inner):
            return inner
        case AllOf(conditions):
            return AnyOf(tuple(map(negated, conditions)))
        case AnyOf(conditions):
            return AllOf(tuple(map(negated, conditions)))
        case Exists(relationship, AnyOf(conditions)) if any(map(looks_across, conditions)):
            # None matches this or that: none matches this, and none matches that.
            alone = [each for each in conditions if looks_across(each)]
            together = AnyOf(tuple(each for each in conditions if not looks_across(each)))
            parts = [*alone, together] if together.conditions else alone
            return AllOf(tuple(negated(Exists(relationship, part)) for part in parts))
    return Not(condition)


def looks_across(condition: Condition | None) -> bool:
    """Whether there is an `Exists` in a condition, which looks at rows of another table."""
    match condition:
        case AllOf(conditions) | AnyOf(conditions):
            return any(map(looks_across, conditions))
        case Not(inner):
            return looks_across(inner)
    return isinstance(condition, Exists)


def columns_read(terms: Iterable[Term]) -> frozenset[str]:
    """The columns of a row that terms are read from, those that lead to other rows included."""
    names = set()
    for term in terms:
        match term:
            case Attribute(name) | Measure(column=str(name), relationship=None):
                names.add(name)
            case Bucket():
                names |= columns_read([term.term])
            case Through(relationship) | Measure(relationship=Relationship() as relationship):
                names.add(relationship.source_column or "id")
    return frozenset(names)


def terms_in(condition: Condition | None) -> Iterator[Term]:
    """The terms of the row itself that a condition compares."""
    match condition:
        case Test(term):
            yield term
        case AllOf(conditions) | AnyOf(conditions):
            for each in conditions:
                yield from terms_in(each)
        case Not(inner):
            yield from terms_in(inner)


_BOUNDS = {"gt", "gte", "lt", "lte"}


def bounds_in(condition: Condition | None, term: Term) -> Iterator[Test]:
    """The tests that keep a term of all rows that match a condition within bounds."""
    match condition, term:
        case AllOf(conditions), _:
            for each in conditions:
                yield from bounds_in(each, term)
        case Test(tested, operator), _ if tested == term and operator in _BOUNDS:
            yield condition
        case Exists(relationship, inner), Through(leads, inner_term) if relationship == leads:
            yield from bounds_in(inner, inner_term)


def searches_in(condition: Condition | None) -> int:
    """The number of searches in a condition."""
    match condition:
        case Matches():
            return 1
        case AllOf(conditions) | AnyOf(conditions):
            return sum(searches_in(each) for each in conditions)
        case Not(inner) | Exists(condition=inner):
            return searches_in(inner)
    return 0
