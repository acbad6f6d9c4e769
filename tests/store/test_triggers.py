"""The triggers, which apply to changes by the API and by plain SQL."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from graph.store.models import Base, Item, Order, OrderLine, OrderStatus
from graph.store.writes import constraints
from tests.rows import a_customer, an_item, fill

if TYPE_CHECKING:
    from graph.database.engine import Database


async def executed(database: Database, *statements: str) -> list[Any]:
    """The rows of the last of some statements, all in one transaction."""
    async with database.write() as session:
        for statement in statements:
            result = await session.execute(text(statement))
        return list(result) if result.returns_rows else []  # type: ignore[attr-defined]


async def events(database: Database) -> list[tuple[str, int, str, Any]]:
    rows = await executed(
        database, "SELECT entity, entity_id, kind, payload::text FROM events ORDER BY id"
    )
    return [(row[0], row[1], row[2], json.loads(row[3])) for row in rows]


async def test_a_line_has_the_price_and_the_name_that_its_item_had(database: Database) -> None:
    async with database.write() as session:
        item = an_item(1)
        line = OrderLine(order=Order(customer=a_customer(1)), item=item, quantity=3)
        session.add(line)
    assert (line.unit_price, line.item_name) == (Decimal("1.50"), "Item 1")
    await executed(database, "UPDATE items SET selling_price = 9, name = 'Another'")
    await executed(
        database, "INSERT INTO order_lines (order_id, item_id, quantity) VALUES (1, 1, 1)"
    )

    async with database.write() as session:
        found = select(
            OrderLine.unit_price,
            OrderLine.item_name,
            OrderLine.subtotal,
            OrderLine.unit_price_changed,
        )
        lines = (await session.execute(found.order_by(OrderLine.id))).all()
        total = await session.scalar(select(Order.total))
    assert lines == [
        (Decimal("1.50"), "Item 1", Decimal("4.50"), True),
        (Decimal("9.00"), "Another", Decimal("9.00"), False),
    ]
    assert total == Decimal("13.50")


async def test_an_explicit_price_of_a_line_is_kept(database: Database) -> None:
    await fill(database, customers=1, orders=1, lines=0, items=1)
    await executed(
        database,
        "INSERT INTO order_lines (order_id, item_id, quantity, unit_price) VALUES (1, 1, 2, 0.25)",
    )

    ((price, name),) = await executed(database, "SELECT unit_price, item_name FROM order_lines")
    assert (price, name) == (Decimal("0.25"), "Item 1")


async def test_cancelled_pieces_cost_nothing(database: Database) -> None:
    await fill(database, customers=1, orders=1, lines=1, items=1)
    await executed(database, "UPDATE order_lines SET quantity = 3, cancelled_quantity = 1")

    async with database.write() as session:
        assert await session.scalar(select(Order.total)) == Decimal("3.00")


@pytest.mark.parametrize(
    ("table", "change"),
    [("customers", "town = 'X'"), ("items", "stock = 5"), ("orders", "status = 'PAID'")],
)
async def test_a_version_moves_with_every_change_and_with_nothing_else(
    database: Database, table: str, change: str
) -> None:
    await fill(database, customers=1, orders=1, lines=0, items=1)
    changing = f"UPDATE {table} SET {change}"  # noqa: S608
    reading = f"SELECT version FROM {table}"  # noqa: S608
    setting = f"UPDATE {table} SET version = 7"  # noqa: S608

    assert await executed(database, reading) == [(1,)]
    assert await executed(database, changing, reading) == [(2,)]
    assert await executed(database, changing, reading) == [(2,)]
    assert await executed(database, setting, reading) == [(3,)]


async def test_an_update_by_sql_sets_updated_on(database: Database) -> None:
    await fill(database, customers=1)

    await executed(database, "UPDATE customers SET town = 'X'")

    recent = "SELECT now() - updated_on < interval '1 minute' FROM customers"
    assert await executed(database, recent) == [(True,)]


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO order_lines (order_id, item_id, quantity) VALUES (1, 1, 1), (1, 1, 2)",
        "UPDATE order_lines SET quantity = 7 WHERE order_id = 1",
        "DELETE FROM order_lines WHERE order_id = 1",
    ],
)
async def test_a_change_of_lines_is_one_of_their_order(database: Database, change: str) -> None:
    await fill(database, customers=1, orders=2, lines=2)

    await executed(database, change)

    versions = await executed(database, "SELECT version FROM orders ORDER BY id")
    assert versions == [(2,), (1,)]


async def test_an_update_that_changes_no_line_does_not_change_the_order(
    database: Database,
) -> None:
    await fill(database, customers=1, orders=1, lines=2)

    await executed(database, "UPDATE order_lines SET quantity = quantity")

    assert await executed(database, "SELECT version FROM orders") == [(1,)]


async def test_a_new_order_with_lines_is_at_version_one(database: Database) -> None:
    await fill(database, customers=1, orders=1, lines=2)

    assert await executed(database, "SELECT version FROM orders") == [(1,)]


async def test_every_change_is_an_event_in_its_transaction(database: Database) -> None:
    await fill(database, customers=1, orders=1, lines=1, items=1)
    created = await events(database)
    assert [event[:3] for event in created] == [
        ("Customer", 1, "CREATED"),
        ("Item", 1, "CREATED"),
        ("Order", 1, "CREATED"),
        ("OrderLine", 1, "CREATED"),
    ]
    assert created[3][3] == {
        "order_id": 1, "item_id": 1, "quantity": 1, "cancelled_quantity": 0, "taken": 0,
        "unit_price": 1.5, "item_name": "Item 1",
    }  # fmt: skip

    with pytest.raises(IntegrityError):
        await executed(
            database, "UPDATE items SET stock = 3", "UPDATE items SET cost_price = 'NaN'"
        )
    await executed(database, "UPDATE items SET stock = 5", "UPDATE items SET stock = 5")
    await executed(database, "UPDATE orders SET status = 'PAID'")
    await executed(database, "DELETE FROM order_lines")

    later = (await events(database))[4:]
    assert later == [
        ("Item", 1, "CHANGED", {"stock": [None, 5], "version": [1, 2]}),
        ("Order", 1, "PAID", {"status": ["PLACED", "PAID"], "version": [1, 2]}),
        ("OrderLine", 1, "DELETED", created[3][3]),
        ("Order", 1, "CANCELLED", {"status": ["PAID", "CANCELLED"], "version": [2, 3]}),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM order_lines WHERE order_id = 1",
        "UPDATE order_lines SET cancelled_quantity = quantity WHERE order_id = 1",
        "UPDATE order_lines SET order_id = 2 WHERE order_id = 1",
    ],
)
async def test_an_order_of_which_nothing_is_left_is_cancelled(
    database: Database, change: str
) -> None:
    await fill(database, customers=1, orders=2, lines=2)

    await executed(database, change)

    orders = await executed(database, "SELECT status FROM orders ORDER BY id")
    assert orders == [("CANCELLED",), ("PLACED",)]
    assert (await executed(database, "SELECT version FROM orders WHERE id = 1")) == [(2,)]


async def test_a_new_order_with_nothing_left_is_cancelled(database: Database) -> None:
    await fill(database, customers=1, orders=2, lines=0, items=1)

    line = "INSERT INTO order_lines (order_id, item_id, quantity, cancelled_quantity) VALUES "
    await executed(database, f"{line}(1, 1, 2, 2), (2, 1, 2, 2), (2, 1, 2, 1)")

    orders = await executed(database, "SELECT status FROM orders ORDER BY id")
    assert orders == [("CANCELLED",), ("PLACED",)]


@pytest.mark.parametrize("before", OrderStatus)
@pytest.mark.parametrize("after", OrderStatus)
async def test_an_order_can_be_moved_to_any_status_by_sql(
    database: Database, before: OrderStatus, after: OrderStatus
) -> None:
    await fill(database, customers=1, orders=1)
    await executed(database, f"UPDATE orders SET status = '{before}'")  # noqa: S608
    events_before = len(await events(database))

    await executed(database, f"UPDATE orders SET status = '{after}'")  # noqa: S608

    later = (await events(database))[events_before:]
    expected = "CHANGED" if after is OrderStatus.PLACED else after
    assert [event[2] for event in later] == ([] if before is after else [expected])
    assert [event[3]["status"] for event in later] == ([] if before is after else [[before, after]])


async def test_an_event_has_its_actor(database: Database) -> None:
    await fill(database, customers=1, orders=0)
    await executed(
        database,
        "SELECT set_config('graph.actor', 'tmiller', true)",
        "UPDATE customers SET town = 'X'",
    )

    actors = await executed(database, "SELECT actor FROM events WHERE kind = 'CHANGED'")
    assert actors == [("tmiller",)]


@pytest.mark.parametrize("change", ["UPDATE events SET kind = 'PAID'", "DELETE FROM events"])
async def test_events_are_never_changed(database: Database, change: str) -> None:
    await fill(database, customers=1)

    with pytest.raises(DBAPIError, match="neither changed nor deleted"):
        await executed(database, change)


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("items_stock_check", "UPDATE items SET stock = -1"),
        ("orders_status_check", "UPDATE orders SET status = 'LOST'"),
        ("order_lines_unit_price_check", "UPDATE order_lines SET unit_price = 'NaN'"),
        (
            "order_lines_cancelled_quantity_check",
            "UPDATE order_lines SET cancelled_quantity = quantity + 1",
        ),
        ("order_lines_cancelled_quantity_check", "UPDATE order_lines SET cancelled_quantity = -1"),
        ("order_lines_taken_check", "UPDATE order_lines SET taken = quantity + 1"),
        (
            "order_lines_taken_check",
            "UPDATE order_lines SET cancelled_quantity = 1, taken = quantity",
        ),
        ("order_lines_taken_check", "UPDATE order_lines SET taken = -1"),
        (
            "order_lines_item_id_fkey",
            "INSERT INTO order_lines (order_id, item_id, quantity) VALUES (1, 99, 1)",
        ),
        (
            "events_kind_check",
            "INSERT INTO events (entity, entity_id, kind, payload) VALUES ('', 1, 'X', '{}')",
        ),
        (
            "events_occurred_at_check",
            """INSERT INTO events (occurred_at, entity, entity_id, kind, payload)
               VALUES ('infinity', '', 1, 'PAID', '{}')""",
        ),
    ],
)
async def test_a_violation_names_its_constraint(
    database: Database, constraint: str, statement: str
) -> None:
    await fill(database, customers=1)

    with pytest.raises(IntegrityError, match=f'"{constraint}"'):
        await executed(database, statement)


def rules_of(table: Any) -> list[Any]:
    return [*table.constraints, *(index for index in table.indexes if index.unique)]


def test_every_constraint_is_known_to_mean_something() -> None:
    known = {
        *constraints._PROBLEMS,  # noqa: SLF001
        *constraints._REASONS,  # noqa: SLF001
    }
    tables = [table for table in Base.metadata.sorted_tables if table.name != "idempotency_keys"]
    names = {
        str(constraint.name)
        for table in tables
        for constraint in rules_of(table)
        if not str(constraint.name).endswith("_pkey")
    }

    assert names == known


async def test_a_stock_that_is_not_counted_is_null(database: Database) -> None:
    async with database.write() as session:
        session.add(an_item(1))
    async with database.write() as session:
        assert await session.scalar(select(Item.stock)) is None
