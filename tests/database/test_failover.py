"""A primary that stops, and a standby that is read, and becomes the primary."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.app import create_app
from graph.database.engine import Database
from tests.conftest import client_of, settings_for
from tests.database.standby import dsn_of, fetched, replicated
from tests.database.test_embedded import a_folder
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from graph.database.embedded import Cluster
    from tests.conftest import Client
    from tests.database.standby import Pair

LOCKS = "SELECT 1 FROM pg_locks WHERE"
READ = "{ customers { totalCount nodes { username orders { nodes { total } } } } }"
CHANGE = """mutation { createItem(input: {name: "Lamp", costPrice: "5.00", sellingPrice: "9.50"}) {
    __typename ... on ItemSaved { item { name } } } }"""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with a_folder() as folder, replicated(folder) as pair:
        yield pair


@asynccontextmanager
async def reader_of(cluster: Cluster, **more: Any) -> AsyncIterator[Client]:
    async with client_of(create_app(settings_for(cluster.url(), **more))) as client:
        yield client


async def sent(client: Client, query: str) -> httpx.Response:
    return await client.http.post("/graphql", json={"query": query})


@asynccontextmanager
async def locked(pair: Pair, table: str) -> AsyncIterator[None]:
    """The table is locked on the primary, and then on the standby, too."""
    connection = await asyncpg.connect(dsn_of(pair.primary))
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def seen(cluster: Cluster, condition: str) -> None:
    """Return when a row of pg_locks meets the condition."""
    for _ in range(1000):
        if await fetched(cluster, f"{LOCKS} {condition} LIMIT 1"):
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def conflicts(cluster: Cluster) -> int:
    statement = "SELECT confl_lock FROM pg_stat_database_conflicts WHERE datname = 'graph'"
    ((number,),) = await fetched(cluster, statement)
    return int(number)


@pytest.mark.parametrize("execution", ["compiled", "resolvers"])
async def test_a_read_that_recovery_ends_is_run_once_more(pair: Pair, execution: str) -> None:
    await write_rows(pair)
    before = await conflicts(pair.standby)
    async with reader_of(pair.standby, execution=execution) as client:
        expected = await client(READ)
        async with locked(pair, "orders"):
            await seen(
                pair.standby, "relation = 'orders'::regclass AND mode = 'AccessExclusiveLock'"
            )
            reading = asyncio.create_task(sent(client, READ))
            await seen(pair.standby, "relation = 'orders'::regclass AND NOT granted")
            async with locked(pair, "customers"):
                # Recovery ends the read, which has the other table.
                await seen(pair.standby, "relation = 'customers'::regclass AND NOT granted")
        response = await reading

    assert await conflicts(pair.standby) == before + 1
    assert response.status_code == 200
    assert response.json() == {"data": expected}


async def write_rows(pair: Pair) -> None:
    if await fetched(pair.primary, "SELECT 1 FROM customers LIMIT 1"):
        return
    database = Database.connect(settings_for(pair.primary.url()))
    await fill(database, customers=2, orders=1, lines=1)
    await database.close()
    await pair.caught_up()


async def test_a_standby_is_read_but_refuses_changes_until_it_is_promoted(pair: Pair) -> None:
    await write_rows(pair)
    both = settings_for(pair.url_of_both())
    async with reader_of(pair.standby) as client, client_of(create_app(both)) as wherever:
        read = await client(READ)
        assert read == await wherever(READ)
        assert await statuses(client, wherever) == [503, 200]
        for change in (CHANGE, CHANGE.replace("mutation", "mutation @atomic")):
            check_refused(await sent(client, change))
            assert await client(READ) == read
            assert (await wherever(change))["createItem"]["item"] == {"name": "Lamp"}

        pair.stop_primary()
        assert (await sent(wherever, CHANGE)).status_code == 503
        await pair.promote()

        for each in (client, wherever):
            assert (await each(CHANGE))["createItem"]["item"] == {"name": "Lamp"}
            assert await each(READ) == read
        assert await statuses(client, wherever) == [200, 200]


async def statuses(*clients: Client) -> list[int]:
    return [(await each.http.get("/health/ready")).status_code for each in clients]


def check_refused(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    (error,) = response.json()["errors"]
    assert error["message"] == "The database accepts no changes at present. Try again later."
    assert error["extensions"] == {"code": "SERVICE_UNAVAILABLE"}
