"""The events of a function that names columns are those of one that takes any row.

The oracle is the function that wrote the events before: it compared rows as JSON.
"""

# ruff: noqa: S608  all of it is written here

from __future__ import annotations

import importlib
import time
from random import Random
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.database.migrate import migrate
from graph.store.log_functions import LOGGED, ROWS
from graph.store.models import Base
from tests.rows import fill

if TYPE_CHECKING:
    from graph.database.engine import Database

OLD: Any = importlib.import_module("graph.store.migrations.versions.0014_log_functions")
EVENTS = "SELECT entity, entity_id, kind, payload, actor, order_id FROM {} ORDER BY id"
STATEMENTS = 600
TEXTS = ["Ulm", "'", '"', "\\", "é\u2028", "", "{}", "[null]", " "]


async def plain(database: Database) -> Any:
    url = database.engine.url.render_as_string(hide_password=False)
    return await asyncpg.connect(url.replace("+asyncpg", ""))


async def logged_twice(connection: Any) -> None:
    """The old function writes into a table of its own, at each statement."""
    await connection.execute("CREATE TABLE expected (LIKE events INCLUDING DEFAULTS)")
    text = OLD._LOG_CHANGES.replace("INTO events", "INTO expected")  # noqa: SLF001
    await connection.execute(text)
    for table, (entity, order) in LOGGED.items():
        for operation, rows in ROWS.items():
            await connection.execute(
                f"CREATE TRIGGER {table}_expected_{operation} AFTER {operation} ON {table}"
                f" REFERENCING {rows} FOR EACH STATEMENT"
                f" EXECUTE FUNCTION log_changes('{entity}', '{order}')"
            )


def a_statement(random: Random) -> str:
    """A change by plain SQL; some violate a constraint."""
    key, other, many = random.randint(1, 8), random.randint(1, 8), random.randint(0, 4)
    some = random.choice([f"id = {key}", f"id % 3 = {many}", "true", f"id < {many}"])
    text = random.choice(TEXTS).replace("'", "''")
    customer = random.choice(["town", "address", "first_name", "last_name"])
    status = random.choice(["PLACED", "PAID", "SHIPPED", "DELIVERED", "CANCELLED"])
    price, stock = random.choice(["1", "2.50", "-1"]), random.choice(["NULL", "0", "7", "stock"])
    lines = "order_lines (order_id, item_id, quantity"
    return random.choice(
        [
            f"UPDATE customers SET {customer} = '{text}' WHERE {some}",
            f"UPDATE customers SET {customer} = {customer} WHERE {some}",
            f"UPDATE customers SET updated_on = now() - interval '{many} h' WHERE {some}",
            f"UPDATE customers SET username = 'u{other}' WHERE id = {key}",
            f"UPDATE customers SET id = id + 100 * {many} WHERE id = {key}",
            f"""INSERT INTO customers (first_name, last_name, username, email, address, town)
                SELECT 'a', '{text}', 'n' || random(), 'n' || random(), 'd', 'e'
                FROM generate_series(1, {many})""",
            f"DELETE FROM customers WHERE {some} AND id > 3",
            f"UPDATE items SET selling_price = {price}, stock = {stock} WHERE {some}",
            f"""INSERT INTO items (name, cost_price, selling_price, stock)
                VALUES ('{text}', 0, {price}, {stock.replace("stock", "1")})
                ON CONFLICT (id) DO NOTHING""",
            f"""INSERT INTO items (id, name, cost_price, selling_price) VALUES ({key}, 'x', 0, 1)
                ON CONFLICT (id) DO UPDATE SET name = '{text}'""",
            f"UPDATE orders SET status = '{status}' WHERE {some}",
            f"UPDATE orders SET date_placed = date_placed + interval '{many} d' WHERE {some}",
            f"INSERT INTO orders (customer_id) VALUES ({key}), ({other})",
            f"DELETE FROM orders WHERE {some} AND id > 5",
            f"INSERT INTO {lines}) VALUES ({key}, {other}, {many})",
            f"INSERT INTO {lines}, cancelled_quantity) SELECT {key}, id, 2, 2 FROM items",
            f"UPDATE order_lines SET quantity = {many} WHERE {some}",
            f"UPDATE order_lines SET order_id = {other} WHERE {some}",
            f"UPDATE order_lines SET cancelled_quantity = quantity WHERE {some}",
            f"DELETE FROM order_lines WHERE {some}",
            f"""WITH gone AS (DELETE FROM order_lines WHERE order_id = {key} RETURNING item_id)
                UPDATE items SET stock = 1 WHERE id IN (SELECT item_id FROM gone)""",
        ]
    )


@pytest.mark.parametrize("seed", range(3))
async def test_random_statements_write_the_same_events_as_before(
    database: Database, seed: int
) -> None:
    await fill(database, customers=8, orders=1, lines=2, items=8)
    connection = await plain(database)
    try:
        await logged_twice(connection)
        before = await connection.fetchval("SELECT count(*) FROM events")
        random, failed = Random(seed), 0  # noqa: S311  no secret
        for _ in range(STATEMENTS // 3):
            actor = random.choice(["", "", "issuer 'subject'"])
            await connection.execute("SELECT set_config('graph.actor', $1, false)", actor)
            statements = [a_statement(random) for _ in range(random.randint(1, 3))]
            try:
                await connection.execute("; ".join(statements))
            except asyncpg.IntegrityConstraintViolationError:
                failed += 1
            except asyncpg.CardinalityViolationError:
                failed += 1
        found = (await connection.fetch(EVENTS.format("events")))[before:]
        expected = await connection.fetch(EVENTS.format("expected"))
    finally:
        await connection.close()

    assert list(map(dict, found)) == list(map(dict, expected))
    assert len(found) > STATEMENTS / 3
    assert failed < STATEMENTS / 4


@pytest.mark.parametrize("seed", range(2))
async def test_random_statements_move_orders_as_before(database: Database, seed: int) -> None:
    """Statement by statement, each is run with the old trigger and with the new one."""
    await fill(database, customers=8, orders=1, lines=2, items=8)
    state = "SELECT id, version, status FROM orders ORDER BY id"
    connection, moved = await plain(database), 0
    try:
        random = Random(seed)  # noqa: S311  no secret
        new = await connection.fetchval("SELECT pg_get_functiondef('touch_orders'::regproc)")
        for _ in range(100):
            statement = "; ".join(a_statement(random) for _ in range(random.randint(1, 3)))
            states = []
            for function in (OLD._OLD_TOUCH_ORDERS, new):  # noqa: SLF001
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(function)
                before = await connection.fetch(state)
                try:
                    await connection.execute(statement)
                    after = await connection.fetch(state)
                    moved += before != after
                    states.append([tuple(row)[1:] for row in after])
                except asyncpg.IntegrityConstraintViolationError:
                    states.append([])
                await transaction.rollback()
            assert states[0] == states[1], statement
            # The next one begins with what this one did.
            try:
                await connection.execute(statement)
            except asyncpg.IntegrityConstraintViolationError:
                continue
    finally:
        await connection.close()

    assert moved > 50


async def test_every_column_of_the_models_is_in_the_events(database: Database) -> None:
    await fill(database, customers=1, orders=1, lines=1, items=1)
    connection = await plain(database)
    try:
        for table, (entity, _) in LOGGED.items():
            columns = {column.name for column in Base.metadata.tables[table].columns} - {"id"}
            text = await connection.fetchval(
                "SELECT pg_get_functiondef(to_regproc($1))", f"log_{table}"
            )
            assert all(f'"{column}":' in text for column in columns)
            keys = await connection.fetchval(
                "SELECT array_agg(key) FROM (SELECT jsonb_object_keys(payload) AS key FROM events"
                " WHERE entity = $1 AND kind = 'CREATED') AS keys",
                entity,
            )
            assert set(keys) == columns
    finally:
        await connection.close()


async def test_a_column_that_a_migration_adds_or_drops_is_followed(database: Database) -> None:
    """Migrating down and up again is enough: the functions are written after each migration."""
    await fill(database, customers=1, orders=0)
    connection = await plain(database)
    try:
        await connection.execute("ALTER TABLE customers ADD nickname text, DROP address CASCADE")
        await migrate(database, OLD.down_revision)
        await migrate(database, OLD.revision)
        await connection.execute("UPDATE customers SET nickname = 'Bo'")
        payload = await connection.fetchval("SELECT payload FROM events ORDER BY id DESC LIMIT 1")
    finally:
        await connection.close()

    assert '"nickname": [null, "Bo"]' in payload


async def test_many_rows_after_few_take_no_time_that_grows_with_their_square(
    database: Database,
) -> None:
    """A session plans a function's statements once, for the rows that it changes first."""
    await fill(database, customers=3_000, orders=0)
    connection = await plain(database)
    try:
        await connection.execute("UPDATE customers SET town = 'x' WHERE id = 1")
        began = time.monotonic()
        await connection.execute("UPDATE customers SET address = 'y' || id")
        seconds = time.monotonic() - began
    finally:
        await connection.close()

    assert seconds < 5  # half a second, where a nested loop would take ten
