from __future__ import annotations

import asyncio
import re
import tracemalloc
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from graph.database.engine import Database
from graph.errors import StoreNotEmpty
from graph.store.models import Base, Item, Order, OrderLine
from graph.store.seed import Counts, seed
from graph.store.seed.sample import Sample
from tests.conftest import settings_for
from tests.rows import a_customer, an_item, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLES = ("customers", "items", "orders", "order_lines")
EMPTY = Counts(customers=0, items=0, orders=0, order_lines=0)


async def test_the_default_store_has_the_promised_shape(database: Database) -> None:
    counts = await seed(database)

    assert counts == await rows_in(database)
    assert (counts.customers, counts.items) == (1_000, 200)
    assert 4 <= counts.orders / counts.customers <= 6
    assert 2.5 <= counts.order_lines / counts.orders <= 3.5


async def test_some_customers_have_200_orders_and_most_have_few(database: Database) -> None:
    await seed(database)

    orders = await column(
        database,
        "SELECT count(orders.id) FROM customers LEFT JOIN orders ON customer_id = customers.id"
        " GROUP BY customers.id",
    )
    assert max(orders) == 200
    assert orders.count(200) >= 3
    assert orders.count(0) > 100
    assert sum(number <= 3 for number in orders) > 700


async def test_towns_and_items_differ_in_size(database: Database) -> None:
    await seed(database)

    towns = await column(database, "SELECT count(*) FROM customers GROUP BY town ORDER BY 1")
    items = await column(database, "SELECT count(*) FROM order_lines GROUP BY item_id ORDER BY 1")
    assert towns[-1] > 10 * towns[0]
    assert items[-1] > 10 * items[0]


async def test_orders_have_one_to_a_dozen_lines_of_different_items(database: Database) -> None:
    await seed(database, customers=200)

    sizes = await column(database, "SELECT count(*) FROM order_lines GROUP BY order_id")
    items = await column(
        database, "SELECT count(DISTINCT item_id) FROM order_lines GROUP BY order_id"
    )
    assert sorted(sizes) == sorted(items)
    assert min(sizes) == 1
    assert max(sizes) >= 10


async def test_ids_of_orders_rise_with_their_dates(database: Database) -> None:
    await seed(database, customers=100)

    dates = await column(database, "SELECT date_placed FROM orders ORDER BY id")
    ids = await column(database, "SELECT id FROM orders ORDER BY id")
    assert dates == sorted(dates)
    assert ids == list(range(1, len(dates) + 1))


async def test_orders_grow_over_the_years(database: Database) -> None:
    await seed(database)

    years = await column(
        database, "SELECT count(*) FROM orders GROUP BY extract(year FROM date_placed) ORDER BY 1"
    )
    assert len(years) == 6
    assert all(earlier < later for earlier, later in pairwise(years))


async def test_customers_join_before_they_order_or_change(database: Database) -> None:
    await seed(database)

    ordered_before = await column(
        database,
        "SELECT orders.id FROM orders JOIN customers ON customers.id = customer_id"
        " WHERE date_placed <= created_on",
    )
    joined = await column(database, "SELECT created_on FROM customers ORDER BY id")
    changes = await column(database, "SELECT updated_on - created_on FROM customers")
    assert ordered_before == []
    assert joined == sorted(joined)
    assert min(changes).total_seconds() == 0
    assert max(changes).days > 365


async def test_items_cost_less_than_they_sell_for(database: Database) -> None:
    await seed(database, customers=0)

    async with database.write() as session:
        items = (await session.scalars(select(Item))).all()
    assert len({item.name for item in items}) == 200
    assert all(0 < item.cost_price < item.selling_price for item in items)
    assert {str(item.selling_price)[-2:] for item in items} == {"99", "95", "50", "49"}


async def test_a_store_without_customers_has_items(database: Database) -> None:
    counts = await seed(database, customers=0)

    assert counts == Counts(customers=0, items=200, orders=0, order_lines=0)
    assert await rows_in(database) == counts


