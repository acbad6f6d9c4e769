"""Keys become bigints while others read and write, whatever interrupts it.

`GRAPH_MIGRATION_LINES=1000000 .venv/bin/pytest -s tests/store/test_key_migration.py -k waits`
measures it on a store of that size, and prints how long others waited.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from graph.database import retyping
from graph.database.embedded import running_cluster
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.database.transaction import RetryableConflict, transaction
from graph.errors import MigrationRefused
from tests.conftest import settings_for
from tests.database.embedded import a_folder
from tests.store.test_migrations import dumped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from graph.database.embedded import Cluster

LONGEST_MILLISECONDS = 1000
LINES = int(os.environ.get("GRAPH_MIGRATION_LINES", "40000"))
SEQUENCES = [f"{table}_id_seq" for table in ("customers", "items", "orders", "order_lines")]

FILL = (
    """
    INSERT INTO customers (first_name, last_name, username, email, address, town)
    SELECT 'First', 'Last', 'user' || n, n || '@example.com', 'Street', 'Town'
    FROM generate_series(1, greatest($1::bigint / 20, 1)) AS n
    """,
    """
    INSERT INTO items (name, cost_price, selling_price, stock)
    SELECT 'Item ' || n, 1, 2, 1000000 FROM generate_series(1, 100) AS n WHERE $1::bigint > 0
    """,
    """
    INSERT INTO orders (customer_id)
    SELECT n % greatest($1::bigint / 20, 1) + 1 FROM generate_series(1, $1::bigint / 4) AS n
    """,
    """
    INSERT INTO order_lines (order_id, item_id, quantity)
    SELECT n / 4 + 1, n % 100 + 1, 1 FROM generate_series(0, $1::bigint - 1) AS n
    """,
)


@pytest.fixture
async def store(empty_url: str) -> AsyncIterator[Database]:
    """A database at the revision before."""
    database = Database.connect(settings_for(empty_url))
    await migrate(database, "0004")
    yield database
    await database.close()


async def fill(database: Database, lines: int) -> None:
    async with database.autocommit.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute("SET statement_timeout = 0")
        for statement in FILL:
            await driver.execute(statement, lines)
        await driver.execute("VACUUM ANALYZE")


async def contents(database: Database) -> dict[str, Any]:
    """Each table's rows as one number, whatever the order of its columns."""
    numbered = "SELECT count(*), sum(hashtext(to_jsonb(rows)::text)) FROM {} AS rows"
    async with database.engine.connect() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        return {
            table: tuple((await connection.execute(text(numbered.format(table)))).one())
            for table in ("customers", "items", "orders", "order_lines", "events")
        }


async def sequences(database: Database) -> list[Any]:
    async with database.engine.connect() as connection:
        return [
            (await connection.execute(text(f"SELECT last_value, is_called FROM {name}"))).one()  # noqa: S608
            for name in SEQUENCES
        ]


def in_any_column_order(dump: str) -> str:
    """A dump whose tables have their columns sorted: new columns come last."""

    def sort(table: re.Match[str]) -> str:
        lines = sorted(line.strip(",") for line in table[2].split("\n"))
        return table[1] + "\n".join(lines) + table[3]

    return re.sub(
        r"(CREATE TABLE [^\n]* \(\n)(.*?)(\n\)(?: WITH [^\n]*)?;)", sort, dump, flags=re.DOTALL
    )


@contextmanager
def interrupted_after(database: Database, statements: int) -> Iterator[None]:
    """The database is lost after so many statements of whoever migrates."""
    left = statements

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConnectionError

    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", count)


async def test_a_migration_that_is_interrupted_again_and_again_arrives(
    cluster: Cluster, store: Database, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retyping, "SMALL_BYTES", -1)
    await fill(store, 400)
    rows, numbers = await contents(store), await sequences(store)

    interruptions = 0
    for statements in range(10, 500, 7):
        try:
            with interrupted_after(store, statements):
                await migrate(store, "0005")
        except ConnectionError:
            interruptions += 1
        else:
            break

    assert interruptions > 10
    assert await contents(store) == rows
    assert await sequences(store) == numbers
    await migrate(store)
    assert in_any_column_order(dumped(cluster, store)) == in_any_column_order(
        dumped(cluster, database)
    )


