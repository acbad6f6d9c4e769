"""The fields of a selection, in the order of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.selection.terms import Relationship, Term
    from graph.selection.values import GroupingShape, PageShape


@dataclass(frozen=True, slots=True)
class Column:
    response_key: str
    name: str


@dataclass(frozen=True, slots=True)
class GlobalId:
    response_key: str


@dataclass(frozen=True, slots=True)
class Typename:
    response_key: str
    text: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A field with a Python resolver.

    `name` identifies it, as in `Customer.fullName`. `values` are the selections of what it may
    return, rows or other objects; `needs` are the permissions of which one suffices, if it is a
    mutation. `columns` are those of its row that it reads; None if it may read any.
    """

    response_key: str
    name: str
    argument_index: int
    values: tuple[Selection | Payload, ...] = ()
    needs: frozenset[str] = frozenset()
    columns: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Variants:
    """Selections of rows of several entities; each row has its entity."""

    selections: tuple[Selection, ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns of its values and of the keys of its relationships."""
        return frozenset({"id", "entity"})


@dataclass(frozen=True, slots=True)
class EnumLookup:
    """A value that depends on a column: its JSON for each value of the column.

    It may depend on the viewer too: on whether they have one of each of the sets of permissions in
    `depends_on`. There is a list of texts for each combination of these.
    """

    response_key: str
    name: str
    texts: tuple[tuple[tuple[bool, ...], tuple[tuple[str, str], ...]], ...]
    depends_on: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plain:
    """Objects that are not rows, inside one that is not a row either."""

    response_key: str
    name: str
    fields: tuple[Column | Typename | Plain | ToOne | Resolved, ...]


@dataclass(frozen=True, slots=True)
class ToOne:
    """At most one row. A look-up has a `argument_index`: that of the key value among the values."""

    response_key: str
    relationship: Relationship
    selection: Selection
    argument_index: int | None = None


@dataclass(frozen=True, slots=True)
class Nodes:
    """Rows of any entity by global id: one answer per id, in the same order.

    `selections` has a selection for each possible entity. Without `is_list` there is one id, and
    the answer is not a list.
    """

    response_key: str
    argument_index: int
    selections: tuple[Selection, ...]
    is_list: bool


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection: a page of the rows of a relationship, and its fields.

    `argument_index` is that of the page.
    """

    response_key: str
    relationship: Relationship
    argument_index: int
    shape: PageShape
    fields: tuple[ConnectionField, ...]

    @property
    def rows(self) -> tuple[Selection | Variants, ...]:
        """The selections of the rows, one for each list of them."""
        lists = [part.selection for part in self.fields if isinstance(part, NodeList)]
        edges = [part for part in self.fields if isinstance(part, EdgeList)]
        fields = [field for part in edges for field in part.fields]
        return (*lists, *(field.selection for field in fields if isinstance(field, EdgeNode)))

    @property
    def needs_rows(self) -> bool:
        return any(isinstance(part, NodeList | EdgeList | PageInfo) for part in self.fields)

    @property
    def page_info(self) -> frozenset[str]:
        """The selected fields of `pageInfo`."""
        infos = [part for part in self.fields if isinstance(part, PageInfo)]
        fields = [field for part in infos for field in part.fields]
        return frozenset(field.name for field in fields if isinstance(field, Column))

    @property
    def wants_count(self) -> bool:
        return any(isinstance(part, TotalCount) for part in self.fields)

    @property
    def wants_ends(self) -> bool:
        """Whether the selection has the cursor of the page's first row, or of its last one."""
        return not self.page_info.isdisjoint({"start_cursor", "end_cursor"})

    @property
    def wants_edge_cursors(self) -> bool:
        edges = [part for part in self.fields if isinstance(part, EdgeList)]
        return any(isinstance(field, EdgeCursor) for part in edges for field in part.fields)

    @property
    def wants_cursors(self) -> bool:
        return self.wants_ends or self.wants_edge_cursors

    @property
    def wants_more(self) -> bool:
        """Whether the selection needs to know if the list continues after the page."""
        return ("has_previous_page" if self.shape.backwards else "has_next_page") in self.page_info

    @property
    def tells_more_by_count(self) -> bool:
        """Whether the selected count tells if the list continues after the page.

        A cursor leaves out rows that are counted; an offset leaves out as many as it says.
        """
        return self.wants_count and self.shape.after is None and self.shape.before is None

    @property
    def wants_other_side(self) -> bool:
        """Whether the selection needs to know if the list has rows before the page.

        Without a cursor or an offset the page starts where the list does.
        """
        if self.shape.backwards:
            return self.shape.before is not None and "has_next_page" in self.page_info
        began = self.shape.after is not None or self.shape.offset
        return began and "has_previous_page" in self.page_info


@dataclass(frozen=True, slots=True)
class NodeList:
    response_key: str
    selection: Selection | Variants


@dataclass(frozen=True, slots=True)
class EdgeList:
    response_key: str
    fields: tuple[EdgeNode | EdgeCursor | Typename | Resolved, ...]


@dataclass(frozen=True, slots=True)
class EdgeNode:
    response_key: str
    selection: Selection | Variants


@dataclass(frozen=True, slots=True)
class EdgeCursor:
    response_key: str


@dataclass(frozen=True, slots=True)
class PageInfo:
    response_key: str
    fields: tuple[Column | Typename | Resolved, ...]


@dataclass(frozen=True, slots=True)
class TotalCount:
    response_key: str


@dataclass(frozen=True, slots=True)
class CountUpTo:
    """A count that stops at the limit at `argument_index`: its `value` and `precision`."""

    response_key: str
    argument_index: int
    fields: tuple[Column | Typename | Resolved, ...]


@dataclass(frozen=True, slots=True)
class TermOf:
    response_key: str
    term: Term


@dataclass(frozen=True, slots=True)
class Terms:
    """An object that groups terms."""

    response_key: str
    fields: tuple[TermOf | Terms | Typename | Resolved, ...]


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Measures of all rows of the list, independent of the page."""

    response_key: str
    fields: tuple[TermOf | Terms | Typename | Resolved, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of the list's rows, and their fields. `argument_index` is the grouping's."""

    response_key: str
    argument_index: int
    shape: GroupingShape
    fields: tuple[Terms | Typename | Resolved, ...]


def terms_of(fields: Iterable[object]) -> tuple[Term, ...]:
    """The terms at any depth, each once."""
    found: dict[Term, None] = {}
    for field in fields:
        match field:
            case TermOf():
                found[field.term] = None
            case Terms():
                found |= dict.fromkeys(terms_of(field.fields))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Payload:
    """The selection for one result type of a mutation."""

    type: str
    fields: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Mutate:
    """A mutation, with one payload for each type of its union.

    `needs` are the permissions of which a viewer needs one.
    """

    response_key: str
    argument_index: int
    payloads: tuple[Payload, ...]
    needs: frozenset[str] = frozenset()


ConnectionField: TypeAlias = (
    NodeList
    | EdgeList
    | PageInfo
    | TotalCount
    | CountUpTo
    | Aggregates
    | Groups
    | Typename
    | Resolved
)
Field: TypeAlias = Column | GlobalId | Typename | Resolved | EnumLookup | ToOne | Connection
# The selection at one path of the answer, for its resolver.
DataField: TypeAlias = ToOne | Connection | Nodes | CountUpTo | Aggregates | Groups | TermOf
Root: TypeAlias = ToOne | Connection | Nodes | Typename | Resolved | Mutate


@dataclass(frozen=True, slots=True)
class Selection:
    entity: str
    fields: tuple[Field, ...]

    @property
    def reads_any_column(self) -> bool:
        """Whether it has a Python resolver that may read any column."""
        return any(isinstance(field, Resolved) and field.columns is None for field in self.fields)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that its values and the keys of its relationships are read from."""
        names = {"id"}
        for field in self.fields:
            match field:
                case Column() | EnumLookup():
                    names.add(field.name)
                case Resolved():
                    names |= field.columns or frozenset()
                case ToOne() | Connection():
                    names.add(field.relationship.source_column or "id")
        return frozenset(names)
