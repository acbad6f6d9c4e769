"""A small store in memory: rows by noun, with values by the names of their fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import DateTime, String, bindparam, cast, insert, text

from graph.database.models import Base

if TYPE_CHECKING:
    from graph.database.engine import Database
    from tests.execution.generator.choices import Choices

Row: TypeAlias = "dict[str, Any]"

COLUMNS: dict[str, dict[str, type]] = {
    "Customer": {
        "databaseId": int,
        **dict.fromkeys(("firstName", "lastName", "username", "email", "address", "town"), str),
        "createdOn": datetime,
        "updatedOn": datetime,
    },
    "Item": {"databaseId": int, "name": str, "costPrice": Decimal, "sellingPrice": Decimal},
    "Order": {"databaseId": int, "customerId": int, "datePlaced": datetime, "total": Decimal},
    "OrderLine": {
        **dict.fromkeys(("databaseId", "orderId", "itemId", "quantity"), int),
        "subtotal": Decimal,
    },
}
# What an edge leads to: the noun, and the field that holds the key.
TO_ONE = {
    "Order": {"customer": ("Customer", "customerId")},
    "OrderLine": {"order": ("Order", "orderId"), "item": ("Item", "itemId")},
}
TO_MANY = {
    "Customer": {"orders": ("Order", "customerId")},
    "Item": {"orderLines": ("OrderLine", "itemId")},
    "Order": {"lineItems": ("OrderLine", "orderId")},
}
NUMBERS = {
    "Customer": (),
    "Item": ("costPrice", "sellingPrice"),
    "Order": ("total",),
    "OrderLine": ("quantity", "subtotal"),
}
# Equal but for their case, beginnings of each other, in another order by UTF-16, and what SQL,
# LIKE and JSON would take for something else.
TEXTS = (
    *("a", "A", "ab", "aB", "b", "B", "", " ", "é", "É", "e\u0301", "ß", "ẞ", "Σ", "ς", "İ", "i"),
    *(
        "\u0131",
        "\uffff",
        "😀",
        "%",
        "_",
        "a_",
        "\\",
        "\\%",
        "'",
        "''; --",
        '"',
        '"]',
        "{}",
        "null",
    ),
    *("$1", ":a", "\n", "/*"),
)
AMOUNTS = ("0.00", "0.01", "1.00", "1.10", "2.50", "10.00", "99999999.99")
MOMENTS = (
    *("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2026-01-01T00:00:00"),
    # Around both changes of the clock in Europe and New York, and the day that Samoa left out.
    *("2026-03-29T00:59:59.9", "2026-03-29T01:00:00", "2026-10-25T00:30:00", "2026-10-25T01:30:00"),
    *("2026-03-08T06:59:00", "2026-03-08T07:00:00", "2026-11-01T05:30:00", "2026-11-01T06:30:00"),
    *("2011-12-30T09:59:59", "2011-12-30T10:00:00", "2024-02-29T12:00:00.000001"),
    *("2026-01-04T23:00:00", "2026-01-05T00:00:00", "2025-12-31T18:14:59", "2025-12-31T18:15:00"),
)


@dataclass(frozen=True)
class Shop:
    rows: dict[str, list[Row]]

    def one(self, noun: str, row: Row, edge: str) -> tuple[str, Row]:
        """The noun and the row that a to-one edge leads to."""
        target, key = TO_ONE[noun][edge]
        (found,) = [other for other in self.rows[target] if other["databaseId"] == row[key]]
        return target, found

    def many(self, noun: str, row: Row, edge: str) -> tuple[str, list[Row]]:
        """The noun and the rows, by their keys, that a to-many edge leads to."""
        target, key = TO_MANY[noun][edge]
        return target, [other for other in self.rows[target] if other[key] == row["databaseId"]]


def drawn_shop(choices: Choices) -> Shop:
    """Few values, so that rows share them; parents without children; gaps between keys."""
    customers = [_customer(choices, key) for key in _keys(choices, 5)]
    items = [
        {
            "databaseId": key,
            "name": choices.one_of(TEXTS),
            "costPrice": Decimal(choices.one_of(AMOUNTS)),
            "sellingPrice": Decimal(choices.one_of(AMOUNTS)),
        }
        for key in _keys(choices, 4)
    ]
    orders = [
        {
            "databaseId": key,
            "customerId": choices.one_of(customers)["databaseId"],
            "datePlaced": _moment(choices),
        }
        for key in _keys(choices, 8 if customers else 0)
    ]
    lines = [
        {
            "databaseId": key,
            "orderId": choices.one_of(orders)["databaseId"],
            "itemId": choices.one_of(items)["databaseId"],
            "quantity": choices.one_of((1, 2, 3, 3, 32767)),
        }
        for key in _keys(choices, 12 if orders and items else 0)
    ]
    prices = {item["databaseId"]: item["sellingPrice"] for item in items}
    for line in lines:
        line["subtotal"] = line["quantity"] * prices[line["itemId"]]
    for order in orders:
        own = [line["subtotal"] for line in lines if line["orderId"] == order["databaseId"]]
        order["total"] = sum(own, Decimal("0.00"))
    return Shop({"Customer": customers, "Item": items, "Order": orders, "OrderLine": lines})


async def write_shop(database: Database, shop: Shop) -> None:
    """Let the database hold these rows and no others."""
    nouns = {mapper.class_.__name__: mapper.local_table for mapper in Base.registry.mappers}
    async with database.write() as session:
        await session.execute(text("TRUNCATE customers, items, orders, order_lines"))
        for noun, rows in shop.rows.items():
            table: Any = nouns[noun]
            stored = [
                {_column(name): _stored(row[name]) for name in row if _column(name) in table.c}
                for row in rows
            ]
            times = [column for column in table.c if isinstance(column.type, DateTime)]
            as_text = {
                each.name: cast(bindparam(each.name, type_=String), each.type) for each in times
            }
            if stored:
                await session.execute(insert(table).values(as_text), stored)


def _keys(choices: Choices, most: int) -> list[int]:
    size = choices.number(0, most) if choices.chance(60) else most
    keys: list[int] = []
    for _ in range(size):
        keys.append((keys[-1] if keys else 0) + choices.one_of((1, 1, 1, 5)))
    return keys


def _customer(choices: Choices, key: int) -> Row:
    names = ("firstName", "lastName", "address", "town")
    texts = {name: choices.one_of(TEXTS) for name in names}
    return {
        "databaseId": key,
        **texts,
        "username": f"{choices.one_of(TEXTS)}{key}",
        "email": f"{choices.one_of(TEXTS)}{key}",
        "createdOn": _moment(choices),
        "updatedOn": _moment(choices),
    }


def _moment(choices: Choices) -> datetime:
    return datetime.fromisoformat(choices.one_of(MOMENTS)).replace(tzinfo=UTC)


def _column(field: str) -> str:
    return "id" if field == "databaseId" else re.sub(r"(?=[A-Z])", "_", field).lower()


def _stored(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
