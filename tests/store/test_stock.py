"""A line remembers what it took from stock, and no more is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.relay import to_global_id
from tests.conftest import settings_for
from tests.mutations import ANY, at, run
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client

CUSTOMER, ITEM = to_global_id("Customer", 1), to_global_id("Item", 1)


async def placed(client: Client, quantity: int) -> dict[str, Any]:
    lines = [{"itemId": ITEM, "quantity": quantity}]
    answer = await run(client, "placeOrder", customerId=CUSTOMER, lines=lines)
    order: dict[str, Any] = answer["order"]
    return order


async def counted(client: Client, to: int | None) -> None:
    change = {"untracked": True} if to is None else {"to": to}
    await run(client, "adjustStock", id=ITEM, expectedVersion=ANY, change=change)


async def stock(client: Client) -> int | None:
    data = await client("{ item(by: {databaseId: 1}) { stock } }")
    left: int | None = data["item"]["stock"]
    return left


async def taken(client: Client) -> list[int]:
    data = await client("{ orderLines(first: 100) { nodes { taken } } }")
    return [line["taken"] for line in data["orderLines"]["nodes"]]


async def gone(client: Client, how: str, order: dict[str, Any]) -> Any:
    """Everything of an order is cancelled or removed."""
    line = order["lineItems"]["nodes"][0]["id"]
    if how == "removeOrderLine":
        return await run(client, how, id=line, expectedVersion=ANY)
    if how == "cancelOrder":
        return await run(client, how, id=order["id"], expectedVersion=ANY)
    pieces = [{"id": line, "quantity": order["lineItems"]["nodes"][0]["quantity"]}]
    return await run(client, "cancelOrder", id=order["id"], expectedVersion=ANY, lines=pieces)


every_way = pytest.mark.parametrize("how", ["cancelOrder", "removeOrderLine", "piece by piece"])


@pytest.fixture
async def store(client: Client) -> Client:
    await fill(client.database, customers=1, orders=0, items=1)
    return client


@every_way
async def test_what_was_taken_goes_back(store: Client, how: str) -> None:
    await counted(store, 10)
    order = await placed(store, 4)
    assert (await stock(store), await taken(store)) == (6, [4])

    answer = await gone(store, how, order)

    assert await stock(store) == 10
    assert set(await taken(store)) <= {0}
    assert answer["order"]["status"] == "CANCELLED"


@every_way
async def test_a_line_of_an_item_that_was_not_counted_gives_nothing_back(
    store: Client, how: str
) -> None:
    order = await placed(store, 4)
    await counted(store, 10)

    await gone(store, how, order)

    assert await stock(store) == 10


@every_way
async def test_a_line_that_was_written_by_sql_gives_nothing_back(store: Client, how: str) -> None:
    await counted(store, 10)
    async with store.database.write() as session:
        await session.execute(text("INSERT INTO orders (customer_id) VALUES (1)"))
        line = "INSERT INTO order_lines (order_id, item_id, quantity) VALUES (1, 1, 4)"
        await session.execute(text(line))
    data = await store("{ order(by: {databaseId: 1}) { id lineItems { nodes { id quantity } } } }")

    await gone(store, how, data["order"])

    assert await stock(store) == 10


async def test_pieces_that_a_line_gets_later_are_the_first_to_go_back(store: Client) -> None:
    order = await placed(store, 2)
    line = order["lineItems"]["nodes"][0]["id"]
    await counted(store, 10)

    await run(store, "changeOrderLine", id=line, expectedVersion=ANY, quantity=5)
    assert (await stock(store), await taken(store)) == (7, [3])
    await run(store, "changeOrderLine", id=line, expectedVersion=ANY, quantity=4)
    assert (await stock(store), await taken(store)) == (8, [2])
    await run(store, "changeOrderLine", id=line, expectedVersion=ANY, quantity=1)
    assert (await stock(store), await taken(store)) == (10, [0])


async def test_a_line_keeps_in_mind_what_it_took_while_the_item_is_not_counted(
    store: Client,
) -> None:
    await counted(store, 10)
    order = await placed(store, 4)
    await counted(store, None)
    line = order["lineItems"]["nodes"][0]["id"]
    await run(store, "changeOrderLine", id=line, expectedVersion=ANY, quantity=6)
    await counted(store, 20)

    await gone(store, "cancelOrder", order)

    assert await stock(store) == 24


async def test_a_line_changed_to_the_pieces_that_are_cancelled_leaves_an_order_cancelled(
    store: Client,
) -> None:
    order = await placed(store, 3)
    line = order["lineItems"]["nodes"][0]["id"]
    two = [{"id": line, "quantity": 2}]
    await run(store, "cancelOrder", id=order["id"], expectedVersion=at(1), lines=two)

    answer = await run(store, "changeOrderLine", id=line, expectedVersion=at(2), quantity=2)

    assert (answer["order"]["status"], answer["order"]["version"]) == ("CANCELLED", 3)


async def test_the_migration_finds_out_what_open_orders_took(empty_url: str) -> None:
    """As version 0004 wrote them: stock moves, and lines are added, in one transaction."""
    database = Database.connect(settings_for(empty_url))
    try:
        await migrate(database, "0004")
        async with database.write() as session:
            for statement in _OLD_STORE:
                await session.execute(text(statement))
        for statements in _OLD_ORDERS:
            async with database.write() as session:
                for statement in statements:
                    await session.execute(text(statement))

        await migrate(database)

        async with database.engine.connect() as connection:
            lines = await connection.execute(text("SELECT taken FROM order_lines ORDER BY id"))
            orders = await connection.execute(text("SELECT status FROM orders ORDER BY id"))
            assert lines.scalars().all() == [2, 0, 0, 0, 0]
            assert orders.scalars().all() == ["PLACED", "DELIVERED", "PAID", "CANCELLED"]
        await migrate(database, "0004")
    finally:
        await database.close()


_OLD_STORE = (
    """INSERT INTO items (name, cost_price, selling_price, stock)
       VALUES ('a', 1, 1, 9), ('b', 1, 1, 9)""",
    """INSERT INTO customers (first_name, last_name, username, email, address, town)
       VALUES ('a', 'b', 'c', 'd@e', 'f', 'g')""",
)
_LINE = "INSERT INTO order_lines (order_id, item_id, quantity, cancelled) VALUES"
_OLD_ORDERS = (
    # Placed by the API: one item is counted, another is not.
    (
        "UPDATE items SET stock = NULL WHERE name = 'b'",
    ),
    (
        "UPDATE items SET stock = stock - 3 WHERE name = 'a'",
        "INSERT INTO orders (customer_id) VALUES (1)",
        f"{_LINE} (1, 1, 3, 1), (1, 2, 3, 0)",
    ),
    # Delivered: nothing of it can come back.
    (
        "UPDATE items SET stock = stock - 3 WHERE name = 'a'",
        "INSERT INTO orders (customer_id, status) VALUES (1, 'DELIVERED')",
        f"{_LINE} (2, 1, 3, 0)",
    ),
    # Imported.
    (
        "INSERT INTO orders (customer_id, status) VALUES (1, 'PAID')",
        f"{_LINE} (3, 1, 3, 0)",
    ),
    # Nothing is left of it.
    (
        "UPDATE items SET stock = stock - 3 WHERE name = 'a'",
        "INSERT INTO orders (customer_id) VALUES (1)",
        f"{_LINE} (4, 1, 3, 3)",
    ),
)  # fmt: skip
