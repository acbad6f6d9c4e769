"""Connections (Relay Cursor Connections Specification), with `nodes` beside `edges`."""

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


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    has_next_page: bool = column("Whether the list has elements after this page.")
    has_previous_page: bool = column("Whether the list has elements before this page.")
    start_cursor: str | None = column("The cursor of the page's first edge; null if it is empty.")
    end_cursor: str | None = column("The cursor of the page's last edge; null if it is empty.")


@strawberry.type(description="One element of a list, and its cursor.")
class Edge(Generic[T]):
    cursor: str = declare(
        Meaning.EDGE_CURSOR, "The cursor of the element, for `after` and `before`."
    )
    node: T = declare(Meaning.EDGE_NODE, "The element.")


def _total_count(root: Any, info: Info) -> Any:
    above = info.path.prev
    return info.context.loaders.count(info.context.selected(above), root.key)


def _count(root: Any, info: Info) -> Any:
    selected, above = info.context.selected(info.path), info.context.selected(info.path.prev)
    return info.context.loaders.count_up_to(above, selected, root.key)


_LIMIT = argument(
    int | None,
    f"The number to count to, at most {MAX_COUNT_LIMIT:,}.",
)


def _aggregates(root: Any, info: Info) -> Any:
    return info.context.loaders.aggregates(info.context.selected(info.path.prev), root.key)


@strawberry.enum(description="The precision of a count.")
class CountPrecision(Enum):
    EXACT = strawberry.enum_value("EXACT", description="The count is exact.")
    AT_LEAST = strawberry.enum_value(
        "AT_LEAST", description="The limit was reached; there are more elements."
    )


@strawberry.type(description="A count that stops at a limit.")
class Count:
    value: int = column("The number of elements, or the limit if there are more.")
    precision: CountPrecision = column("Whether the count reached its limit.")


_ABOUT = "One page of a list, and aggregates of the whole list."


@strawberry.type(description=_ABOUT)
class Connection(Generic[T]):
    nodes: list[T] = declare(Meaning.NODE_LIST, "The elements of this page, without cursors.")
    edges: list[Edge[T]] = declare(Meaning.EDGE_LIST, "The elements of this page, with cursors.")
    page_info: PageInfo = declare(Meaning.PAGE_INFO, "The position of this page in the list.")
    total_count: int = declare(
        Meaning.TOTAL_COUNT,
        "The number of elements of the whole list. It is counted row by row, so if the "
        "list can be long, use `count`.",
        resolver=_total_count,
    )
    count: Count = declare(
        Meaning.COUNT,
        "The number of elements of the whole list, up to a limit.",
        resolver=with_arguments(_count, {"limit": _LIMIT}, limit=DEFAULT_COUNT_LIMIT),
    )


def connection_of(entity: str, type_: type) -> Any:
    """The connection type of an entity, such as `OrderConnection`, with its aggregates."""
    aggregates = declare(
        Meaning.AGGREGATES,
        "Aggregates of the whole list, independent of the page.",
        resolver=_aggregates,
    )
    groups = declare(
        Meaning.GROUPS,
        "The whole list, independent of the page, grouped by keys.",
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
        selected, above = info.context.selected(info.path), info.context.selected(info.path.prev)
        return info.context.loaders.groups(above, selected, root.key)

    arguments = {
        "by": argument(
            list_of_generated(f"{entity}GroupBy"),
            f"The keys to group by: from 1 to {MAX_KEYS}, each once.",
        ),
        "having": argument(derived(f"{entity}Having") | None, "Return only groups that match."),
        "order_by": argument(
            list_of_generated(f"{entity}GroupsOrderBy") | None,
            f"The order of the groups, finally by their keys. At most {MAX_SORTS}.",
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
