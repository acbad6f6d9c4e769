"""Builders of rows, for small stores."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graph.selection import Attribute, Sort, sort_of
from graph.store.models import Customer, Item, Order, OrderLine

if TYPE_CHECKING:
    from graph.database.engine import Database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def a_customer(number: int) -> Customer:
    return Customer(
        first_name=f"First{number}",
        last_name=f"Last{number}",
        username=f"user{number}",
        email=f"User{number}@example.com",
        address=f"{number} Kinney Street",
        town="Wolfden",
        created_on=NOON,
        updated_on=NOON,
    )


def an_item(number: int) -> Item:
    price = Decimal(number) + Decimal("0.50")
    return Item(name=f"Item {number}", cost_price=price / 2, selling_price=price)


async def fill(
    database: Database, *, customers: int, orders: int = 2, lines: int = 2, items: int = 5
) -> None:
    """So many customers, each with so many orders of so many lines; ids count from 1."""
    async with database.write() as session:
        session.add_all(an_item(number) for number in range(1, items + 1))
        session.add_all(a_customer(number) for number in range(1, customers + 1))
        await session.flush()
        placed = [
            Order(customer_id=customer, date_placed=NOON + timedelta(hours=nth))
            for customer in range(1, customers + 1)
            for nth in range(orders)
        ]
        session.add_all(placed)
        await session.flush()
        session.add_all(
            OrderLine(order_id=order.id, item_id=(order.id + nth) % items + 1, quantity=nth + 1)
            for order in placed
            for nth in range(lines)
        )


def cursor_of(entity: str, key: int, moment: datetime = NOON) -> str:
    """The cursor of a row in the default order; that of an order was placed at this moment."""
    values: list[Any] = [sort_of(entity), key]
    if entity == "Order":
        by_moment = (Sort(Attribute("date_placed")), Sort(Attribute("id")))
        values = [sort_of(entity, by_moment), moment.isoformat(), key]
    return b64encode(json.dumps(values, separators=(",", ":")).encode()).decode()
