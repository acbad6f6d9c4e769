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
from tests.database.embedded import a_folder
from tests.database.standby import dsn_of, fetched, replicated
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from graph.database.embedded import Cluster
    from tests.conftest import Client
    from tests.database.standby import Group

ORDERS = "FROM pg_locks WHERE relation = 'orders'::regclass AND"
LOCKED = f"SELECT 1 {ORDERS} mode = 'AccessExclusiveLock'"
WAITING = f"SELECT pid {ORDERS} NOT granted"
GONE = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {})"
READ = "{ customers { totalCount nodes { username orders { nodes { total } } } } }"
CHANGE = """mutation { createItem(input: {name: "Lamp", costPrice: "5.00", sellingPrice: "9.50"}) {
    __typename ... on ItemSaved { item { name } } } }"""


@pytest.fixture(scope="module")
def pair() -> Iterator[Group]:
    with a_folder() as folder, replicated(folder) as pair:
        yield pair


@asynccontextmanager
async def reader_of(cluster: Cluster, **more: Any) -> AsyncIterator[Client]:
    async with client_of(create_app(settings_for(cluster.url(), **more))) as client:
        yield client


async def sent(client: Client, query: str) -> httpx.Response:
    return await client.http.post("/graphql", json={"query": query})


@asynccontextmanager
async def locked(pair: Group, table: str) -> AsyncIterator[None]:
    """The table is locked on the primary, and then on the standby, too."""
    connection = await asyncpg.connect(dsn_of(pair.primary))
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            # A commit sends the lock on its way, which would wait for one.
            await fetched(pair.primary, "SELECT pg_logical_emit_message(true, 'test', 'lock')")
            yield
    finally:
        await connection.close()


async def found(cluster: Cluster, statement: str) -> list[Any]:
    """The rows of a statement, once there are any."""
    for _ in range(500):
        if rows := await fetched(cluster, statement):
            return rows
        await asyncio.sleep(0.01)
    raise TimeoutError


@pytest.mark.parametrize("execution", ["compiled", "resolvers"])
async def test_a_read_that_recovery_ends_is_run_once_more(pair: Group, execution: str) -> None:
    await write_rows(pair)
    async with reader_of(pair.standby, execution=execution) as client:
        expected = await client(READ)
        async with locked(pair, "orders"):
            await found(pair.standby, LOCKED)
            reading = asyncio.create_task(sent(client, READ))
            ((reader,),) = await found(pair.standby, WAITING)
            # Recovery ends the read, which has the other table.
            async with locked(pair, "customers"):
                await found(pair.standby, GONE.format(reader))
        response = await reading

    assert response.status_code == 200
    assert response.json() == {"data": expected}


async def write_rows(pair: Group) -> None:
    if await fetched(pair.primary, "SELECT 1 FROM customers LIMIT 1"):
        return
    database = Database.connect(settings_for(pair.primary.url()))
    await fill(database, customers=2, orders=1, lines=1)
    await database.close()
    await pair.caught_up()


async def test_a_standby_is_read_but_refuses_changes_until_it_is_promoted(pair: Group) -> None:
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

        pair.stop(pair.primary)
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
