"""A small store in memory: rows by entity, with values by the names of their fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import DateTime, String, bindparam, cast, insert, text

from graph.store.models import Base, OrderStatus

if TYPE_CHECKING:
    from graph.database.engine import Database
    from tests.execution.generator.choices import Choices

Row: TypeAlias = "dict[str, Any]"


class Status(str):
    """The name of an order's status."""

    __slots__ = ()


class BigInt(int):
    """A string in JSON."""

    __slots__ = ()


class CustomerId(int):
    """A key that JSON has as the global id of this entity, as the two below."""

    __slots__ = ()
    entity = "Customer"


class ItemId(int):
    __slots__ = ()
    entity = "Item"


class OrderId(int):
    __slots__ = ()
    entity = "Order"


References: TypeAlias = CustomerId | ItemId | OrderId

COLUMNS: dict[str, dict[str, type]] = {
    "Customer": {
        "databaseId": BigInt,
        **dict.fromkeys(("firstName", "lastName", "username", "email", "address", "town"), str),
        **dict.fromkeys(("createdOn", "updatedOn"), datetime),
        "version": int,
    },
    "Item": {
        "databaseId": BigInt,
        "name": str,
        **dict.fromkeys(("costPrice", "sellingPrice"), Decimal),
        **dict.fromkeys(("stock", "version"), int),
    },
    "Order": {
        "databaseId": BigInt,
        "customerId": CustomerId,
        "datePlaced": datetime,
        "status": Status,
        "version": int,
        "total": Decimal,
    },
    "OrderLine": {
        "databaseId": BigInt,
        "orderId": OrderId,
        "itemId": ItemId,
        **dict.fromkeys(("quantity", "cancelledQuantity", "taken"), int),
        **dict.fromkeys(("unitPrice", "subtotal"), Decimal),
        "itemName": str,
        "unitPriceChanged": bool,
    },
}
# What an edge leads to: the entity, and the field that holds the key.
TO_ONE = {
    "Order": {"customer": ("Customer", "customerId")},
    "OrderLine": {"order": ("Order", "orderId"), "item": ("Item", "itemId")},
}
TO_MANY = {
    "Customer": {"orders": ("Order", "customerId")},
    "Item": {"orderLines": ("OrderLine", "itemId")},
    "Order": {"lineItems": ("OrderLine", "orderId")},
}
# What has a sum; and what has a least value.
NUMBERS: dict[str, tuple[str, ...]] = {
    "Customer": (),
    "Item": ("costPrice", "sellingPrice", "stock"),
    "Order": ("total",),
    "OrderLine": ("quantity", "unitPrice", "cancelledQuantity", "taken", "subtotal"),
}
_KEYS = ("databaseId", "customerId", "orderId", "itemId")
# What can be counted: the number of versions means nothing.
COUNTED = {
    entity: tuple(name for name in columns if name != "version")
    for entity, columns in COLUMNS.items()
}
ORDERED = {
    entity: tuple(name for name in names if COLUMNS[entity][name] is not bool and name not in _KEYS)
    for entity, names in COUNTED.items()
}
STATUSES = ("PLACED", "PAID", "SHIPPED", "CANCELLED")
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

    def one(self, entity: str, row: Row, edge: str) -> tuple[str, Row]:
        """The entity and the row that a to-one edge leads to."""
        target, key = TO_ONE[entity][edge]
        (found,) = [other for other in self.rows[target] if other["databaseId"] == row[key]]
        return target, found

    def many(self, entity: str, row: Row, edge: str) -> tuple[str, list[Row]]:
        """The entity and the rows, in their order, that a to-many edge leads to."""
        target, key = TO_MANY[entity][edge]
        rows = self.in_default_order(target)
        return target, [other for other in rows if other[key] == row["databaseId"]]

    def in_default_order(self, entity: str) -> list[Row]:
        """All rows of an entity, as lists have them that are not asked for another order."""
        names = (*(["datePlaced"] if entity == "Order" else []), "databaseId")
        return sorted(self.rows[entity], key=lambda row: tuple(row[name] for name in names))


def drawn_shop(choices: Choices) -> Shop:
    """Few values, so that rows share them; parents without children; gaps between keys."""
    customers = [_customer(choices, key) for key in _keys(choices, 5)]
    items = [
        {
            "databaseId": key,
            "name": choices.one_of(TEXTS),
            "costPrice": Decimal(choices.one_of(AMOUNTS)),
            "sellingPrice": Decimal(choices.one_of(AMOUNTS)),
            "stock": choices.one_of((None, None, 0, 1, 1, 7)),
            "version": choices.number(1, 2),
        }
        for key in _keys(choices, 4)
    ]
    orders = [
        {
            "databaseId": key,
            "customerId": choices.one_of(customers)["databaseId"],
            "datePlaced": _moment(choices),
            "status": Status(choices.one_of(STATUSES)),
            "version": choices.number(1, 2),
        }
        for key in _keys(choices, 8 if customers else 0)
    ]
    lines = [
        _line(choices, key, choices.one_of(orders), choices.one_of(items))
        for key in _keys(choices, 12 if orders and items else 0)
    ]
    for order in orders:
        own = [line["subtotal"] for line in lines if line["orderId"] == order["databaseId"]]
        order["total"] = sum(own, Decimal("0.00"))
    shop = Shop({"Customer": customers, "Item": items, "Order": orders, "OrderLine": lines})
    for entity, rows in shop.rows.items():
        for row in rows:
            row |= {name: COLUMNS[entity][name](row[name]) for name in _KEYS if name in row}
    return shop


async def write_shop(database: Database, shop: Shop) -> None:
    """Let the database hold these rows and no others."""
    entities = {mapper.class_.__name__: mapper.local_table for mapper in Base.registry.mappers}
    async with database.write() as session:
        # An order of which nothing is left would be cancelled.
        await session.execute(text("SET LOCAL graph.logging = 'off'"))
        await session.execute(text("TRUNCATE customers, items, orders, order_lines, events"))
        for entity, rows in shop.rows.items():
            table: Any = entities[entity]
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
        keys.append((keys[-1] if keys else 0) + choices.one_of((1, 1, 1, 5, 2**31)))
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
        "version": choices.number(1, 2),
    }


def _line(choices: Choices, key: int, order: Row, item: Row) -> Row:
    quantity = choices.one_of((1, 2, 3, 3, 32767))
    price = item["sellingPrice"] if choices.chance(50) else Decimal(choices.one_of(AMOUNTS))
    cancelled = choices.one_of((0, 0, 1, quantity))
    return {
        "databaseId": key,
        "orderId": order["databaseId"],
        "itemId": item["databaseId"],
        "quantity": quantity,
        "cancelledQuantity": cancelled,
        "taken": choices.one_of((0, quantity - cancelled)),
        "unitPrice": price,
        "subtotal": price * (quantity - cancelled),
        "itemName": choices.one_of(TEXTS),
        "unitPriceChanged": price != item["sellingPrice"],
    }


def _moment(choices: Choices) -> datetime:
    return datetime.fromisoformat(choices.one_of(MOMENTS)).replace(tzinfo=UTC)


def _column(field: str) -> str:
    return "id" if field == "databaseId" else re.sub(r"(?=[A-Z])", "_", field).lower()


def _stored(value: Any) -> Any:
    if isinstance(value, Status):
        return OrderStatus[value]
    if isinstance(value, BigInt | References):
        return int(value)
    return value.isoformat() if isinstance(value, datetime) else value
