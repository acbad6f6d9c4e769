"""What is asked of one noun, as plain data: without a word of GraphQL or SQL.

The words used here, and everywhere else:

    noun        what the store holds: Customer, Item, Order, OrderLine
    column      one value of a noun's row, stored or computed
    edge        a named way from one noun's rows to another's; from the root, its source is None
    page        a stretch of a list: how many rows, from which end, between which cursors
    part        what is asked of a connection: its nodes, edges, pageInfo, totalCount
    key         in a selection: the name under which the value stands in the answer
    place       where an argument's value stands among the values of the operation

Fields are in the order of the answer. A selection holds no values: those that the arguments say
stand apart, each at its place, so that two operations that differ in values only have one
selection, and one statement. Selections compare and hash by value.
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
    def size(self) -> int:
        return (self.last if self.first is None else self.first) or 0

    @property
    def shape(self) -> PageShape:
        return PageShape(self.first is None, self.after is not None, self.before is not None)


@dataclass(frozen=True, slots=True)
class PageShape:
    """What is left of a page when its numbers and cursors are taken out."""

    backwards: bool = False
    after: bool = False
    before: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """The unique value that a look-up names."""

    column: str
    value: int | str

    @property
    def shape(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class Ids:
    """The noun and key of each global id."""

    keys: tuple[tuple[str, int], ...]

    @property
    def shape(self) -> None:
        return None


# What an operation's arguments say at one place.
Value: TypeAlias = Page | Key | Ids


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
    """A field that a Python resolver answers: it may read any column of its row.

    `name` says which, as in `Customer.fullName`.
    """

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class One:
    """At most one row. A look-up has a `place`: that of the key value among the values."""

    key: str
    edge: Edge
    to: Selection
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Nodes:
    """Rows of any noun by global id: one answer per id, same order; the ids are at `place`.

    `to` holds a selection for each noun that can be among them. Without `many` it is one id, and
    its row is not in a list.
    """

    key: str
    place: int
    to: tuple[Selection, ...]
    many: bool


@dataclass(frozen=True, slots=True)
class Many:
    """A connection: a page of the rows of an edge, and what is asked about it.

    `place` is that of the page among the values.
    """

    key: str
    edge: Edge
    place: int
    shape: PageShape
    parts: tuple[Part, ...]

    @property
    def rows(self) -> tuple[Selection, ...]:
        """What is asked of the rows themselves, under each of the names they are asked by."""
        lists = [part.to for part in self.parts if isinstance(part, NodeList)]
        edges = [part for part in self.parts if isinstance(part, EdgeList)]
        fields = [field for part in edges for field in part.fields]
        return (*lists, *(field.to for field in fields if isinstance(field, EdgeNode)))

    @property
    def needs_rows(self) -> bool:
        return any(isinstance(part, NodeList | EdgeList | PageInfo) for part in self.parts)

    @property
    def page_info(self) -> frozenset[str]:
        """The names asked of `pageInfo`."""
        infos = [part for part in self.parts if isinstance(part, PageInfo)]
        fields = [field for part in infos for field in part.fields]
        return frozenset(field.name for field in fields if isinstance(field, Column))

    @property
    def wants_more(self) -> bool:
        """Whether it is asked if the list goes on after the page, in the page's direction."""
        return ("has_previous_page" if self.shape.backwards else "has_next_page") in self.page_info

    @property
    def wants_other_side(self) -> bool:
        """Whether it is asked if there are rows beyond the cursor that the page begins at.

        Without such a cursor the page begins where the list does.
        """
        if self.shape.backwards:
            return self.shape.before and "has_next_page" in self.page_info
        return self.shape.after and "has_previous_page" in self.page_info


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
# What loaders follow, and what an operation asks for at the root.
Follows: TypeAlias = One | Many | Nodes
Root: TypeAlias = One | Many | Nodes | Typename | Resolved


@dataclass(frozen=True, slots=True)
class Selection:
    noun: str
    fields: tuple[Field, ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that its values and the keys of its edges are read from."""
        names = {"id"}
        for field in self.fields:
            match field:
                case Column():
                    names.add(field.name)
                case One() | Many():
                    names.add(field.edge.source_column or "id")
        return frozenset(names)
