"""An operation reads one snapshot, over one connection."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from graph.app import create_app
from graph.database.embedded import Cluster, binary
from tests.conftest import all_returned, client_of, settings_for
from tests.loading.test_statements import NESTED
from tests.rows import fill

if TYPE_CHECKING:
    from graph.database.engine import Database
    from tests.conftest import Client

QUERY = """{ customers { totalCount nodes { firstName orders { totalCount nodes {
    total lineItems { nodes { quantity subtotal item { sellingPrice } } } } } } } }"""

CHANGES = """
    UPDATE order_lines SET quantity = quantity + 1;
    UPDATE items SET selling_price = selling_price + 100;
    INSERT INTO orders (customer_id) SELECT id FROM customers;
    DELETE FROM order_lines WHERE id = 1;
"""


async def test_a_write_between_two_levels_is_not_visible(client: Client, cluster: Cluster) -> None:
    await fill(client.database, customers=3, orders=1, lines=2)
    before = await client(QUERY)
    psql = [str(binary("psql")), "-q", "-v", "ON_ERROR_STOP=1", "-c", CHANGES]
    psql.append(str(client.database.engine.url.database))
    levels = 0

    def write(*_: Any) -> None:
        nonlocal levels
        levels += 1
        subprocess.run(psql, env=cluster.environment(), check=True)

    engine = client.database.engine.sync_engine
    event.listen(engine, "after_cursor_execute", write)
    meanwhile = await client(QUERY)
    event.remove(engine, "after_cursor_execute", write)

    assert levels == 6
    assert meanwhile == before
    assert await client(QUERY) != before


async def test_a_read_session_cannot_write(database: Database) -> None:
    session = database.read()

    with pytest.raises(DBAPIError, match="read-only"):
        await session.rows(text("DELETE FROM customers RETURNING id"), {})

    await session.close()


async def test_sixty_four_operations_share_five_connections(database_url: str) -> None:
    settings = settings_for(database_url, pool_size=5, execution="resolvers")
    async with client_of(create_app(settings)) as client:
        await fill(client.database, customers=20, orders=3, lines=3)

        answers = await asyncio.gather(*(client(NESTED) for _ in range(64)))

        assert all(answer == answers[0] for answer in answers)
        assert await all_returned(client.database)


async def test_an_operation_holds_one_connection_however_wide_it_is(client: Client) -> None:
    await fill(client.database, customers=3)
    most = 0

    def count(*_: Any) -> None:
        nonlocal most
        most = max(most, client.database.engine.pool.checkedout())  # type: ignore[attr-defined]

    event.listen(client.database.engine.sync_engine, "before_cursor_execute", count)
    await client("{ a: customers { totalCount } b: items { totalCount } c: orders { totalCount } }")

    assert most == 1


async def test_an_operation_that_is_cancelled_gives_its_connection_back(
    client: Client, database: Database
) -> None:
    await fill(client.database, customers=3)
    async with database.write() as session:
        await session.execute(text("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE"))
        waiting = asyncio.create_task(client.answer("{ customers { nodes { id } } }"))
        await asyncio.sleep(0.2)
        assert client.database.engine.pool.checkedout() == 1  # type: ignore[attr-defined]

        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        assert await all_returned(client.database)
    assert await client("{ customers { totalCount } }") == {"customers": {"totalCount": 3}}
