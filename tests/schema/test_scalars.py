"""Scalars: exact output, strict input."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from graph.schema.scalars import (
    parse_big_int,
    parse_date,
    parse_datetime,
    parse_decimal,
    parse_uuid,
    serialize_datetime,
    serialize_decimal,
)
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client

NEW_YORK = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
        (datetime(2026, 1, 31, 7, tzinfo=NEW_YORK), "2026-01-31T12:00:00+00:00"),
        (datetime(2026, 1, 31, 12, 0, 0, 120_000, UTC), "2026-01-31T12:00:00.12+00:00"),
        (datetime(2026, 1, 31, 12, 0, 0, 1, UTC), "2026-01-31T12:00:00.000001+00:00"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00+00:00"),
    ],
)
def test_a_moment_is_shown_in_utc(value: datetime, shown: str) -> None:
    assert serialize_datetime(value) == shown


@pytest.mark.parametrize(
    "given",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T07:00:00-05:00",
        "2026-01-31T12:00:00.000Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T12:00:00.0000000000Z",
        "2026-01-31T12:00:00-00:00",
    ],
)
def test_a_moment_may_come_in_any_zone(given: str) -> None:
    assert parse_datetime(given) == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "given", [None, 0, 1.5, True, [], "", "now", "2026-01-31T12:00:00", "2026-01-31", "\0"]
)
def test_an_invalid_time_or_one_without_a_zone_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="DateTime"):
        parse_datetime(given)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-06-01T00:00:00+23:00", "2026-05-31T01:00:00+00:00"),
        ("1969-07-20T20:17:40-23:59", "1969-07-21T20:16:40+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("2016-12-31T18:59:60.5-05:00", "2017-01-01T00:00:00.5+00:00"),
        ("2026-01-31T12:00:00.1234560Z", "2026-01-31T12:00:00.123456+00:00"),
        ("0001-01-01T00:00:00-12:00", "0001-01-01T12:00:00+00:00"),
    ],
)
async def test_a_moment_may_have_any_offset(client: Client, given: str, moment: str) -> None:
    await fill(client.database, customers=1)
    async with client.database.write() as session:
        update = text("UPDATE customers SET created_on = CAST(CAST(:at AS text) AS timestamptz)")
        await session.execute(update, {"at": moment})

    query = "query ($at: DateTime) { customers(where: {createdOn: {eq: $at}}) { totalCount } }"
    data = await client(query, at=given)

    assert data["customers"]["totalCount"] == 1


@pytest.mark.parametrize(
    "given",
    [
        *(
            "2025-W02-3T12:00:00Z",
            "20250101T120000Z",
            "2025-001T12:00:00Z",
            "+2025-01-01T12:00:00Z",
        ),
        *("2025-01-01T00Z", "2025-01-01T00:00Z", "2025-01-01T120000Z", "2025-01-01 12:00:00Z"),
        *("2025-01-01T12:00:00,5Z", "2025-01-01T12:00:00.Z", "2025-01-01T12:00:00.5"),
        *("2025-01-01T12:00:00+01", "2025-01-01T12:00:00+0100", "2025-01-01T12:00:00+01:00:30"),
        *("2025-01-01T12:00:00+24:00", "2025-01-01T12:00:00+01:60", "2025-01-01T24:00:00Z"),
        *("2025-02-29T12:00:00Z", "2025-01-01T12:60:00Z", "2025-01-01T12:00:61Z"),
        *("2025-01-01T12:00:60Z", "2025-01-15T23:59:60Z", "2025-01-31T23:59:60+01:00"),
        *("2025-01-01T12:00:00.1234567Z", "0000-01-01T00:00:00Z", "2025-01-01T12:00:00Z\n"),
        *("٢٠٢٥-01-01T12:00:00Z", "2025-01-01T12:00:00Z ", "infinity", "epoch"),
    ],
)
def test_what_is_more_or_less_than_rfc_3339_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="DateTime cannot represent"):
        parse_datetime(given)


@pytest.mark.parametrize(
    "given", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z"]
)
def test_a_moment_that_no_year_of_four_digits_has_in_utc_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"DateTime .* out of range"):
        parse_datetime(given)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_as_it_went(value: datetime) -> None:
    assert parse_datetime(serialize_datetime(value)) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("12.50"), "12.50"),
        (Decimal("0.00"), "0.00"),
        (Decimal("-0.01"), "-0.01"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("99999999999999999999.99"), "99999999999999999999.99"),
    ],
)
def test_a_decimal_is_shown_with_its_scale_and_without_an_exponent(
    value: Decimal, shown: str
) -> None:
    assert serialize_decimal(value) == shown


@pytest.mark.parametrize(
    "given", [None, 12.5, True, {}, "", "12,50", "twelve", "NaN", "sNaN", "Infinity", "-inf"]
)
def test_a_decimal_must_be_a_finite_number_in_a_string(given: Any) -> None:
    with pytest.raises(ValueError, match="Decimal"):
        parse_decimal(given)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_comes_back_exactly(value: Decimal) -> None:
    assert parse_decimal(serialize_decimal(value)) == value


async def test_stored_values_are_served_exactly(client: Client) -> None:
    await fill(client.database, customers=1, orders=1, lines=1, items=1)
    async with client.database.write() as session:
        await session.execute(text("UPDATE items SET selling_price = 99999999.90"))
        await session.execute(
            text("UPDATE order_lines SET quantity = 32767, unit_price = 99999999.90")
        )
        await session.execute(text("UPDATE orders SET date_placed = '1999-12-31T23:59:59.5-05:00'"))

    data = await client(
        "{ order(by: {databaseId: 1}) { datePlaced total } items { nodes { sellingPrice } } }"
    )

    assert data["items"]["nodes"] == [{"sellingPrice": "99999999.90"}]
    assert data["order"] == {
        "datePlaced": "2000-01-01T04:59:59.5+00:00",
        "total": "3276699996723.30",
    }


async def test_scalars_have_a_specification(client: Client) -> None:
    data = await client("{ __schema { types { name specifiedByURL } } }")

    specified = {type_["name"]: type_["specifiedByURL"] for type_ in data["__schema"]["types"]}
    assert specified["DateTime"] == "https://www.rfc-editor.org/rfc/rfc3339"
    assert specified["Decimal"] == "https://www.w3.org/TR/xmlschema11-2/#decimal"


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (17, 17),
        ("17", 17),
        ("-9223372036854775808", -(2**63)),
        (2**63 - 1, 2**63 - 1),
        ("0009223372036854775807", 2**63 - 1),
        ("+1", 1),
    ],
)
def test_a_big_int_is_a_number_or_its_digits(given: Any, number: int) -> None:
    assert parse_big_int(given) == number


@pytest.mark.parametrize(
    "given",
    [None, True, 1.0, "1.0", "1e3", "", " 1", "1\n", "\u0661", "1_0", 2**63, -(2**63) - 1]  # noqa: RUF005
    + ["9223372036854775808", "9" * 6000, [1]],
)
def test_what_is_no_number_of_64_bits_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="BigInt"):
        parse_big_int(given)


@pytest.mark.parametrize("given", [None, 1, "2026-1-1", "20260101", "2026-W01-1", "2026-02-30", ""])
def test_what_is_no_day_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="Date"):
        parse_date(given)


@pytest.mark.parametrize("given", [None, 1, "", "0" * 32, "{00000000-0000-0000-0000-000000000000}"])
def test_what_is_no_uuid_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="UUID"):
        parse_uuid(given)
