"""Events become partitioned while others write and read them, whatever interrupts it.

`GRAPH_MIGRATION_EVENTS=1000000 .venv/bin/pytest -s tests/store/test_event_partitions.py -k waits`
measures it on a log of that size, and prints how long others waited.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from graph.database import pruning
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.database.partitions import add_ahead, partitions_of
from graph.database.replay import pruned_through
from graph.errors import MigrationRefused
from graph.store.log import LOG
from graph.store.seed import seed
from tests.conftest import settings_for
from tests.rows import fill as fill_store
from tests.store.test_key_migration import durable_cluster, interrupted_after
from tests.store.test_migrations import dumped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from graph.database.embedded import Cluster
    from tests.conftest import Client

__all__ = ["durable_cluster"]

EVENTS = int(os.environ.get("GRAPH_MIGRATION_EVENTS", "30000"))
LONGEST_MILLISECONDS = 1000

FILL = (
    """INSERT INTO customers (first_name, last_name, username, email, address, town)
       SELECT 'a', 'b', 'u' || n, n || '@e', 'f', 'g' FROM generate_series(1, 20) AS n""",
    """INSERT INTO orders (customer_id) SELECT n % 20 + 1 FROM generate_series(1, 500) AS n""",
    """INSERT INTO events (entity, entity_id, kind, payload, order_id)
       SELECT 'Order', n % 500 + 1, 'CHANGED', '{"status": ["PLACED", "PAID"]}', n % 500 + 1
       FROM generate_series(1, $1::bigint) AS n""",
)


@pytest.fixture
async def store(empty_url: str) -> AsyncIterator[Database]:
    """A database at the revision before, with some events."""
    database = Database.connect(settings_for(empty_url))
    await migrate(database, "0012")
    await fill(database, 1_000)
    yield database
    await database.close()


async def fill(database: Database, events: int) -> None:
    async with database.autocommit.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute("SET statement_timeout = 0")
        for statement in FILL:
            await driver.execute(statement, *([events] if "$1" in statement else []))
        await driver.execute("VACUUM ANALYZE events")


async def one(database: Database, statement: str) -> Any:
    async with database.write() as session:
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        return (await session.execute(text(statement))).one()


AN_HOUR_LATER = (
    "ALTER TABLE events DISABLE TRIGGER events_refuse_change",
    "UPDATE events SET occurred_at = occurred_at - interval '1 hour'",
    "ALTER TABLE events ENABLE TRIGGER events_refuse_change",
)
ROWS = "SELECT count(*), sum(hashtext(to_jsonb(rows)::text)) FROM {} AS rows WHERE id <= {}"


async def contents(database: Database, upto: int) -> list[Any]:
    return [await one(database, ROWS.format(table, upto)) for table in ("events", "history")]


class Load:
    """Others who use the events; how long each of their steps took, and what was refused."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "")
        self._over = asyncio.Event()
        self.milliseconds: dict[str, list[float]] = defaultdict(list)

    async def run(self) -> None:
        steps = (self._place, self._place, self._dry_run, self._read)
        await asyncio.gather(*map(self._repeat, steps))

    def end(self) -> None:
        self._over.set()

    def took(self) -> str:
        return "; ".join(
            f"{name}: {len(each)} steps, median {sorted(each)[len(each) // 2]:.1f},"
            f" longest {max(each):.0f} ms"
            for name, each in sorted(self.milliseconds.items())
        )

    async def _repeat(self, step: Callable[[Any], Awaitable[None]]) -> None:
        connection = await asyncpg.connect(self._url)  # with statements that stay prepared
        while not self._over.is_set():
            started = time.perf_counter()
            await step(connection)
            taken = (time.perf_counter() - started) * 1000
            self.milliseconds[step.__name__.strip("_")].append(taken)
            await asyncio.sleep(0.01)
        await connection.close()

    async def _place(self, connection: Any) -> None:
        async with connection.transaction():
            order = "INSERT INTO orders (customer_id) VALUES (1) RETURNING id"
            key = await connection.fetchval(order)
            await connection.execute("UPDATE orders SET status = 'PAID' WHERE id = $1", key)

    async def _dry_run(self, connection: Any) -> None:
        with suppress(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute("SET LOCAL graph.dry_run = 'on'")
                insert = "INSERT INTO orders (customer_id) VALUES (2) RETURNING id"
                key = await connection.fetchval(insert)
                seen = "SELECT count(*) FROM history WHERE order_id = $1"
                assert await connection.fetchval(seen, key) == 1
                raise ZeroDivisionError

    async def _read(self, connection: Any) -> None:
        page = "SELECT id, kind FROM history WHERE order_id = $1 ORDER BY id LIMIT 20"
        assert await connection.fetch(page, 7)


async def test_nobody_waits_for_long_while_events_are_partitioned(
    durable_cluster: Cluster,
) -> None:
    url = durable_cluster.url()
    store = Database.connect(settings_for(url))
    await migrate(store, "0012")
    await fill(store, EVENTS)
    before = await contents(store, EVENTS)
    load = Load(url)
    loading = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(1)
        calm, load.milliseconds = load.took(), defaultdict(list)
        started = time.perf_counter()
        await migrate(store, "0013")
        seconds = time.perf_counter() - started
        await asyncio.sleep(1)
    finally:
        load.end()
        await loading
    longest = max(max(each) for each in load.milliseconds.values())

    print(f"\n{EVENTS} events, {seconds:.2f} s\nbefore: {calm}\nduring: {load.took()}")  # noqa: T201
    assert longest < LONGEST_MILLISECONDS
    assert await contents(store, EVENTS) == before
    # Each order that was placed has its two events, whichever table took them.
    orders = "SELECT count(*), count(DISTINCT order_id) FROM events WHERE order_id > 500"
    written, placed = await one(store, orders)
    assert (written, placed) == tuple(
        await one(store, "SELECT 2 * count(*), count(*) FROM orders WHERE id > 500")
    )
    await store.close()


async def test_an_interrupted_migration_goes_on_where_it_ended(
    cluster: Cluster, store: Database, database: Database
) -> None:
    before = await contents(store, 1_000)
    interruptions = 0
    for statements in range(8, 200, 3):
        try:
            with interrupted_after(store, statements):
                await migrate(store)
        except ConnectionError:
            interruptions += 1
            await one(store, "INSERT INTO orders (customer_id) VALUES (1) RETURNING id")
        else:
            break

    assert interruptions > 5
    assert await contents(store, 1_000) == before
    assert dumped(cluster, store) == dumped(cluster, database)


async def test_events_become_a_plain_table_again_with_their_rows(
    cluster: Cluster, store: Database
) -> None:
    plain, before = dumped(cluster, store), await contents(store, 2**61)

    await migrate(store, "0013")
    await one(store, "SELECT setval('events_id_seq', 10000000)")
    await one(store, "INSERT INTO orders (customer_id) VALUES (1) RETURNING id")
    after = await contents(store, 2**61)
    assert after[0][0] == before[0][0] + 1
    await migrate(store, "0012")

    assert await contents(store, 2**61) == after
    assert dumped(cluster, store) == plain


async def test_privileges_and_views_of_others_are_kept(store: Database) -> None:
    for statement in (
        "GRANT SELECT ON events TO pg_monitor",
        "CREATE VIEW kinds AS SELECT kind, count(*) FROM events GROUP BY kind",
        "GRANT SELECT ON kinds TO PUBLIC",
    ):
        async with store.write() as session:
            await session.execute(text(statement))
    counted = await one(store, "SELECT array_agg(kinds::text ORDER BY kind) FROM kinds")

    await migrate(store, "0013")

    assert await one(store, "SELECT array_agg(kinds::text ORDER BY kind) FROM kinds") == counted
    privileges = """SELECT has_table_privilege('pg_monitor', 'events', 'SELECT'),
                    has_table_privilege('pg_monitor', 'events', 'INSERT'),
                    (SELECT relacl::text LIKE '%{=r/%' OR relacl::text LIKE '%,=r/%'
                     FROM pg_class WHERE relname = 'kinds')"""
    assert tuple(await one(store, privileges)) == (True, False, True)


async def test_what_would_be_lost_is_named(store: Database) -> None:
    async with store.write() as session:
        await session.execute(text("CREATE VIEW mine AS SELECT id FROM history"))

    with pytest.raises(MigrationRefused, match="view mine depends on view history"):
        await migrate(store)

    async with store.write() as session:
        await session.execute(text("DROP VIEW mine"))
    await migrate(store)


@pytest.mark.parametrize("table", ["events", "events_from_0", "events_from_10000000"])
async def test_each_partition_is_guarded(database: Database, table: str) -> None:
    changes = (f"DELETE FROM {table}", f"UPDATE {table} SET kind = 'PAID'")  # noqa: S608
    for change in changes:
        with pytest.raises(DBAPIError, match="events are neither changed nor deleted"):
            await one(database, f"{change} RETURNING 1")


async def test_a_dry_run_writes_to_no_range(database: Database) -> None:
    await seed(database, customers=2)
    async with database.write() as session:
        await session.execute(text("SET LOCAL graph.dry_run = 'on'"))
        await session.execute(text("INSERT INTO orders (customer_id) VALUES (1)"))
        tables = await session.scalars(
            text("SELECT tableoid::regclass::text FROM events WHERE id > 2^61")
        )
        assert list(tables) == ["events_other"]
        await session.rollback()


async def test_a_reset_store_has_the_partitions_of_a_new_one(database: Database) -> None:
    async def partitions() -> Any:
        async with database.engine.connect() as connection:
            return await connection.run_sync(partitions_of, "events")

    new = await partitions()
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP TABLE events_from_0"))
        await connection.execute(text("INSERT INTO pruned_logs VALUES ('events', 9999999)"))

    await seed(database, customers=3, reset=True)

    assert await partitions() == new
    assert tuple(await one(database, "SELECT count(*) FROM pruned_logs")) == (0,)


async def test_what_is_left_of_a_history_is_right(client: Client) -> None:
    """In partitions that are dropped, in batches, and in the rows that stay."""
    await fill_store(client.database, customers=3, orders=1)
    async with client.database.engine.begin() as connection:
        await connection.execute(text("SELECT setval('events_id_seq', 9999999)"))
        await connection.run_sync(add_ahead, "events")
    for status in ("PAID", "SHIPPED", "DELIVERED"):
        async with client.database.engine.begin() as connection:
            await connection.execute(text("UPDATE orders SET status = :status"), {"status": status})
            for statement in AN_HOUR_LATER:
                await connection.execute(text(statement))

    history = """{ orders(orderBy: {databaseId: ASC}) { nodes {
        history { totalCount nodes { databaseId kind payload } } } } }"""
    before = await client(history)
    done = await pruning.prune(client.database, LOG, older_than=timedelta(hours=1, minutes=30))
    after = await client(history)

    assert done.partitions == 1
    through = await pruned_through(client.database, "events")
    kept = [
        [node for node in order["history"]["nodes"] if int(node["databaseId"]) > through]
        for order in before["orders"]["nodes"]
    ]
    assert [order["history"]["nodes"] for order in after["orders"]["nodes"]] == kept
    assert [order["history"]["totalCount"] for order in after["orders"]["nodes"]] == [1, 1, 1]
