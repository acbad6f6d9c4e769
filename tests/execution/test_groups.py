"""Groups: time buckets in any time zone, and a total order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from graph.schema.scalars import serialize_datetime
from graph.settings import ExecutionMode, Settings
from graph.store.models import Order
from tests.conftest import settings_for
from tests.execution.generator.values import ZONES
from tests.execution.plain.lists import bucket_of
from tests.execution.plain.shop import MOMENTS
from tests.rows import a_customer, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Client


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


@pytest.mark.parametrize("unit", ["HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"])
async def test_a_bucket_begins_where_the_clock_of_its_zone_says(client: Client, unit: str) -> None:
    await fill(client.database, customers=1, orders=0)
    moments = [f"{moment}+00:00" for moment in MOMENTS]
    async with client.database.write() as session:
        await session.execute(
            text(
                "INSERT INTO orders (customer_id, date_placed)"
                " SELECT 1, unnest(CAST(:moments AS text[]))::timestamptz"
            ),
            {"moments": moments},
        )

    query = """query ($unit: TimeUnit!, $zone: String!) { orders {
        groups(by: [{datePlaced: {unit: $unit, timeZone: $zone}}], first: 100) {
            key { datePlaced } aggregates { count } } } }"""
    for zone in ZONES:
        data = await client(query, unit=unit, zone=zone)
        found = {
            group["key"]["datePlaced"]: group["aggregates"]["count"]
            for group in data["orders"]["groups"]
        }
        known = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in MOMENTS]
        expected = Counter(bucket_of(moment, unit, zone) for moment in known)
        assert found == {serialize_datetime(start): n for start, n in expected.items()}, zone


def transitions(zone: str, *years: int) -> Iterator[datetime]:
    """The moments at which the clock of a zone was moved in these years, to the second."""
    for year in years:
        at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        while at < end:
            low, high = at, at + timedelta(days=7)
            if offset_of(low, zone) != offset_of(high, zone):
                while high - low > timedelta(seconds=1):
                    middle = low + (high - low) // 2
                    same = offset_of(middle, zone) == offset_of(at, zone)
                    low, high = (middle, high) if same else (low, middle)
                yield high.replace(microsecond=0)
            at += timedelta(days=7)


def offset_of(moment: datetime, zone: str) -> timedelta | None:
    return moment.astimezone(ZoneInfo(zone)).utcoffset()


# Midnight twice or never, half hours, two changes a day apart, odd minutes, a day left out.
CHANGED = {
    **dict.fromkeys(("Atlantic/Azores", "Europe/Berlin", "America/New_York"), (1999, 2024, 2026)),
    **dict.fromkeys(("MET", "CET", "EET", "EST", "MST", "HST"), (1999, 2024, 2026)),
    **dict.fromkeys(("WET", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Cairo"), (2010, 2023)),
    "America/Sao_Paulo": (2008, 2018),
    "America/Havana": (2024,),
    "America/Santiago": (2023,),
    "America/St_Johns": (1988, 2006),
    "America/Asuncion": (2022,),
    "Africa/Casablanca": (2024,),
    "Asia/Gaza": (2022, 2023),
    "Asia/Tehran": (2021,),
    "Asia/Pyongyang": (2015, 2018),
    "Antarctica/Troll": (2024,),
    "Pacific/Apia": (2011,),
    "Pacific/Kwajalein": (1993,),
    "America/Caracas": (2007, 2016),
    "Europe/Dublin": (1971, 2024),
    "Asia/Kathmandu": (1985,),
}


@pytest.mark.parametrize("week_start", ["MONDAY", "SUNDAY", "SATURDAY"])
async def test_a_key_is_never_later_than_its_rows_and_finds_them_all(
    client: Client, week_start: str
) -> None:
    await fill(client.database, customers=1, orders=0)
    for zone, years in CHANGED.items():
        around = [
            change + timedelta(minutes=minutes)
            for change in transitions(zone, *years)
            for minutes in (*range(-1500, 1501, 97), *range(-75, 76, 15))
        ]
        if zone in {"EST", "MST", "HST"}:
            around = [datetime(year, 7, 1, nth % 24, tzinfo=UTC) for nth, year in enumerate(years)]
        assert around, zone
        await write_orders(client, around)
        for unit in ("HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"):
            week = f", weekStart: {week_start}" if unit == "WEEK" else ""
            bucket = f'{{unit: {unit}, timeZone: "{zone}"{week}}}'
            found = await counted_by(client, bucket)
            expected = Counter(bucket_of(moment, unit, zone, week_start) for moment in around)
            assert found == expected, (zone, unit)
            assert all(bucket_of(each, unit, zone, week_start) <= each for each in around)


async def write_orders(client: Client, moments: list[datetime]) -> None:
    async with client.database.write() as session:
        await session.execute(text("TRUNCATE orders, order_lines"))
        session.add_all(Order(customer_id=1, date_placed=moment) for moment in moments)


async def counted_by(client: Client, bucket: str) -> Counter[datetime]:
    """The orders of each bucket; all groups, however many there are."""
    counted: Counter[datetime] = Counter()
    for page in range(100):
        data = await client(
            f"""{{ orders {{ groups(by: [{{datePlaced: {bucket}}}], first: 100,
                                    offset: {page * 100}) {{
                key {{ datePlaced }} aggregates {{ count }} }} }} }}"""
        )
        groups = data["orders"]["groups"]
        for group in groups:
            key = datetime.fromisoformat(group["key"]["datePlaced"])
            counted[key] = group["aggregates"]["count"]
        if len(groups) < 100:
            return counted
    pytest.fail("there is no end to the groups")


async def test_a_list_of_groups_that_was_cut_says_so(client: Client) -> None:
    moments = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=nth) for nth in range(1_100)]
    await fill(client.database, customers=1, orders=0)
    await write_orders(client, moments)
    query = """query ($first: Int, $offset: Int, $most: Int) { orders { groups(
        by: [{datePlaced: {unit: DAY}}], first: $first, offset: $offset,
        having: {count: {lte: $most}}) { groupCount key { datePlaced } } } }"""

    for first, offset, size in ((None, None, 20), (1_000, 0, 1_000), (1_000, 1_000, 100)):
        data = await client(query, first=first, offset=offset, most=1)
        groups = data["orders"]["groups"]
        shown = [datetime.fromisoformat(group["key"]["datePlaced"]) for group in groups]
        assert shown == moments[offset or 0 :][:size]
        assert {group["groupCount"] for group in groups} == {1_100}
    assert (await client(query, most=0))["orders"]["groups"] == []
    for wrong in ({"first": 1_001}, {"first": -1}, {"offset": -1}, {"offset": 10_001}):
        answer = await client.answer(query, most=1, **wrong)
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_PAGE"


async def test_groups_within_rows_are_counted_for_each(client: Client) -> None:
    await fill(client.database, customers=2, orders=3)

    data = await client(
        """{ customers { nodes { orders { groups(by: [{column: DATE_PLACED}], first: 1) {
            groupCount aggregates { count } } } } } }"""
    )

    for customer in data["customers"]["nodes"]:
        assert customer["orders"]["groups"] == [{"groupCount": 3, "aggregates": {"count": 1}}]


async def test_weeks_alone_begin_on_a_day(client: Client) -> None:
    answer = await client.answer(
        """{ orders { groups(by: [{datePlaced: {unit: DAY, weekStart: SUNDAY}}]) {
            aggregates { count } } } }"""
    )

    assert answer["errors"][0]["extensions"]["code"] == "INVALID_GROUPS"


@pytest.mark.parametrize(
    ("order_by", "descending"),
    [
        ("[]", False),
        ("[{count: ASC}]", False),
        ("[{count: DESC}, {max: {lastName: ASC}}]", False),
        ("[{count: DESC}, {key: {town: DESC}}]", True),
    ],
)
async def test_groups_that_are_equal_come_by_their_keys(
    client: Client, order_by: str, descending: bool
) -> None:
    towns = [f"Town {nth * 7919 % 100:02}" for nth in range(100)]
    customers = [a_customer(nth) for nth in range(100)]
    for customer, town in zip(customers, towns, strict=True):
        customer.town, customer.last_name = town, "Same"
    async with client.database.write() as session:
        session.add_all(customers)

    data = await client(
        f"""{{ customers {{ groups(by: [{{column: TOWN}}], orderBy: {order_by}, first: 100) {{
            key {{ town }} }} }} }}"""
    )

    found = [group["key"]["town"] for group in data["customers"]["groups"]]
    assert found == sorted(towns, reverse=descending)