async def test_a_negative_number_of_customers_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="not -1"):
        await seed(database, customers=-1, reset=True)


async def test_the_same_numbers_make_the_same_store_everywhere(database: Database) -> None:
    """Another checksum means that a release changes the stores that people know by their seed."""
    await seed(database, customers=100, random_seed=7)

    assert await checksums(database) == [
        "57a8cf360947808a9b5173409f5c4200",
        "47d8c8b07def49ab14e9dbec2dfcd9fc",
        "56a2e9b09956627d4152e44ada3b77a2",
        "f82c85ed83281e065249be71330e2424",
    ]


async def test_another_seed_makes_another_store(database: Database) -> None:
    await seed(database, customers=10, random_seed=1)
    one = await checksums(database)

    await seed(database, customers=10, random_seed=2, reset=True)

    assert await checksums(database) != one


async def test_reset_replaces_all_rows(database: Database) -> None:
    await seed(database, customers=10)
    seeded = await checksums(database)
    async with database.write() as session:
        session.add(a_customer(1))
        session.add(an_item(1))

    await seed(database, customers=10, reset=True)

    assert await checksums(database) == seeded


async def test_a_store_with_rows_is_refused_and_left_alone(database: Database) -> None:
    await fill(database, customers=3)
    before = await checksums(database)
    steps: list[int] = []

    with pytest.raises(StoreNotEmpty, match="3 customers"):
        await seed(database, customers=10, progress=lambda done, _: steps.append(done))

    assert await checksums(database) == before
    assert steps == []


async def test_a_single_item_makes_a_store_not_empty(database: Database) -> None:
    async with database.write() as session:
        session.add(an_item(1))

    with pytest.raises(StoreNotEmpty):
        await seed(database, customers=10)

    assert (await rows_in(database)).items == 1


async def test_of_two_seeders_at_once_one_is_refused(database: Database) -> None:
    outcomes = await asyncio.gather(
        seed(database, customers=50), seed(database, customers=50), return_exceptions=True
    )

    counts, refusal = sorted(outcomes, key=lambda outcome: isinstance(outcome, Exception))
    assert isinstance(refusal, StoreNotEmpty)
    assert await rows_in(database) == counts


async def test_new_rows_follow_the_seeded_ones(database: Database) -> None:
    counts = await seed(database, customers=10)

    async with database.write() as session:
        customer, item = a_customer(1), an_item(1)
        order = Order(customer=customer)
        line = OrderLine(order=order, item=item, quantity=1)
        session.add(line)
    ids = (customer.id, item.id, order.id, line.id)
    assert ids == (11, 201, counts.orders + 1, counts.order_lines + 1)


async def test_a_reset_store_without_customers_counts_from_one(database: Database) -> None:
    await seed(database, customers=10)

    await seed(database, customers=0, reset=True)

    async with database.write() as session:
        customer = a_customer(1)
        session.add(customer)
    assert customer.id == 1


async def test_progress_ends_with_all_rows(database: Database) -> None:
    steps: list[tuple[int, int]] = []

    counts = await seed(database, progress=lambda *step: steps.append(step))

    assert steps[0] == (0, counts.rows)
    assert steps[-1] == (counts.rows, counts.rows)
    assert steps == sorted(steps)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_failure_in_the_middle_leaves_everything_as_it_was(
    database: Database, *, reset: bool
) -> None:
    if reset:
        await fill(database, customers=3)
    before = await checksums(database)

    with pytest.raises(PowerCut):
        await seed(database, reset=reset, progress=in_the_middle(power_cut))

    assert await checksums(database) == before
    await seed(database, customers=10, reset=reset)


async def test_a_cancelled_seeder_leaves_nothing(database: Database) -> None:
    def cancel() -> None:
        seeding.cancel()

    seeding = asyncio.create_task(seed(database, progress=in_the_middle(cancel)))
    with pytest.raises(asyncio.CancelledError):
        await seeding

    assert await rows_in(database) == EMPTY
    await seed(database, customers=10)