class Load:
    """Others who use the store: what they did, and how long each of their steps took."""

    def __init__(self, url: str, lines: int) -> None:
        self._url = url
        self._lines = lines
        self._over = asyncio.Event()
        self.milliseconds: dict[str, list[float]] = defaultdict(list)

    async def run(self) -> None:
        workers = (self._place, self._place, self._change, self._change, self._read, self._read)
        database = Database.connect(settings_for(self._url))
        await asyncio.gather(*map(self._repeat, workers), self._mutate(database))
        await database.close()

    def end(self) -> None:
        self._over.set()

    def took(self) -> str:
        """The number, median, 99th percentile and longest of each kind, in milliseconds."""
        return "; ".join(
            f"{name}: {len(each)} steps, median {sorted(each)[len(each) // 2]:.1f},"
            f" p99 {sorted(each)[len(each) * 99 // 100]:.1f}, longest {max(each):.0f} ms"
            for name, each in sorted(self.milliseconds.items())
        )

    async def _repeat(self, work: Callable[[Any, int], Awaitable[None]]) -> None:
        connection = await asyncpg.connect(
            self._url.replace("+asyncpg", ""), statement_cache_size=0
        )
        try:
            for step in count(1):
                if self._over.is_set():
                    break
                started = time.perf_counter()
                await work(connection, step)
                self._note(work.__name__, started)
                await asyncio.sleep(0.02)
        finally:
            await connection.close()

    def _note(self, name: str, started: float) -> None:
        self.milliseconds[name.strip("_")].append((time.perf_counter() - started) * 1000)

    async def _place(self, connection: Any, step: int) -> None:
        order = "INSERT INTO orders (customer_id) VALUES ($1) RETURNING id"
        line = "INSERT INTO order_lines (order_id, item_id, quantity) VALUES ($1, $2, 1)"
        async with connection.transaction():
            key = await connection.fetchval(order, step % 2 + 1)
            await connection.execute(line, key, step % 50 + 1)
            await connection.execute(line, key, step % 50 + 2)

    async def _change(self, connection: Any, step: int) -> None:
        """Change lines all over the table, of those whose number ends in 7."""
        key = step * 7919 % (self._lines // 10) * 10 + 7
        await connection.execute(
            "UPDATE order_lines SET quantity = quantity % 100 + 1 WHERE id = $1", key
        )

    async def _read(self, connection: Any, step: int) -> None:
        select = """
            SELECT orders.id, username, quantity, items.name FROM orders
            JOIN customers ON customers.id = customer_id JOIN order_lines ON order_id = orders.id
            JOIN items ON items.id = item_id WHERE orders.id = $1
        """
        assert await connection.fetch(select, step * 31 % (self._lines // 4) + 1)

    async def _mutate(self, database: Database) -> None:
        """As the API does, whose connections keep their statements."""
        order = "INSERT INTO orders (customer_id) VALUES ($1) RETURNING id, customer_id"
        line = "INSERT INTO order_lines (order_id, item_id, quantity) VALUES ($1, $2, 1)"
        read = "SELECT id, order_id, item_id FROM order_lines WHERE order_id = $1"
        while not self._over.is_set():
            started = time.perf_counter()
            try:
                async with transaction(database) as running:
                    placed = await running.first(order, 3)
                    await running.fetch(line, placed["id"], 60)
                    await running.commit()
            except RetryableConflict:  # a mutation begins anew
                continue
            self._note("mutation", started)
            started = time.perf_counter()
            found = await database.first(read, placed["id"])
            self._note("query", started)
            assert (found["order_id"], found["item_id"]) == (placed["id"], 60)
            await asyncio.sleep(0.02)


@pytest.fixture
def durable_cluster() -> Iterator[Cluster]:
    """A PostgreSQL of this test's own, with fsync and all."""
    with a_folder() as folder, running_cluster(folder) as cluster:
        yield cluster


async def test_nobody_waits_for_long_while_keys_become_bigints(durable_cluster: Cluster) -> None:
    url = durable_cluster.url()
    store = Database.connect(settings_for(url))
    await migrate(store, "0004")
    await fill(store, LINES)
    old = {name: await rows_of(store, name) for name in ("customers", "order_lines")}

    load = Load(url, LINES)
    loading = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(2)
        before, load.milliseconds = load.took(), defaultdict(list)
        started = time.perf_counter()
        await migrate(store, "0005")
        seconds = time.perf_counter() - started
        await asyncio.sleep(1)
    finally:
        load.end()
        await loading
    during = load.took()
    longest = max(max(each) for each in load.milliseconds.values())

    print(f"\n{LINES} lines, {seconds:.1f} s\nbefore: {before}\nduring: {during}")  # noqa: T201
    assert longest < LONGEST_MILLISECONDS
    assert {name: await rows_of(store, name) for name in old} == old
    await check_books(store)
    await store.close()


async def rows_of(database: Database, table: str) -> Any:
    """The rows that nobody changes, as one number."""
    select = f"""
        SELECT count(*), sum(hashtext(to_jsonb(rows)::text)) FROM {table} AS rows
        WHERE id <= {LINES} AND (id % 10 <> 7 OR '{table}' = 'customers')
    """  # noqa: S608
    async with database.engine.connect() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        return tuple((await connection.execute(text(select))).one())


async def check_books(database: Database) -> None:
    """Every change is one event that knows nothing of columns that stood in for others."""
    events = text("""
        SELECT count(*) FILTER (WHERE kind = 'CREATED' AND entity = 'Order'),
               count(*) FILTER (WHERE kind = 'CREATED' AND entity = 'OrderLine'),
               count(*) FILTER (WHERE payload::text LIKE '%\\_new%'),
               count(*) FILTER (WHERE kind = 'CHANGED' AND entity = 'OrderLine'
                                AND NOT payload ? 'quantity'),
               (SELECT count(*) FROM orders), (SELECT count(*) FROM order_lines)
        FROM events
    """)
    async with database.engine.connect() as connection:
        found = (await connection.execute(events)).one()
    orders, lines, stand_ins, empty, all_orders, all_lines = found
    assert (stand_ins, empty) == (0, 0)
    assert (orders, lines) == (all_orders, all_lines)


async def test_keys_become_integers_again_unless_one_is_too_large(
    cluster: Cluster, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retyping, "SMALL_BYTES", -1)
    await fill(store, 40)
    rows, before = await contents(store), in_any_column_order(dumped(cluster, store))
    await migrate(store, "0005")
    await migrate(store, "0004")
    assert in_any_column_order(dumped(cluster, store)) == before
    assert await contents(store) == rows

    await migrate(store, "0005")
    async with store.write() as session:
        await session.execute(text("SELECT setval('orders_id_seq', 3000000000)"))
    with pytest.raises(MigrationRefused, match=r"orders\.id has come to 3000000000"):
        await migrate(store, "0004")


async def test_what_would_be_lost_with_a_column_is_named(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retyping, "SMALL_BYTES", -1)
    async with store.write() as session:
        await session.execute(text("CREATE VIEW numbers AS SELECT id FROM items"))

    with pytest.raises(MigrationRefused, match=r"items \(id\) cannot become bigint.* view numbers"):
        await migrate(store, "0005")

    async with store.write() as session:
        await session.execute(text("DROP VIEW numbers"))
    await migrate(store, "0005")


async def test_a_process_that_is_killed_is_followed_by_one_that_goes_on(store: Database) -> None:
    await fill(store, LINES)
    rows = await contents(store)
    url = store.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "graph", "migrate", "--to", "0005"]
    environment = os.environ | {"GRAPH_DATABASE_URL": url}
    process = subprocess.Popen(command, env=environment)  # noqa: ASYNC220  it is killed
    filled = text("SELECT EXISTS (SELECT FROM order_lines WHERE id_new IS NOT NULL)")
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        async with store.engine.connect() as connection:
            try:
                if await connection.scalar(filled):
                    break
            except DBAPIError:  # there is no such column yet
                pass
        await asyncio.sleep(0.01)
    process.kill()
    assert process.wait() == -9

    await migrate(store, "0005")

    assert await contents(store) == rows
