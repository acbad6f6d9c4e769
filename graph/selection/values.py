"""The values of an operation's arguments, by index. Their `shape` leaves the values out.

Nothing changes a value once it is made. Those that each request makes are not frozen all the same:
a frozen one takes three times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.selection.terms import BY_KEY, Condition, Sort, Term, terms_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
MAX_OFFSET = 10_000
MAX_GROUPS = 1_000
# All that can be paged through, if some are of empty buckets.
MAX_FILLED_GROUPS = MAX_OFFSET + MAX_GROUPS
DEFAULT_COUNT_LIMIT = 10_000
MAX_COUNT_LIMIT = 1_000_000
MAX_KEYS = 8
MAX_SORTS = 8
# What one filter may say: its predicates, how deep they are nested, the values of one list.
MAX_PREDICATES = 100
MAX_DEPTH = 10
MAX_VALUES = 1_000
MAX_SEARCH_CHARS = 200

# The values of a row by which the list is sorted, in the order of the sorts.
Cursor: TypeAlias = tuple[Any, ...]


@dataclass(slots=True)
class PageShape:
    """The shape of a page. `after` and `before` tell which values of the cursors are null.

    `short` is a page after a cursor of several values whose size is at most the default.
    """

    backwards: bool = False
    after: tuple[bool, ...] | None = None
    before: tuple[bool, ...] | None = None
    offset: bool = False
    where: Condition | None = None
    order: tuple[Sort, ...] = BY_KEY
    short: bool = False
    # Kept, since a long condition takes long to hash.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields = (self.backwards, self.after, self.before, self.offset, self.where, self.order)
        self._hash = hash(fields)

    def __hash__(self) -> int:
        return self._hash


@dataclass(slots=True, unsafe_hash=True)
class Page:
    """A section of a list. Exactly one of `first` and `last` is set.

    `order` is complete: its last sort is by the key. `where` refers to values by their index in
    `operands`.
    """

    first: int | None = DEFAULT_PAGE_SIZE
    last: int | None = None
    after: Cursor | None = None
    before: Cursor | None = None
    offset: int = 0
    where: Condition | None = None
    order: tuple[Sort, ...] = BY_KEY
    operands: tuple[Any, ...] = ()
    # Of this page, if it is known.
    kept_shape: PageShape | None = field(default=None, compare=False, repr=False)

    @property
    def size(self) -> int:
        return (self.last if self.first is None else self.first) or 0

    @property
    def outline(self) -> tuple[Any, ...]:
        """What its shape depends on, beside its condition and its order."""
        after, before = _nulls(self.after), _nulls(self.before)
        return self.first is None, after, before, self.offset > 0, self._is_short

    @property
    def shape(self) -> PageShape:
        if self.kept_shape is not None:
            return self.kept_shape
        backwards, after, before, offset, short = self.outline
        return PageShape(backwards, after, before, offset, self.where, self.order, short)

    def with_operands(self, operands: tuple[Any, ...]) -> Page:
        """The same page for other operands of its condition."""
        return Page(
            self.first,
            self.last,
            self.after,
            self.before,
            self.offset,
            self.where,
            self.order,
            operands,
            self.kept_shape,
        )

    @property
    def _is_short(self) -> bool:
        beyond_cursor = self.after is not None or self.before is not None
        return beyond_cursor and len(self.order) > 1 and self.size <= DEFAULT_PAGE_SIZE


@dataclass(slots=True, unsafe_hash=True)
class Key:
    """The unique value of a look-up."""

    column: str
    value: Any

    @property
    def shape(self) -> str:
        return self.column


@dataclass(slots=True, unsafe_hash=True)
class Ids:
    """The entity and key of each global id; "" and None for one that is malformed.

    `problems` has an error for each of these, by its index.
    """

    keys: tuple[tuple[str, int | UUID | None], ...]
    problems: tuple[tuple[int, Exception], ...] = ()

    @property
    def size(self) -> int:
        return len(self.keys)

    @property
    def shape(self) -> None:
        return None


@dataclass(slots=True, unsafe_hash=True)
class Limit:
    """The number to count to."""

    size: int

    @property
    def shape(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class GroupingShape:
    by: tuple[Term, ...] = ()
    having: Condition | None = None
    order: tuple[Sort, ...] = ()

    @property
    def terms(self) -> tuple[Term, ...]:
        return (*self.by, *terms_in(self.having), *(sort.term for sort in self.order))


@dataclass(frozen=True, slots=True)
class Grouping:
    """The grouping of rows by the values of terms; `size` groups after the first `offset`."""

    by: tuple[Term, ...] = ()
    having: Condition | None = None
    order: tuple[Sort, ...] = ()
    operands: tuple[Any, ...] = ()
    size: int = DEFAULT_PAGE_SIZE
    offset: int = 0

    @property
    def shape(self) -> GroupingShape:
        return GroupingShape(self.by, self.having, self.order)


@dataclass(slots=True, unsafe_hash=True)
class Arguments:
    """The arguments of a mutation, or of a field with a Python resolver.

    `size` is the number of elements of all lists in them.
    """

    given: Mapping[str, Any]

    @property
    def size(self) -> int:
        elements, ahead = 0, [*self.given.values()]
        for value in ahead:  # the list grows meanwhile
            if isinstance(value, dict):
                ahead += value.values()
            elif isinstance(value, list):
                elements += len(value)
                ahead += value
        return elements

    @property
    def shape(self) -> None:
        return None


Value: TypeAlias = Page | Key | Ids | Limit | Grouping | Arguments


def _nulls(cursor: Cursor | None) -> tuple[bool, ...] | None:
    return None if cursor is None else tuple([value is None for value in cursor])
