"""The results of loaders for to-many relationships."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from graph.selection import Page


@dataclass(frozen=True, slots=True)
class EdgeRow:
    cursor: str
    node: Any


@dataclass(frozen=True, slots=True)
class PageFlags:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class FoundRow:
    """A row in a search result: its `entity`, `id`, and `cursor` if that is selected."""

    entity: str
    id: Any


@dataclass(frozen=True, slots=True)
class Counted:
    value: int
    precision: str

    @classmethod
    def up_to(cls, limit: int, total: int) -> Self:
        return cls(min(total, limit), "AT_LEAST" if total > limit else "EXACT")


@dataclass(frozen=True)
class PageResult:
    """The records of one parent's page, in the order of the list; `key` is the parent's."""

    key: Any
    nodes: list[Any] = field(default_factory=list)
    has_next: bool = False
    has_previous: bool = False

    @classmethod
    def cut(cls, key: Any, page: Page, records: list[Any], *, other_side: bool) -> Self:
        """Cut a page from records in its direction, one more than its size where the list goes on.

        `other_side`: the list has rows beyond the cursor that the page begins at.
        """
        nodes, goes_on = records[: page.size], len(records) > page.size
        if page.shape.backwards:
            return cls(key, nodes[::-1], has_next=other_side, has_previous=goes_on)
        return cls(key, nodes, has_next=goes_on, has_previous=other_side)

    @cached_property
    def edges(self) -> list[EdgeRow]:
        # None if the cursor is not selected.
        return [EdgeRow(getattr(node, "cursor", ""), node) for node in self.nodes]

    @cached_property
    def page_info(self) -> PageFlags:
        ends = (*self.nodes[:1], *self.nodes[-1:])
        cursors = [getattr(node, "cursor", None) for node in ends]
        return PageFlags(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )
