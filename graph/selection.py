"""What is asked of one noun, as plain data: without a word of GraphQL or SQL.

The words used here, and everywhere else:

    noun        what the store holds: Customer, Item, Order, OrderLine
    column      one value of a noun's row, stored or computed
    edge        a named way from one noun's rows to another's; from the root, its source is None
    page        a stretch of a list: how many rows, from which end, between which cursors
    part        what is asked of a connection: its nodes, edges, pageInfo, totalCount
    key         in a selection: the name under which the value stands in the answer

Fields are in the order of the answer. Selections compare and hash by value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Edge:
    """`name` states result and key: `orders_of_customer`.

    A row of `target` belongs to a row of `source` when its `target_column` equals the other's
    `source_column`. From the root there is no source; without a `target_column` the edge leads to
    every row of the target.
    """

    name: str
    target: str
    target_column: str | None = None
    source: str | None = None
    source_column: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Exactly one of `first` and `last` is set; `after` and `before` are key values."""

    first: int | None = DEFAULT_PAGE_SIZE
    last: int | None = None
    after: int | None = None
    before: int | None = None

    @property
    def backwards(self) -> bool:
        return self.first is None

    @property
    def size(self) -> int:
        return (self.last if self.first is None else self.first) or 0


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class GlobalId:
    key: str


@dataclass(frozen=True, slots=True)
class Typename:
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A field that a Python resolver answers: it may read any column of its row."""

    key: str


@dataclass(frozen=True, slots=True)
class One:
    """At most one row. `at` is the key value when the operation itself names it: a lookup."""

    key: str
    edge: Edge
    to: Selection
    at: int | str | None = None


@dataclass(frozen=True, slots=True)
class Nodes:
    """Rows of any noun by global id: `ids` are (noun, key value); one answer per id, same order.

    `to` holds a selection for each noun that can be among them.
    """

    key: str
    ids: tuple[tuple[str, int], ...]
    to: tuple[Selection, ...]
    many: bool


@dataclass(frozen=True, slots=True)
class Many:
    """A connection: a page of the rows of an edge, and what is asked about it."""

    key: str
    edge: Edge
    page: Page
    parts: tuple[Part, ...]

    @property
    def rows(self) -> tuple[Selection, ...]:
        """What is asked of the rows themselves, under each of the names they are asked by."""
        lists = [part.to for part in self.parts if isinstance(part, NodeList)]
        edges = [part for part in self.parts if isinstance(part, EdgeList)]
        return (
            *lists,
            *(field.to for part in edges for field in part.fields if isinstance(field, EdgeNode)),
        )

    @property
    def needs_rows(self) -> bool:
        return any(isinstance(part, NodeList | EdgeList | PageInfo) for part in self.parts)

    @property
    def page_info(self) -> frozenset[str]:
        """The names asked of `pageInfo`."""
        infos = [part for part in self.parts if isinstance(part, PageInfo)]
        return frozenset(
            field.name for part in infos for field in part.fields if isinstance(field, Column)
        )


@dataclass(frozen=True, slots=True)
class NodeList:
    key: str
    to: Selection


@dataclass(frozen=True, slots=True)
class EdgeList:
    key: str
    fields: tuple[EdgeNode | EdgeCursor | Typename | Resolved, ...]


@dataclass(frozen=True, slots=True)
class EdgeNode:
    key: str
    to: Selection


@dataclass(frozen=True, slots=True)
class EdgeCursor:
    key: str


@dataclass(frozen=True, slots=True)
class PageInfo:
    key: str
    fields: tuple[Column | Typename | Resolved, ...]


@dataclass(frozen=True, slots=True)
class TotalCount:
    key: str


Part: TypeAlias = NodeList | EdgeList | PageInfo | TotalCount | Typename | Resolved
Field: TypeAlias = Column | GlobalId | Typename | Resolved | One | Many


@dataclass(frozen=True, slots=True)
class Selection:
    noun: str
    fields: tuple[Field, ...]
