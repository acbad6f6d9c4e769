"""The store that all servers answer from: a PostgreSQL of the bench's own, rows in exact numbers.

At scale 1 there are 10,000 customers, 50,000 orders and 150,000 lines. Every customer has five
orders, scattered over the table as they would come in. Ten orders in a row have 30 lines, most of
them one or two, and one of them twelve: more than `lineItems(first: 10)` gives. Names, addresses
and items are those of the demo store.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
from pydantic import SecretStr

from bench.processes import cpu_seconds
from graph.database.embedded import running_cluster
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.settings import Settings
from graph.store.seed.sample import CustomerRow, ItemRow, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

CUSTOMERS = 10_000

SETTINGS = {
    # The data is not worth keeping, and nothing but the requests is to be measured.
    "fsync": "off",
    "autovacuum": "off",
    "max_connections": "300",
    "shared_buffers": "512MB",
    # What `graph` sets for its own connections, so that every peer has it.
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "shared_preload_libraries": "pg_stat_statements",
    "compute_query_id": "on",
}

# `$2` is a prime, so that the orders of one customer lie far apart.
_PLACE_ORDERS = """
    INSERT INTO orders (id, customer_id, date_placed)
    SELECT n + 1, n::bigint * $2 % $1 + 1,
           timestamptz '2020-01-01' + n * interval '63 minutes 11 seconds'
    FROM generate_series(0, 5 * $1::integer - 1) AS n
"""
_STRIDE = 7919
_FILL_ORDERS = """
    INSERT INTO order_lines (id, order_id, item_id, quantity, unit_price, item_name)
    SELECT row_number() OVER (ORDER BY n, line), n + 1, items.id, (n + line) % 4 + 1,
           selling_price, name
    FROM generate_series(0, 5 * $1::integer - 1) AS n
    CROSS JOIN LATERAL generate_series(1, ($2::integer[])[(n + n / $1) % 10 + 1]) AS line
    JOIN items ON items.id = (n * 31 + line * 17) % $3 + 1
"""
# The same rows in tables without triggers, for the limit: what a change costs without features.
_PLAIN = """
    CREATE SCHEMA plain;
    {tables}
    ALTER TABLE plain.orders ADD FOREIGN KEY (customer_id) REFERENCES plain.customers;
    ALTER TABLE plain.order_lines ADD FOREIGN KEY (order_id) REFERENCES plain.orders,
        ADD FOREIGN KEY (item_id) REFERENCES plain.items;
    GRANT USAGE ON SCHEMA plain TO public;
    GRANT ALL ON ALL TABLES IN SCHEMA plain TO public;
"""
_PLAIN_TABLE = """
    CREATE TABLE plain.{table} (LIKE {table} INCLUDING ALL);
    ALTER TABLE plain.{table} ALTER id SET DEFAULT nextval('{table}_id_seq');
    INSERT INTO plain.{table} SELECT * FROM {table};
"""
_LINES_OF_TEN_ORDERS = [1, 5, 1, 2, 12, 1, 2, 3, 1, 2]
_TABLES = ("customers", "items", "orders", "order_lines")


@dataclass(frozen=True)
class Store:
    """Where the data is, as two kinds of driver want to be told, and how much of it there is."""

    url: str
    superuser_url: str
    libpq: dict[str, str]
    postmaster: int
    folder: Path
    version: str
    rows: dict[str, int]

    @property
    def customers(self) -> int:
        return self.rows["customers"]

    def cpu_seconds(self) -> float:
        """What PostgreSQL has used up to now, with all of its processes."""
        return cpu_seconds(self.postmaster)

    async def connect(self) -> Any:
        """A connection of the bench's own, beside those of the servers."""
        return await asyncpg.connect(driver_url(self.superuser_url))


@contextmanager
def running_store(scale: float, *, syncs: bool = False) -> Iterator[Store]:
    """A filled PostgreSQL, in a folder that is removed afterwards.

    With `syncs` a change waits until the disk has it.
    """
    # Not whole tens would make the number of lines less exact.
    customers = max(10, round(CUSTOMERS * scale / 10) * 10)
    with tempfile.TemporaryDirectory(prefix="graph-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # where the bench runs as root, PostgreSQL does not
        settings = SETTINGS | {"fsync": "on" if syncs else "off"}
        with running_cluster(folder, settings=settings) as cluster:
            asyncio.run(_migrate(cluster.url()))
            version, rows = asyncio.run(_filled(cluster.superuser_url(), customers))
            pid_file = next(folder.glob("postgresql-*/postmaster.pid"))
            postmaster = int(pid_file.read_text().split()[0])
            urls = cluster.url(), cluster.superuser_url()
            yield Store(*urls, cluster.environment(), postmaster, pid_file.parent, version, rows)


def driver_url(url: str) -> str:
    """The URL as asyncpg takes it, without SQLAlchemy between."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


async def _filled(url: str, customers: int) -> tuple[str, dict[str, int]]:
    connection = await asyncpg.connect(driver_url(url), timeout=60)
    try:
        sample = Sample(customers, random_seed=1)
        items = list(sample.item_rows())
        await connection.execute("SET graph.logging = 'off'")
        await _copy(connection, "customers", CustomerRow, sample.customer_rows())
        await _copy(connection, "items", ItemRow, items)
        # Never sold out, by as many orders as one likes.
        await connection.execute("UPDATE items SET stock = 2000000000")
        await connection.execute(_PLACE_ORDERS, customers, _STRIDE)
        await connection.execute(_FILL_ORDERS, customers, _LINES_OF_TEN_ORDERS, len(items))
        for table in ("orders", "order_lines"):
            last = f"SELECT setval('{table}_id_seq', max(id)) FROM {table}"  # noqa: S608
            await connection.execute(last)
        tables = "".join(_PLAIN_TABLE.format(table=table) for table in _TABLES)
        await connection.execute(_PLAIN.format(tables=tables))
        await connection.execute("VACUUM (FREEZE, ANALYZE)")
        with suppress(asyncpg.InsufficientPrivilegeError):  # the role is no superuser
            await connection.execute("CHECKPOINT")
        version = await connection.fetchval("SHOW server_version")
        rows = {
            table: await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
            for table in _TABLES
        }
    finally:
        await connection.close()
    return version, rows


async def _migrate(url: str) -> None:
    database = Database.connect(Settings(database_url=SecretStr(url)))
    try:
        await migrate(database)
    finally:
        await database.close()


async def _copy(connection: Any, table: str, row_type: Any, rows: Any) -> None:
    await connection.copy_records_to_table(table, columns=row_type._fields, records=rows)
