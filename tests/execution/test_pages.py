"""Pages compared with the rows of a plain SQL query, cut in Python as Relay specifies."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from graph.relay import to_global_id
from graph.settings import ExecutionMode, Settings
from tests.conftest import settings_for
from tests.rows import NOON, cursor_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.engine import Database
    from tests.conftest import Client

# One database serves all examples of a test: each begins by emptying it.
one_database = hypothesis_settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

PAGE = """nodes { databaseId } edges { cursor node { databaseId } } totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"""
ARGUMENTS = "first: $first, after: $after, last: $last, before: $before"
VARIABLES = "$first: Int, $after: String, $last: Int, $before: String"
ROOT = f"query ({VARIABLES}) {{ page: orders({ARGUMENTS}) {{ {PAGE} }} }}"
NESTED = f"""query ({VARIABLES}) {{ customers(first: 100) {{ nodes {{
    databaseId page: orders({ARGUMENTS}) {{ {PAGE} }} }} }} }}"""

# How many orders each customer has, and where ids are left out.
stores = st.lists(st.integers(0, 12), min_size=1, max_size=5)
gaps = st.sets(st.integers(1, 40))


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    """Both ways to an answer cut their pages alike."""
    return settings_for(database_url, execution=request.param)


class Cut(NamedTuple):
    """A page as the Relay Cursor Connections Specification, section 4, cuts it."""

    ids: list[int]
    has_next: bool
    has_previous: bool

    @classmethod
    def of(
        cls,
        every: list[int],
        *,
        first: int | None = None,
        after: int | None = None,
        last: int | None = None,
        before: int | None = None,
    ) -> Cut:
        ids = [id_ for id_ in every if after is None or id_ > after]
        ids = [id_ for id_ in ids if before is None or id_ < before]
        if last is not None:
            following = before is not None and any(id_ >= before for id_ in every)
            return cls(ids[max(len(ids) - last, 0) :], following, len(ids) > last)
        size = 20 if first is None else first
        preceding = after is not None and any(id_ <= after for id_ in every)
        return cls(ids[:size], len(ids) > size, preceding)


async def write_store(database: Database, orders: list[int], left_out: set[int]) -> None:
    """So many orders for each customer, dealt out in turns, some ids left out."""
    owners = [
        customer for nth in range(max(orders)) for customer, n in enumerate(orders, 1) if nth < n
    ]
    rows = [{"id": id_, "customer": owner} for id_, owner in enumerate(owners, 1)]
    async with database.write() as session:
        await session.execute(text("TRUNCATE customers, orders, order_lines RESTART IDENTITY"))
        await session.execute(
            text(
                "INSERT INTO customers (first_name, last_name, username, email, address, town)"
                " SELECT 'a', 'b', n, n, 'c', 'd' FROM generate_series(1, :n) n"
            ),
            {"n": len(orders)},
        )
        kept = [row for row in rows if row["id"] not in left_out]
        if kept:
            # All at one moment, as in `cursor_of`: their ids decide.
            insert = f"INSERT INTO orders VALUES (:id, :customer, '{NOON}')"  # noqa: S608
            await session.execute(text(insert), kept)


async def order_ids(database: Database, customer: int | None = None) -> list[int]:
    query = """SELECT id FROM orders
        WHERE CAST(:customer AS bigint) IS NULL OR customer_id = :customer ORDER BY id"""
    async with database.engine.connect() as connection:
        return list(await connection.scalars(text(query), {"customer": customer}))


def cut_of(page: dict[str, Any]) -> Cut:
    """The page that an answer shows; what it says twice must agree."""
    ids = [int(node["databaseId"]) for node in page["nodes"]]
    info = page["pageInfo"]
    assert [int(edge["node"]["databaseId"]) for edge in page["edges"]] == ids
    cursors = [edge["cursor"] for edge in page["edges"]] or [None]
    assert (info["startCursor"], info["endCursor"]) == (cursors[0], cursors[-1])
    return Cut(ids, info["hasNextPage"], info["hasPreviousPage"])


@given(
    orders=stores,
    left_out=gaps,
    size=st.integers(0, 8),
    backwards=st.booleans(),
    after=st.none() | st.integers(-1, 40),
    before=st.none() | st.integers(-1, 40),
)
@one_database
async def test_a_page_between_any_two_cursors_is_cut_as_relay_says(
    client: Client,
    orders: list[int],
    left_out: set[int],
    size: int,
    backwards: bool,
    after: int | None,
    before: int | None,
) -> None:
    await write_store(client.database, orders, left_out)
    end: dict[str, int] = {"last" if backwards else "first": size}
    variables = dict(end) | {
        name: cursor_of("Order", key)
        for name, key in (("after", after), ("before", before))
        if key is not None
    }

    root = await client(ROOT, **variables)
    nested = await client(NESTED, **variables)

    every = await order_ids(client.database)
    assert cut_of(root["page"]) == Cut.of(every, after=after, before=before, **end)
    assert root["page"]["totalCount"] == len(every)
    for customer in nested["customers"]["nodes"]:
        theirs = await order_ids(client.database, int(customer["databaseId"]))
        expected = Cut.of(theirs, after=after, before=before, **end)
        assert cut_of(customer["page"]) == expected
        assert customer["page"]["totalCount"] == len(theirs)


async def walk(
    client: Client, query: str, size: int, *, backwards: bool, pick: Any
) -> AsyncIterator[list[int]]:
    """The pages of a list from one end to the other."""
    size_of, cursor_of = ("last", "before") if backwards else ("first", "after")
    goes_on, end = ("hasPreviousPage", "startCursor") if backwards else ("hasNextPage", "endCursor")
    variables: dict[str, Any] = {size_of: size}
    for _ in range(200):
        page = pick(await client(query, **variables))
        yield [int(node["databaseId"]) for node in page["nodes"]]
        if not page["pageInfo"][goes_on]:
            return
        variables[cursor_of] = page["pageInfo"][end]
    pytest.fail("the walk does not end")


def of_customer(customer: int) -> tuple[str, Any]:
    query = f"""query ({VARIABLES}) {{ customer(by: {{databaseId: {customer}}}) {{
        page: orders({ARGUMENTS}) {{ {PAGE} }} }} }}"""
    return query, lambda data: data["customer"]["page"]


@given(orders=stores, left_out=gaps, size=st.integers(1, 8), backwards=st.booleans())
@one_database
async def test_walking_all_pages_meets_every_row_once_and_in_order(
    client: Client, orders: list[int], left_out: set[int], size: int, backwards: bool
) -> None:
    await write_store(client.database, orders, left_out)
    lists: list[tuple[int | None, str, Any]] = [(None, ROOT, lambda data: data["page"])]
    lists += [(number, *of_customer(number)) for number in range(1, len(orders) + 1)]

    for customer, query, pick in lists:
        pages = [page async for page in walk(client, query, size, backwards=backwards, pick=pick)]

        met = [id_ for page in (pages[::-1] if backwards else pages) for id_ in page]
        assert met == await order_ids(client.database, customer)
        assert all(len(page) == size for page in pages[:-1])


@pytest.mark.parametrize("backwards", [False, True])
async def test_inserts_between_pages_neither_repeat_nor_hide_a_row(
    client: Client, backwards: bool
) -> None:
    await write_store(client.database, [40, 3], left_out={*range(2, 44, 3)})
    present = await order_ids(client.database, 1)
    query, pick = of_customer(1)
    pages: list[list[int]] = []

    async with inserting(client.database):
        async for page in walk(client, query, 2, backwards=backwards, pick=pick):
            pages.append(page)
            await asyncio.sleep(0.005)

    met = [id_ for page in (pages[::-1] if backwards else pages) for id_ in page]
    assert met == sorted(set(met))
    assert set(present) <= set(met)
    assert set(met) <= set(await order_ids(client.database, 1))


@asynccontextmanager
async def inserting(database: Database) -> AsyncIterator[None]:
    """Orders of customer 1 come in meanwhile: into the gaps between ids, and at the end."""

    async def insert() -> None:
        taken = set(await order_ids(database))
        for id_ in (id_ for id_ in range(1, 200) if id_ not in taken):
            statement = f"INSERT INTO orders VALUES (:id, 1, '{NOON}')"  # noqa: S608
            async with database.write() as session:
                await session.execute(text(statement), {"id": id_})
            await asyncio.sleep(0.001)

    inserts = asyncio.create_task(insert())
    yield
    inserts.cancel()
    await asyncio.gather(inserts, return_exceptions=True)


async def test_a_cursor_outlives_the_row_it_was_made_of(client: Client) -> None:
    await write_store(client.database, [5], left_out=set())
    cursor = cursor_of("Order", 3)
    async with client.database.write() as session:
        await session.execute(text("DELETE FROM orders WHERE id = 3"))

    data = await client("query ($c: String) { orders(after: $c) { nodes { id } } }", c=cursor)

    assert [node["id"] for node in data["orders"]["nodes"]] == [
        to_global_id("Order", 4),
        to_global_id("Order", 5),
    ]
