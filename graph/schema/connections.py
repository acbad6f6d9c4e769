"""Lists, as the Relay Cursor Connections Specification has them, with `nodes` beside `edges`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import strawberry

from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import Meaning, column, declare

T = TypeVar("T")


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = column("Whether the list goes on after this page.")
    has_previous_page: bool = column("Whether the list has something before this page.")
    start_cursor: str | None = column("The cursor of the page's first edge; null if it is empty.")
    end_cursor: str | None = column("The cursor of the page's last edge; null if it is empty.")


@strawberry.type(description="One element of a list, and its place in it.")
class Edge(Generic[T]):
    cursor: str = declare(
        Meaning.EDGE_CURSOR, "The element's place in the list: give it to `after` or `before`."
    )
    node: T = declare(Meaning.EDGE_NODE, "The element.")


def _total_count(root: Any, info: Info) -> Any:
    above = info.path.prev
    return info.context.loaders.count(info.context.asked(above), root.key)


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    nodes: list[T] = declare(Meaning.NODE_LIST, "The elements of this page, without cursors.")
    edges: list[Edge[T]] = declare(Meaning.EDGE_LIST, "The elements of this page, with cursors.")
    page_info: PageInfo = declare(Meaning.PAGE_INFO, "Where this page lies in the list.")
    total_count: int = declare(
        Meaning.TOTAL_COUNT,
        "How many elements the whole list has. Counted only when asked for.",
        resolver=_total_count,
    )
