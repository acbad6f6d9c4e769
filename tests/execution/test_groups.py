"""Groups: time buckets in any time zone, and a total order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from graph.schema.scalars import serialize_datetime
from graph.settings import ExecutionMode, Settings
from tests.conftest import settings_for
from tests.execution.generator.values import ZONES
from tests.execution.plain.lists import bucket_of
from tests.execution.plain.shop import MOMENTS
from tests.rows import a_customer, fill

if TYPE_CHECKING:
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
