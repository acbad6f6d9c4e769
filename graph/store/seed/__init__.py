"""Fills an empty store with realistic customers, items, orders and lines, in one transaction."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, or_, select, text

from graph.database.pruning import begin_anew
from graph.errors import StoreNotEmpty
from graph.store.models import EVENTS, Base, Customer, Item, Order, OrderLine
from graph.store.seed.sample import (
    CLOSED,
    ORDERS_PER_CANCELLED,
    Counts,
    CustomerRow,
    ItemRow,
    OrderLineRow,
    OrderRow,
    Sample,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.database.engine import Database, WriteSession

    Progress = Callable[[int, int], None]

__all__ = ["CUSTOMERS", "RANDOM_SEED", "Counts", "seed"]

CUSTOMERS = 1_000
RANDOM_SEED = 1

# A COPY of this many rows takes 0.1 to 0.2 s, so that progress is visible. Larger batches are not
# faster.
_BATCH_ROWS = 10_000

_STORE = (Customer, Item, Order, OrderLine)
_TABLE_NAMES = ", ".join(table.name for table in Base.metadata.sorted_tables)

_STAGE_ORDERS = """
    CREATE TEMPORARY TABLE staged_orders (customer_id bigint, date_placed timestamptz)
    ON COMMIT DROP
"""
# The sample's orders are grouped by customer. PostgreSQL sorts them on disk, so that ids follow the
# dates of the whole store. Orders with the same date and customer are identical.
_PLACE_ORDERS = f"""
    INSERT INTO orders (id, customer_id, date_placed, status)
    SELECT id, customer_id, date_placed,
           CASE WHEN id % {ORDERS_PER_CANCELLED} = 0 THEN 'CANCELLED'
                WHEN days > 14 THEN 'DELIVERED' WHEN days > 7 THEN 'SHIPPED'
                WHEN days > 2 THEN 'PAID' ELSE 'PLACED' END
    FROM (SELECT row_number() OVER (ORDER BY date_placed, customer_id) AS id, *,
                 extract(epoch FROM timestamptz '{CLOSED}' - date_placed) / 86400 AS days
          FROM staged_orders) AS numbered
"""  # noqa: S608  all of it is ours
# The rest of the sample has no history.
_LOG_ORDERS = """
    INSERT INTO events (occurred_at, entity, entity_id, kind, payload, order_id)
    SELECT date_placed, 'Order', id, 'CREATED', to_jsonb(orders) - 'id', id
    FROM orders ORDER BY id
"""


async def seed(
    database: Database,
    *,
    customers: int = CUSTOMERS,
    random_seed: int = RANDOM_SEED,
    reset: bool = False,
    progress: Progress | None = None,
) -> Counts:
    """Write the sample store for these two numbers; return the number of rows by table.

    The same numbers give the same rows, with the same ids and dates. `progress` is called with the
    rows written and the total. `reset` removes all rows first, in the same transaction.

    Raises:
        ValueError: `customers` is negative.
        StoreNotEmpty: the store has rows, and `reset` is false.
    """
    sample = Sample(customers, random_seed)
    async with database.write() as session:
        await _claim_store(session, reset=reset)
        counts = sample.counts()
        copy = _Copy(await _driver_connection(session), counts.rows, progress)
        await copy.rows("customers", CustomerRow._fields, sample.customer_rows())
        await copy.rows("items", ItemRow._fields, sample.item_rows())
        await session.execute(text(_STAGE_ORDERS))
        await copy.rows("staged_orders", OrderRow._fields, sample.order_rows())
        await session.execute(text(_PLACE_ORDERS))
        await session.execute(text(_LOG_ORDERS))
        await copy.rows("order_lines", OrderLineRow._fields, sample.order_line_rows())
        await _settle_store(session)
    return counts


async def _claim_store(session: WriteSession, *, reset: bool) -> None:
    """Lock the tables and check that they are empty; a second seed waits here, and is then refused.

    Without `reset` other transactions can still read.
    """
    await session.execute(text("SET LOCAL statement_timeout = 0"))
    await session.execute(text("SET LOCAL graph.logging = 'off'"))
    await session.execute(text(f"LOCK TABLE {_TABLE_NAMES} IN SHARE ROW EXCLUSIVE MODE"))
    if reset:
        await session.execute(text(f"TRUNCATE {_TABLE_NAMES} RESTART IDENTITY"))
        await begin_anew(session, EVENTS.name)
    elif await session.scalar(select(or_(*(exists().select_from(entity) for entity in _STORE)))):
        customers = await session.scalar(select(func.count()).select_from(Customer))
        raise StoreNotEmpty(customers or 0)


async def _settle_store(session: WriteSession) -> None:
    """Advance the sequences past the written ids, and update the planner's statistics."""
    for table in (*(entity.__tablename__ for entity in _STORE), EVENTS.name):
        key = Base.metadata.tables[table].c.id
        sequence = func.pg_get_serial_sequence(table, "id")
        await session.execute(select(func.setval(sequence, func.max(key))))
    await session.execute(text(f"ANALYZE {_TABLE_NAMES}"))


async def _driver_connection(session: WriteSession) -> Any:
    """The asyncpg connection of a session whose transaction has begun."""
    connection = await (await session.connection()).get_raw_connection()
    return connection.driver_connection


class _Copy:
    """COPY into one table after another, with a common count of rows for the progress."""

    def __init__(self, connection: Any, rows_total: int, progress: Progress | None) -> None:
        self._connection = connection
        self._rows_total = rows_total
        self._rows_done = 0
        self._progress = progress
        self._advance(0)

    async def rows(
        self, table: str, columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]]
    ) -> None:
        copied = _BATCH_ROWS
        while copied == _BATCH_ROWS:
            status = await self._connection.copy_records_to_table(
                table, columns=columns, records=islice(rows, _BATCH_ROWS)
            )
            copied = int(status.removeprefix("COPY "))
            self._advance(copied)

    def _advance(self, rows: int) -> None:
        self._rows_done += rows
        if self._progress:
            self._progress(self._rows_done, self._rows_total)
