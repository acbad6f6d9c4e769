"""Pages of every selection of counts, lists and pageInfo, compared with pages cut in Python.

A count tells if the list continues, unless a cursor leaves out rows that are counted.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.execution.test_pages import Cut, order_ids, write_store
from tests.rows import cursor_of, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Client

COUNTS = ("", "totalCount other: totalCount", "totalCount @include(if: $counts)")
LISTS = (
    "",
    "nodes { databaseId }",
    "edges { cursor }",
    "nodes { databaseId } edges { node { databaseId } }",
)
INFOS = (
    "",
    "hasNextPage",
    "hasPreviousPage",
    "hasNextPage endCursor",
    "startCursor hasPreviousPage",
    "startCursor endCursor hasNextPage hasPreviousPage",
)
SELECTIONS = [
    f"{count} {lists} {f'pageInfo {{ {info} }}' if info else ''}"
    for count, lists, info in product(COUNTS, LISTS, INFOS)
    if count or lists or info
]
VARIABLES = """$first: Int, $last: Int, $after: String, $before: String, $offset: Int,
    $counts: Boolean!"""
SLICE = "first: $first, last: $last, after: $after, before: $before"
# Of the customers; the ids of the first one's are among those of the others.
ORDERS = [5, 0, 1, 6]
CURSORS = {"after", "before"}
_PARTS = 2  # a document has at most a hundred aliases


def arguments() -> Iterator[dict[str, Any]]:
    """From both ends, at the edges of the lists, between cursors, and at offsets."""
    for end, size in product(("first", "last"), (0, 4, 5, 6, 11, 12)):
        yield {end: size}
    for end, size in product(("first", "last"), (0, 3)):
        yield {end: size, "after": 4}
        yield {end: size, "before": 10}
        yield {end: size, "after": 1, "before": 9}
        yield {end: size, "after": 12}
        yield {end: size, "before": 1}
    for size, offset in product((0, 5, 6), (1, 6, 7, 12)):
        yield {"first": size, "offset": offset}


def query_of(selections: list[str]) -> str:
    def pages(arguments: str) -> str:
        return " ".join(
            f"p{nth}: orders({arguments}) {{ {each} }}" for nth, each in enumerate(selections)
        )

    return f"""query ({VARIABLES}) {{ {pages(f"{SLICE}, offset: $offset")}
        customers {{ nodes {{ {pages(SLICE)} }} }} }}"""


def expected(every: list[int], given: dict[str, Any]) -> dict[str, Any]:
    """All that a selection may have of a page."""
    offset = given.get("offset", 0)
    slices = {name: value for name, value in given.items() if name != "offset"}
    cut = Cut.of(every[offset:], **slices)
    cursors = [cursor_of("Order", id_) for id_ in cut.ids]
    return {
        "totalCount": len(every),
        "other": len(every),
        "nodes": [{"databaseId": str(id_)} for id_ in cut.ids],
        "edges": [
            {"cursor": cursor, "node": {"databaseId": str(id_)}}
            for id_, cursor in zip(cut.ids, cursors, strict=True)
        ],
        "pageInfo": {
            "hasNextPage": cut.has_next,
            "hasPreviousPage": cut.has_previous or (offset > 0 and bool(every)),
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def check(page: Any, wanted: Any) -> None:
    """Whatever was selected is as wanted."""
    match page:
        case dict():
            for name, value in page.items():
                check(value, wanted[name])
        case list():
            assert len(page) == len(wanted)
            for value, other in zip(page, wanted, strict=True):
                check(value, other)
        case _:
            assert page == wanted


async def test_whatever_is_selected_of_a_page_is_of_the_same_page(client: Client) -> None:
    await write_store(client.database, ORDERS, left_out=set())
    every = await order_ids(client.database)
    theirs = [await order_ids(client.database, nth) for nth in range(1, len(ORDERS) + 1)]

    for nth, given in enumerate(arguments()):
        cursors = {name: cursor_of("Order", given[name]) for name in CURSORS & given.keys()}
        variables = {**given, **cursors, "counts": nth % 2 == 0}
        for part in range(_PARTS):
            pages = await client(query_of(SELECTIONS[part::_PARTS]), **variables)

            customers = pages.pop("customers")["nodes"]
            for ids, found in [(every, pages), *zip(theirs, customers, strict=True)]:
                is_nested = found is not pages
                wanted = expected(ids, {**given, "offset": 0} if is_nested else given)
                for page in found.values():
                    check(page, wanted)


@pytest.mark.parametrize("size", range(7))
async def test_a_search_is_counted_as_any_list(client: Client, size: int) -> None:
    await fill(client.database, customers=4, items=1)
    search = f'search(text: "user", first: {size})'

    data = await client(f"""{{
        counted: {search} {{ totalCount nodes {{ __typename }} pageInfo {{ hasNextPage }} }}
        plain: {search} {{ nodes {{ __typename }} pageInfo {{ hasNextPage }} }} }}""")

    total = data["counted"].pop("totalCount")
    assert total == 4
    assert data["counted"] == data["plain"]
    assert data["plain"]["pageInfo"]["hasNextPage"] == (total > size)
