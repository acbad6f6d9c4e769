"""Lists, as the Relay Cursor Connections Specification has them, with `nodes` beside `edges`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import strawberry

from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import (
    Meaning,
    argument,
    column,
    declare,
    derived,
    list_of_generated,
    with_arguments,
)
from graph.schema.type_factories import object_type
from graph.selection import (
    DEFAULT_COUNT_LIMIT,
    DEFAULT_PAGE_SIZE,
    MAX_COUNT_LIMIT,
    MAX_GROUPS,
    MAX_KEYS,
    MAX_OFFSET,
    MAX_SORTS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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
    return info.context.loaders.count(info.context.selected(above), root.key)


def _count(root: Any, info: Info) -> Any:
    asked, above = info.context.selected(info.path), info.context.selected(info.path.prev)
    return info.context.loaders.count_up_to(above, asked, root.key)


_LIMIT = argument(
    int | None,
    f"How far to count, at most {MAX_COUNT_LIMIT:,}.",
)


def _aggregates(root: Any, info: Info) -> Any:
    return info.context.loaders.aggregates(info.context.selected(info.path.prev), root.key)


@strawberry.enum(description="How well a count is known.")
class CountPrecision(Enum):
    EXACT = strawberry.enum_value("EXACT", description="There are just as many.")
    AT_LEAST = strawberry.enum_value("AT_LEAST", description="There are more: it gave up there.")


@strawberry.type(description="A count that never goes further than it was told to.")
class Count:
    value: int = column("How many there are, or the limit if there are more.")
    precision: CountPrecision = column("Whether there are more.")


_ABOUT = "One page of a list, and what can be said of the whole of it."


@strawberry.type(description=_ABOUT)
class Connection(Generic[T]):
    nodes: list[T] = declare(Meaning.NODE_LIST, "The elements of this page, without cursors.")
    edges: list[Edge[T]] = declare(Meaning.EDGE_LIST, "The elements of this page, with cursors.")
    page_info: PageInfo = declare(Meaning.PAGE_INFO, "Where this page lies in the list.")
    total_count: int = declare(
        Meaning.TOTAL_COUNT,
        "How many elements the whole list has. Counted only when asked for, one by one: where a "
        "list can be long, ask for `count`.",
        resolver=_total_count,
    )
    count: Count = declare(
        Meaning.COUNT,
        "How many elements the whole list has, up to a limit.",
        resolver=with_arguments(_count, {"limit": _LIMIT}, limit=DEFAULT_COUNT_LIMIT),
    )


def connection_of(entity: str, type_: type) -> Any:
    """The connection type of an entity, such as `OrderConnection`, with aggregates of its own."""
    aggregates = declare(
        Meaning.AGGREGATES,
        "Measures of the whole list, whatever the page.",
        resolver=_aggregates,
    )
    groups = declare(
        Meaning.GROUPS,
        "The whole list, whatever the page, put together by what its elements have in common.",
        entity=entity,
        resolver=_groups(entity),
    )
    fields = {
        "aggregates": (derived(f"{entity}Aggregates"), aggregates),
        "groups": (list_of_generated(f"{entity}Group"), groups),
    }
    bases = (Connection[type_],)  # type: ignore[valid-type]
    return object_type(f"{entity}Connection", _ABOUT, fields, bases)


def _groups(entity: str) -> Callable[..., Any]:
    """A resolver with the arguments of an entity's groups."""

    def resolve(root: Any, info: Info) -> Any:
        asked, above = info.context.selected(info.path), info.context.selected(info.path.prev)
        return info.context.loaders.groups(above, asked, root.key)

    arguments = {
        "by": argument(
            list_of_generated(f"{entity}GroupBy"),
            f"What to put together by: from 1 to {MAX_KEYS} keys, each once.",
        ),
        "having": argument(derived(f"{entity}Having") | None, "Only groups that meet all of this."),
        "order_by": argument(
            list_of_generated(f"{entity}GroupsOrderBy") | None,
            f"The order of the groups, at last by their keys. At most {MAX_SORTS}.",
        ),
        "first": argument(
            int | None,
            f"Return at most this many groups; {DEFAULT_PAGE_SIZE} if it is not given, "
            f"at most {MAX_GROUPS:,}. `groupCount` of a group tells whether there are more.",
        ),
        "offset": argument(
            int | None,
            f"Leave out this many groups from the start, at most {MAX_OFFSET:,}.",
        ),
    }
    return with_arguments(resolve, arguments)
