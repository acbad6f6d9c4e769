"""The seed document's listing and inserts, and the constraints of the tables."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from graph.store.models import Base, Customer, Item, Order, OrderLine
from tests.rows import a_customer, an_item

if TYPE_CHECKING:
    from graph.database.engine import Database


def the_seeds_customers() -> tuple[Customer, Customer]:
    c1 = Customer(
        first_name="Toby",
        last_name="Miller",
        username="tmiller",
        email="tmiller@example.com",
        address="1662 Kinney Street",
        town="Wolfden",
    )
    c2 = Customer(
        first_name="Scott",
        last_name="Harvey",
        username="scottharvey",
        email="scottharvey@example.com",
        address="424 Patterson Street",
        town="Beckinsdale",
    )
    return c1, c2


async def test_the_seeds_two_customers_can_be_created_and_read(empty_url: str) -> None:
    engine = create_async_engine(empty_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    c1, c2 = the_seeds_customers()
    assert repr((c1, c2)) == "(<Customer:None-tmiller>, <Customer:None-scottharvey>)"
    assert (c1.first_name, c1.last_name) == ("Toby", "Miller")

    session_of = async_sessionmaker(engine, expire_on_commit=False)
    async with session_of() as session:
        session.add_all([c1, c2])
        await session.commit()

    assert (c2.first_name, c2.last_name) == ("Scott", "Harvey")
    assert repr(c1) == f"<Customer:{c1.id}-tmiller>"
    assert isinstance(c1.created_on, datetime)
    assert c1.created_on.utcoffset() is not None
    async with session_of() as session:
        towns = (await session.scalars(select(Customer.town).order_by(Customer.id))).all()
        assert towns == ["Wolfden", "Beckinsdale"]
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert await connection.scalar(text(tables)) == 0
    await engine.dispose()


async def test_the_seeds_relationships_join_a_customer_to_the_items_bought(
    database: Database,
) -> None:
    customer, _ = the_seeds_customers()
    item = Item(name="Chair", cost_price=Decimal("9.21"), selling_price=Decimal("10.81"))
    order = Order(customer=customer)
    line = OrderLine(order=order, item=item, quantity=3)
    async with database.write() as session:
        session.add_all([order, line])

    assert customer.orders == [order]
    assert order.line_items == [line]
    assert order.date_placed.utcoffset() is not None
    assert repr([item, order, line]) == (
        f"[<Item:{item.id}-Chair>, <Order:{order.id}-{customer.id}>,"
        f" <OrderLine:{line.id}-{order.id}>]"
    )
    async with database.write() as session:
        found = await session.execute(select(Order.total, OrderLine.subtotal).join(OrderLine))
        assert found.one() == (Decimal("32.43"), Decimal("32.43"))


async def test_an_update_by_the_orm_sets_updated_on(database: Database) -> None:
    async with database.write() as session:
        session.add(a_customer(1))
    async with database.write() as session:
        customer = (await session.scalars(select(Customer))).one()
        before = customer.updated_on
        customer.town = "Beckinsdale"
        await session.flush()

        assert customer.updated_on > before


async def test_unloaded_relationships_raise(database: Database) -> None:
    async with database.write() as session:
        session.add(a_customer(1))
    async with database.write() as session:
        customer = (await session.scalars(select(Customer))).one()

        with pytest.raises(InvalidRequestError, match="lazy='raise'"):
            _ = customer.orders


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("customers_username_key", "UPDATE customers SET username = 'user2' WHERE id = 1"),
        ("customers_lower_email_key", "UPDATE customers SET email = 'USER2@Example.Com'"),
        ("customers_created_on_check", "UPDATE customers SET created_on = 'infinity'"),
        ("customers_updated_on_check", "UPDATE customers SET updated_on = '0044-03-15 BC'"),
        ("items_cost_price_check", "UPDATE items SET cost_price = -0.01"),
        ("items_cost_price_check", "UPDATE items SET cost_price = 'NaN'"),
        ("items_selling_price_check", "UPDATE items SET selling_price = 'NaN'"),
        ("orders_date_placed_check", "UPDATE orders SET date_placed = '10000-01-01+00'"),
        ("orders_customer_id_fkey", "DELETE FROM customers"),
        ("order_lines_order_id_fkey", "DELETE FROM orders"),
        ("order_lines_item_id_fkey", "DELETE FROM items"),
        ("order_lines_quantity_check", "UPDATE order_lines SET quantity = 0"),
    ],
)
async def test_a_violation_names_its_constraint(
    database: Database, constraint: str, statement: str
) -> None:
    order = Order(customer=a_customer(1))
    async with database.write() as session:
        session.add_all([OrderLine(order=order, item=an_item(1), quantity=1), a_customer(2)])

    with pytest.raises(IntegrityError, match=f'"{constraint}"'):
        async with database.write() as session:
            await session.execute(text(statement))
