"""What a loader answers for a to-many edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from graph.opaque import encode_cursor

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


@dataclass(frozen=True)
class Slice:
    """The records of one parent's page, in the order of the list; `key` is the parent's."""

    key: int
    noun: str
    nodes: list[Any] = field(default_factory=list)
    has_next: bool = False
    has_previous: bool = False

    @classmethod
    def cut(cls, key: int, noun: str, page: Page, records: list[Any], *, other_side: bool) -> Self:
        """Cut a page from records in its direction, one more than its size where the list goes on.

        `other_side`: the list has rows beyond the cursor that the page begins at.
        """
        nodes, goes_on = records[: page.size], len(records) > page.size
        if page.shape.backwards:
            return cls(key, noun, nodes[::-1], has_next=other_side, has_previous=goes_on)
        return cls(key, noun, nodes, has_next=goes_on, has_previous=other_side)

    @cached_property
    def edges(self) -> list[EdgeRow]:
        return [EdgeRow(encode_cursor(self.noun, node.id), node) for node in self.nodes]

    @cached_property
    def page_info(self) -> PageFlags:
        cursors = [
            encode_cursor(self.noun, node.id) for node in (*self.nodes[:1], *self.nodes[-1:])
        ]
        return PageFlags(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )
