"""Groups of buckets without rows, compared with plain Python, by the statement and by resolvers."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.schema.scalars import serialize_datetime
from graph.settings import ExecutionMode, Settings
from graph.store.models import Order, OrderStatus
from tests.conftest import settings_for
from tests.execution.plain.lists import bucket_of
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Client

HOUR = timedelta(hours=1)
STATUSES = [OrderStatus.PLACED, OrderStatus.PAID]
# Hours and days that are shorter, longer, twice or not there at all.
AROUND = {
    "UTC": datetime(2024, 2, 28, tzinfo=UTC),
    "Europe/Berlin": datetime(2024, 3, 30, 20, tzinfo=UTC),
    "Atlantic/Azores": datetime(2024, 10, 26, 5, tzinfo=UTC),
    "America/Sao_Paulo": datetime(2018, 11, 3, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2024, 4, 6, 10, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2024, 12, 31, tzinfo=UTC),
    "Pacific/Apia": datetime(2011, 12, 28, tzinfo=UTC),
}
LENGTHS = {"HOUR": 1, "DAY": 24, "WEEK": 168, "MONTH": 800, "QUARTER": 2400, "YEAR": 9000}
MEASURES = "count min { datePlaced } sum { total } distinctCount { customerId }"


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


@pytest.fixture
async def store(client: Client) -> Client:
    await fill(client.database, customers=2, orders=0)
    return client


async def write_orders(client: Client, orders: list[tuple[datetime, OrderStatus]]) -> None:
    async with client.database.write() as session:
        await session.execute(text("TRUNCATE orders, order_lines"))
        session.add_all(
            Order(customer_id=nth % 2 + 1, date_placed=moment, status=status)
            for nth, (moment, status) in enumerate(orders)
        )


def starts_between(first: datetime, last: datetime, unit: str, zone: str) -> Iterator[datetime]:
    """The starts of all buckets from that of one moment to that of another, minute by minute."""
    step = timedelta(minutes=15) if unit == "HOUR" else timedelta(hours=6)
    moments = [last]
    while first < last:
        moments.append(first)
        first += step
    yield from sorted({bucket_of(moment, unit, zone) for moment in moments})


def expected(
    orders: list[tuple[datetime, OrderStatus]],
    unit: str,
    zone: str,
    span: tuple[datetime | None, datetime | None] = (None, None),
    *,
    by_status: bool = False,
) -> list[dict[str, Any]]:
    """The groups, by status if that is a key, then by bucket."""
    found: defaultdict[tuple[Any, datetime], list[datetime]] = defaultdict(list)
    for moment, status in orders:
        found[status if by_status else None, bucket_of(moment, unit, zone)].append(moment)
    moments = [moment for moment, _ in orders]
    first, last = (
        bound or next(iter(sorted(moments, reverse=nth > 0)), None)
        for nth, bound in enumerate(span)
    )
    if first and last:
        starts = starts_between(first, last, unit, zone)
        combinations = {status for status, _ in found} if by_status else {None}
        for key in product(combinations, list(starts)):
            found.setdefault(key, [])
    return [
        {
            "groupCount": len(found),
            "key": {"datePlaced": serialize_datetime(start), "status": status and status.value},
            "aggregates": {
                "count": len(rows),
                "min": {"datePlaced": serialize_datetime(min(rows)) if rows else None},
                "sum": {"total": "0.00" if rows else None},
            },
        }
        for (status, start), rows in sorted(
            found.items(), key=lambda each: (str(each[0][0] or ""), each[0][1])
        )
    ]


async def groups(
    client: Client, unit: str, zone: str, where: Any = None, more: str = "", by: str = ""
) -> list[dict[str, Any]]:
    data = await client(
        f"""query ($where: OrderWhere) {{ orders(where: $where) {{ groups(
            by: [{by} {{datePlaced: {{unit: {unit}, timeZone: "{zone}", emptyBuckets: true}}}}]
            first: 1000 {more}) {{
                groupCount key {{ datePlaced status }}
                aggregates {{ count min {{ datePlaced }} sum {{ total }} }} }} }} }}""",
        where=where,
    )
    found: list[dict[str, Any]] = data["orders"]["groups"]
    return found


def drawn(random: Random, around: datetime, hours: int) -> list[tuple[datetime, OrderStatus]]:
    size = random.choice((1, 2, 5))
    moments = [
        around + timedelta(hours=random.uniform(0, 12 * hours), microseconds=random.choice((0, 1)))
        for _ in range(size)
    ]
    return [(moment, random.choice(STATUSES)) for moment in moments]


@pytest.mark.parametrize("zone", AROUND)
async def test_every_bucket_between_the_first_and_the_last_is_there(
    store: Client, zone: str
) -> None:
    random = Random(zone)  # noqa: S311
    for unit, hours in LENGTHS.items():
        orders = drawn(random, AROUND[zone], hours)
        await write_orders(store, orders)

        assert await groups(store, unit, zone) == expected(orders, unit, zone), (unit, orders)
        assert await groups(store, unit, zone, by="{column: STATUS}") == expected(
            orders, unit, zone, by_status=True
        )


@pytest.mark.parametrize("zone", AROUND)
async def test_a_filter_that_bounds_the_time_bounds_the_buckets(store: Client, zone: str) -> None:
    random = Random(zone)  # noqa: S311
    microsecond = timedelta(microseconds=1)
    for unit, hours in LENGTHS.items():
        orders = drawn(random, AROUND[zone], hours)
        lower = AROUND[zone] + timedelta(hours=random.uniform(-2, 6) * hours)
        upper = lower + timedelta(hours=random.uniform(1, 6) * hours)
        await write_orders(store, orders)
        for where, first, last in (
            ({"gte": lower, "lt": upper}, lower, upper - microsecond),
            ({"gt": lower, "lte": upper}, lower + microsecond, upper),
            ({"gte": lower}, lower, None),
            ({"lt": upper}, None, upper - microsecond),
            ({"gte": bucket_of(lower, unit, zone)}, bucket_of(lower, unit, zone), None),
        ):
            met = [
                order
                for order in orders
                if (not first or order[0] >= first) and (not last or order[0] <= last)
            ]
            tests = {name: moment.isoformat() for name, moment in where.items()}
            found = await groups(store, unit, zone, {"datePlaced": tests})
            assert found == expected(met, unit, zone, (first, last)), (unit, where, orders)


async def test_a_week_without_any_order_has_seven_days(store: Client) -> None:
    await write_orders(store, [])
    bounds = {"gte": "2026-03-27T23:00:00Z", "lt": "2026-04-03T22:00:00Z"}

    found = await groups(store, "DAY", "Europe/Berlin", {"and": [{"datePlaced": bounds}]})

    assert [group["key"]["datePlaced"][:13] for group in found] == [
        *("2026-03-27T23", "2026-03-28T23"),
        *(f"{day}T22" for day in ("2026-03-29", "2026-03-30", "2026-03-31")),
        *(f"{day}T22" for day in ("2026-04-01", "2026-04-02")),
    ]
    assert {group["aggregates"]["count"] for group in found} == {0}
    assert await groups(store, "DAY", "UTC") == []
    assert await groups(store, "DAY", "UTC", {"datePlaced": bounds}, by="{column: STATUS}") == []


async def test_having_order_and_page_take_empty_buckets_for_groups(store: Client) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    await write_orders(store, [(noon + timedelta(days=n), STATUSES[0]) for n in (0, 0, 3, 9)])

    empty = await groups(store, "DAY", "UTC", more="having: {count: {eq: 0}}")
    busiest = await groups(
        store, "DAY", "UTC", more="orderBy: [{count: DESC}, {key: {datePlaced: DESC}}]"
    )
    data = await store(
        """{ orders { groups(by: [{datePlaced: {unit: DAY, emptyBuckets: true}}],
             having: {sum: {total: {gte: "0.00"}}}, first: 1, offset: 1) {
                groupCount key { datePlaced } } } }"""
    )

    assert [group["key"]["datePlaced"][8:10] for group in empty] == [
        *("02", "03", "05", "06", "07", "08", "09")
    ]
    assert {group["groupCount"] for group in empty} == {7}
    assert [group["key"]["datePlaced"][8:10] for group in busiest] == [
        *("01", "10", "04", "09", "08", "07", "06", "05", "03", "02")
    ]
    # A sum without rows is null, which is never true of a condition.
    assert data["orders"]["groups"] == [
        {"groupCount": 3, "key": {"datePlaced": "2026-01-04T00:00:00+00:00"}}
    ]


async def test_lists_of_rows_are_filled_each_for_itself_and_across_a_path(store: Client) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    await write_orders(store, [(noon + timedelta(days=n), STATUSES[0]) for n in (0, 3, 2, 4)])
    async with store.database.write() as session:
        await session.execute(
            text(
                "INSERT INTO order_lines (order_id, item_id, quantity) SELECT id, 1, 2 FROM orders"
            )
        )
    data = await store(
        """{ customers { nodes { orders {
                groups(by: [{datePlaced: {unit: DAY, emptyBuckets: true}}]) {
                    key { datePlaced } aggregates { count } } } } }
             orderLines(where: {order: {datePlaced: {lte: "2026-01-06T23:59:59Z"}}}) {
                groups(by: [{order: {datePlaced: {unit: DAY, emptyBuckets: true}}}]) {
                    key { order { datePlaced } } aggregates { sum { quantity } } } } }"""
    )

    lists = [
        [(group["key"]["datePlaced"][8:10], group["aggregates"]["count"]) for group in each]
        for each in (customer["orders"]["groups"] for customer in data["customers"]["nodes"])
    ]
    assert lists == [[("01", 1), ("02", 0), ("03", 1)], [("04", 1), ("05", 1)]]
    assert [
        (group["key"]["order"]["datePlaced"][8:10], group["aggregates"]["sum"]["quantity"])
        for group in data["orderLines"]["groups"]
    ] == [("01", "2"), ("02", None), ("03", "2"), ("04", "2"), ("05", "2"), ("06", None)]


async def test_rows_without_a_time_stay_a_group_of_their_own(store: Client) -> None:
    data = await store(
        """{ customers { nodes { history(where: {order: {total: {isNull: true}}}) {
             groups(by: [{order: {datePlaced: {unit: DAY, emptyBuckets: true}}}]) {
                groupCount key { order { datePlaced } } aggregates { count } } } } } }"""
    )

    for customer in data["customers"]["nodes"]:
        assert customer["history"]["groups"] == [
            {"groupCount": 1, "key": {"order": {"datePlaced": None}}, "aggregates": {"count": 1}}
        ]


@pytest.mark.parametrize(("unit", "length"), [("HOUR", HOUR), ("DAY", 24 * HOUR)])
async def test_there_are_a_thousand_buckets_at_most(
    store: Client, unit: str, length: timedelta
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    await write_orders(store, [(start, STATUSES[0]), (start + 999 * length, STATUSES[0])])
    assert len(await groups(store, unit, "UTC")) == 1000
    await write_orders(store, [(start, STATUSES[0]), (start + 1000 * length, STATUSES[0])])
    query = f"""{{ customers {{ totalCount }} orders {{
        groups(by: [{{datePlaced: {{unit: {unit}, emptyBuckets: true}}}}]) {{
            groupCount }} }} items {{ nodes {{ id }} }} }}"""

    response = await store.http.post("/graphql", json={"query": query})

    (error,) = response.json()["errors"]
    assert "data" not in response.json()
    assert error["extensions"]["code"] == "INVALID_GROUPS"
    assert "more than 1,000 buckets" in error["message"]


async def test_there_are_eleven_thousand_groups_at_most(store: Client) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    days = [(start + timedelta(days=n), STATUSES[0]) for n in [*range(11), 999]]
    await write_orders(store, days[:10] + days[-1:])
    by = "{column: DATABASE_ID}"
    assert (await groups(store, "DAY", "UTC", by=by))[0]["groupCount"] == 11_000
    await write_orders(store, days)

    response = await store.http.post(
        "/graphql",
        json={
            "query": """{ orders { groups(by: [{column: DATABASE_ID}, {datePlaced: {unit: DAY,
                          emptyBuckets: true}}]) { groupCount } } }"""
        },
    )

    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_GROUPS"


async def test_one_key_only_is_filled(store: Client) -> None:
    response = await store.http.post(
        "/graphql",
        json={
            "query": """{ orders { groups(by: [{datePlaced: {unit: DAY, emptyBuckets: true}},
                {customer: {createdOn: {unit: DAY, emptyBuckets: true}}}]) { groupCount } } }"""
        },
    )

    (error,) = response.json()["errors"]
    assert error["message"] == "'emptyBuckets' is for one key of 'by' only."
    assert error["extensions"]["code"] == "INVALID_GROUPS"
    assert error["path"] == ["orders", "groups"]


async def test_a_mutation_whose_answer_has_too_many_changes_nothing(store: Client) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    days = (0, 0, 1500)  # the first customer's, and the third
    await write_orders(store, [(start + timedelta(days=n), STATUSES[0]) for n in days])
    query = """mutation { updateCustomer(
        input: {id: "Q3VzdG9tZXI6MQ==", expectedVersion: {any: true}, town: "Lost"}) {
            ... on CustomerSaved { customer { orders { groups(
                by: [{datePlaced: {unit: DAY, emptyBuckets: true}}]) { groupCount } } } } } }"""

    response = await store.http.post("/graphql", json={"query": query})

    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "INVALID_GROUPS"
    data = await store("{ customers { nodes { town } } }")
    assert {customer["town"] for customer in data["customers"]["nodes"]} == {"Wolfden"}
