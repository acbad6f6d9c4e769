"""Whatever a store holds: exported, and imported into an empty store, it is the same store."""

from __future__ import annotations

import asyncio
import json
import os
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.database.engine import Database
from graph.database.transfer.files import Format
from graph.database.transfer.importing import import_file
from graph.store.transfer.exporting import export_rows
from graph.store.transfer.staging import ENTITIES
from tests.conftest import settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.transfer.importing import Progress

STATUSES = ("PLACED", "PAID", "SHIPPED", "DELIVERED", "CANCELLED")
NASTY = "a\"b,'\\ \n\r\n\r\t;|\u2028\x85\x01ÄßИ日😀é\u0301{}[]\\N\\."


def texts(most: int) -> st.SearchStrategy[str]:
    """Texts that the rules take: there is something to be seen in each."""
    drawn = st.text(st.sampled_from(NASTY) | st.characters(codec="utf-8", exclude_characters="\0"))
    return drawn.map(lambda text: unicodedata.normalize("NFC", f"x{text}")[: most - 1] + "y")


# A username has no character that is not seen.
visible = st.text(st.characters(categories=["Lu", "Ll", "Nd", "P"]), min_size=1, max_size=50)
usernames = visible.map(lambda text: unicodedata.normalize("NFC", text)[:50])
# As text: the driver takes the first and the last moment there are for infinity.
moments = (
    st.sampled_from([datetime.min, datetime.max, datetime(2026, 1, 31, 12)]) | st.datetimes()  # noqa: DTZ001, DTZ901
).map(lambda moment: moment.replace(tzinfo=UTC).isoformat())
prices = st.decimals(0, Decimal("99999999.99"), places=2)
numbers = st.integers(0, 2**31 - 1)


@st.composite
def lines(draw: st.DrawFn, items: int) -> tuple[Any, ...]:
    """Item, quantity, cancelled, taken, price, name."""
    quantity = draw(st.integers(1, 32767))
    cancelled = draw(st.sampled_from([0, 0, quantity]) | st.integers(0, quantity))
    taken = draw(st.sampled_from([0, quantity - cancelled]) | st.integers(0, quantity - cancelled))
    item = draw(st.integers(1, items))
    return item, quantity, cancelled, taken, draw(prices), draw(texts(200))


@dataclass
class Rows:
    """Rows of a store; keys count from 1, in the order of the rows."""

    customers: list[tuple[Any, ...]]
    items: list[tuple[Any, ...]]
    orders: list[tuple[Any, ...]] = field(default_factory=list)
    lines: list[tuple[Any, ...]] = field(default_factory=list)


@st.composite
def stores(draw: st.DrawFn) -> Rows:
    names_of_users = draw(st.lists(usernames, min_size=1, max_size=4, unique=True))
    customers = [
        (*(draw(texts(100)) for _ in range(2)), username, f"Ü{nth}@Shop", draw(texts(200)),
         draw(texts(100)), draw(moments), draw(moments))
        for nth, username in enumerate(names_of_users)
    ]  # fmt: skip
    names = st.sampled_from([draw(texts(200)), draw(texts(200))])
    item = st.tuples(names, prices, prices, st.none() | numbers)
    rows = Rows(customers, draw(st.lists(item, min_size=1, max_size=4)))
    some = st.sampled_from([draw(moments), draw(moments)])
    order = st.tuples(st.integers(1, len(customers)), some, st.sampled_from(STATUSES))
    for nth, each in enumerate(draw(st.lists(order, max_size=6)), start=1):
        rows.orders.append(each)
        found = draw(st.lists(lines(len(rows.items)), max_size=3))
        rows.lines += [(nth, *line) for line in found]
    return rows