async def test_a_seeder_waits_longer_than_a_statement_may_take(database_url: str) -> None:
    database = Database.connect(settings_for(database_url, statement_timeout_seconds=0.5))
    async with database.write() as writer:
        await writer.execute(text("LOCK TABLE customers IN ROW EXCLUSIVE MODE"))
        seeding = asyncio.create_task(seed(database, customers=1))
        await asyncio.sleep(1)

    assert (await seeding).customers == 1
    assert await column(database, "SHOW statement_timeout") == ["500ms"]
    await database.close()


async def test_the_planner_knows_the_tables(database: Database) -> None:
    counts = await seed(database, customers=100)

    known = "min((SELECT reltuples FROM pg_class WHERE pg_class.oid = rows.tableoid))"
    assert Counts(*await of_each_table(database, known)) == counts


def test_making_rows_takes_the_same_memory_for_any_number() -> None:
    def make(customers: int) -> None:
        sample = Sample(customers, random_seed=1)
        for rows in (sample.customer_rows(), sample.order_rows(), sample.order_line_rows()):
            deque(rows, maxlen=0)

    make(customers=1)
    with traced_memory() as small:
        make(customers=100)
    with traced_memory() as large:
        make(customers=3_000)

    assert large.peak_bytes < small.peak_bytes + 10_000


async def test_writing_rows_does_not_keep_them(database: Database) -> None:
    with traced_memory() as memory:
        counts = await seed(database, customers=3_000)

    # A row that is kept is a tuple of a hundred bytes and more, besides what it holds.
    assert memory.peak_bytes < 60 * counts.rows


def test_names_are_unique_and_fit_even_where_pairs_of_names_run_out() -> None:
    rows = list(Sample(customers=50_000, random_seed=1).customer_rows())

    pairs = {(row.first_name, row.last_name) for row in rows}
    assert len(pairs) < len(rows) == len({row.username for row in rows})
    assert len(rows) == len({row.email.lower() for row in rows})
    assert all(re.fullmatch(r"[a-z]+[._]?[a-z]*\d*", row.username) for row in rows)
    assert all(re.fullmatch(r".+@example\.(com|net|org)", row.email) for row in rows)
    for name in ("first_name", "last_name", "username", "email", "address", "town"):
        longest = Base.metadata.tables["customers"].c[name].type.length  # type: ignore[attr-defined]
        assert all(0 < len(getattr(row, name)) <= longest // 2 for row in rows)


def test_some_names_towns_and_addresses_are_not_ascii() -> None:
    rows = list(Sample(customers=1_000, random_seed=1).customer_rows())

    for name in ("first_name", "last_name", "town", "address"):
        assert 50 < sum(not getattr(row, name).isascii() for row in rows) < 500


class PowerCut(Exception):
    pass


def power_cut() -> None:
    raise PowerCut


def in_the_middle(happen: Callable[[], None]) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done > total / 2:
            happen()

    return progress


@dataclass
class Memory:
    peak_bytes: int = 0


@contextmanager
def traced_memory() -> Iterator[Memory]:
    memory = Memory()
    tracemalloc.start()
    yield memory
    _, memory.peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()


async def column(database: Database, statement: str) -> list[Any]:
    async with database.write() as session:
        return list(await session.scalars(text(statement)))


async def of_each_table(database: Database, expression: str) -> list[Any]:
    return [
        (await column(database, f"SELECT {expression} FROM {table} AS rows"))[0]  # noqa: S608
        for table in TABLES
    ]


async def rows_in(database: Database) -> Counts:
    return Counts(*await of_each_table(database, "count(*)"))


async def checksums(database: Database) -> list[str]:
    """Sum up all values of all rows, ids included, table by table."""
    return await of_each_table(database, "md5(string_agg(rows::text, '' ORDER BY id))")