class Store:
    """A database that is filled, emptied and read by SQL."""

    def __init__(self, url: str, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.folder = folder
        self.database = Database.connect(settings_for(url))
        self.url = url.replace("+asyncpg", "")

    def sql(self, *statements: str) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                rows: list[Any] = []
                for statement in statements:
                    rows = await connection.fetch(statement)
                return rows
            finally:
                await connection.close()

        return self.runner.run(run())

    def fill(self, rows: Rows) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                for statement, values in (
                    (_CUSTOMER, rows.customers),
                    (_ITEM, rows.items),
                    (_ORDER, rows.orders),
                    (_LINE, rows.lines),
                ):
                    await connection.executemany(statement, values)
            finally:
                await connection.close()

        self.empty()
        self.runner.run(run())

    def empty(self) -> None:
        self.sql("TRUNCATE customers, items, orders, order_lines, events RESTART IDENTITY")

    def contents(self) -> dict[str, list[Any]]:
        """All that the store holds but for its keys, versions and history; rows in their order."""
        customers = self.sql("SELECT * FROM customers ORDER BY id")
        items = self.sql("SELECT * FROM items ORDER BY id")
        orders = self.sql("SELECT * FROM orders ORDER BY id")
        found = self.sql("SELECT * FROM order_lines ORDER BY id")
        number = {row["id"]: nth for nth, row in enumerate(items)}
        username = {row["id"]: row["username"] for row in customers}
        own = {"id", "version", "customer_id", "order_id", "item_id"}

        def values(row: Any) -> dict[str, Any]:
            return {name: value for name, value in row.items() if name not in own}

        return {
            "customers": [values(row) for row in customers],
            "items": [values(row) for row in items],
            "orders": [
                values(row)
                | {"customer": username[row["customer_id"]]}
                | {
                    "lines": [
                        values(line) | {"item": number[line["item_id"]]}
                        for line in found
                        if line["order_id"] == row["id"]
                    ]
                }
                for row in orders
            ],
        }

    def export(self, format_: Format = Format.NDJSON) -> None:
        async def run() -> None:
            for entity, path, each in self._files(format_):
                with path.open("wb") as file:
                    await export_rows(self.database, entity, each, file, lambda _: None)

        self.runner.run(run())

    def import_(self, format_: Format = Format.NDJSON) -> dict[str, Progress]:
        async def run() -> dict[str, Progress]:
            return {
                entity: await import_file(
                    self.database, path, entity, ENTITIES[entity], each,
                    bad_rows=self.folder / "refused", progress=lambda *_: None, batch_rows=3,
                )
                for entity, path, each in self._files(format_)
            }  # fmt: skip

        return self.runner.run(run())

    def import_customers(self, path: Path) -> Progress:
        return self.runner.run(
            import_file(
                self.database, path, "customers", ENTITIES["customers"], Format.NDJSON,
                bad_rows=self.folder / "refused", progress=lambda *_: None,
            )
        )  # fmt: skip

    def _files(self, format_: Format) -> Iterator[tuple[str, Path, Format]]:
        for entity in ENTITIES:
            each = Format.NDJSON if entity == "orders" else format_
            yield entity, self.folder / f"{entity}.{each}", each

    def close(self) -> None:
        self.runner.run(self.database.close())
        self.runner.close()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with TemporaryDirectory() as folder:
        store = Store(database_url, Path(folder))
        try:
            yield store
        finally:
            store.close()


_CUSTOMER = """
    INSERT INTO customers
        (first_name, last_name, username, email, address, town, created_on, updated_on)
    VALUES ($1, $2, $3, $4, $5, $6, $7::text::timestamptz, $8::text::timestamptz)
"""
_ITEM = "INSERT INTO items (name, cost_price, selling_price, stock) VALUES ($1, $2, $3, $4)"
_ORDER = """
    INSERT INTO orders (customer_id, date_placed, status) VALUES ($1, $2::text::timestamptz, $3)
"""
_LINE = """
    INSERT INTO order_lines
        (order_id, item_id, quantity, cancelled_quantity, taken, unit_price, item_name)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
# What may have happened to a store since it was exported: rows of the file that are not as they
# were. A row that is not in the file stays; of an order's lines, the file has all.
CHANGES = {
    "UPDATE customers SET town = 'elsewhere' WHERE id = 1": ("customers", 1),
    "UPDATE customers SET created_on = '2000-01-01', updated_on = '2001-01-01' WHERE id = 1": (
        "customers", 1),
    "UPDATE items SET stock = 7, selling_price = 1.23 WHERE id = 1": ("items", 1),
    "UPDATE items SET stock = NULL": ("items", None),
    "UPDATE orders SET status = 'SHIPPED' WHERE id = 1": ("orders", None),
    "UPDATE order_lines SET item_name = 'else', unit_price = 0 WHERE order_id = 1": (
        "orders", None),
    "UPDATE order_lines SET cancelled_quantity = quantity, taken = 0": ("orders", None),
    "UPDATE order_lines SET item_id = 1": ("orders", None),
    "DELETE FROM order_lines WHERE id % 2 = 1": ("orders", None),
    """INSERT INTO order_lines (order_id, item_id, quantity)
       SELECT id, 1, 1 FROM orders WHERE id <= 2""": ("orders", None),
    "DELETE FROM order_lines": ("orders", None),
}  # fmt: skip

examples = settings(
    max_examples=int(os.environ.get("GRAPH_ROUND_TRIPS", "20")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@examples
@given(rows=stores(), format_=st.sampled_from(Format), change=st.sampled_from(sorted(CHANGES)))
def test_a_store_comes_back_as_it_was(
    store: Store, rows: Rows, format_: Format, change: str
) -> None:
    store.fill(rows)
    before = store.contents()
    assert [customer["username"] for customer in before["customers"]] == [
        row[2] for row in rows.customers
    ]
    store.export(format_)

    store.empty()
    added = store.import_(format_)

    assert store.contents() == before
    for entity, done in added.items():
        assert done.added == done.rows == len(before[entity])

    again = store.import_(format_)

    assert store.contents() == before
    for entity, done in again.items():
        assert done.unchanged == done.rows == len(before[entity])

    store.sql(change)
    changed = store.contents()
    if format_ is Format.CSV and "stock = " in change:
        return  # an empty value is as good as none
    restored = store.import_(format_)

    assert store.contents() == before
    entity, number = CHANGES[change]
    differing = {
        name: sum(was != is_ for was, is_ in zip(before[name], changed[name], strict=True))
        for name in before
    }
    assert {name: done.changed for name, done in restored.items()} == differing
    assert all(done.changed + done.unchanged == done.rows for done in restored.values())
    assert number is None or differing[entity] <= number


def test_two_customers_swap_their_addresses(store: Store) -> None:
    store.sql(*(
        f"""INSERT INTO customers (first_name, last_name, username, email, address, town)
            VALUES ('a', 'b', '{name}', '{name}@shop', 'c', 'd')""" for name in "abcd"  # noqa: S608
    ))  # fmt: skip
    row = {"firstName": "a", "lastName": "b", "address": "c", "town": "d"}
    owners = {"a": "B", "b": "c", "c": "a", "e": "d"}
    path = store.folder / "customers.ndjson"
    path.write_text(
        "".join(
            json.dumps(row | {"username": name, "email": f"{owner}@Shop"}) + "\n"
            for name, owner in owners.items()
        )
    )

    done = store.import_customers(path)

    assert (done.added, done.changed, done.refused) == (0, 3, 1)
    found = store.sql("SELECT username, email FROM customers ORDER BY username")
    assert [tuple(each) for each in found] == [
        ("a", "B@Shop"), ("b", "c@Shop"), ("c", "a@Shop"), ("d", "d@shop"),
    ]  # fmt: skip
