"""Rows that several sort keys or conditions look at are read once; answers are as by plain SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.conftest import recorded
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client

TOTALS = """
    WITH totals AS (
        SELECT orders.id, customer_id, sum(unit_price * quantity) AS total
        FROM orders JOIN order_lines ON order_id = orders.id GROUP BY orders.id
    ), spent AS (
        SELECT customers.id, count(totals.id) AS orders, sum(total) AS total, max(total) AS largest
        FROM customers LEFT JOIN totals ON customer_id = customers.id GROUP BY customers.id
    )
"""
SORTED = "orderBy: [{orders: {count: ASC}}, {orders: {sum: {total: DESC}}}]"
FILTERED = """
    where: {orders: {count: {gt: 1}, sum: {total: {gt: "20"}}}},
    orderBy: [{orders: {max: {total: ASC}}}, {orders: {avg: {total: DESC}}}]
"""


@pytest.mark.parametrize(
    ("arguments", "plain"),
    [
        (SORTED, "SELECT id FROM spent ORDER BY orders, total DESC, id DESC"),
        (
            FILTERED,
            """
            SELECT id FROM spent WHERE orders > 1 AND total > 20
            ORDER BY largest, total / orders DESC, id DESC
            """,
        ),
    ],
)
async def test_measures_of_the_same_children_are_taken_together(
    client: Client, arguments: str, plain: str
) -> None:
    await _fill(client)
    with recorded(client.database) as sql:
        data = await client(f"{{ customers({arguments}) {{ nodes {{ databaseId }} }} }}")
    async with client.database.write() as session:
        expected = [row.id for row in await session.execute(text(TOTALS + plain))]

    assert [int(node["databaseId"]) for node in data["customers"]["nodes"]] == expected
    assert len(expected) > 1
    assert sql.texts[0].count("FROM orders") == 1


async def test_the_row_of_a_relationship_is_joined_once_for_all_sorts(client: Client) -> None:
    await _fill(client)
    with recorded(client.database) as sql:
        data = await client(
            "{ orders(orderBy: [{customer: {town: ASC}}, {customer: {lastName: DESC}}], first: 3)"
            " { nodes { databaseId } } }"
        )
    async with client.database.write() as session:
        plain = (
            "SELECT orders.id FROM orders JOIN customers ON customers.id = customer_id"
            " ORDER BY town, last_name DESC, orders.id DESC LIMIT 3"
        )
        expected = [row.id for row in await session.execute(text(plain))]

    assert [int(node["databaseId"]) for node in data["orders"]["nodes"]] == expected
    assert sql.texts[0].count("JOIN customers") == 1
    assert "FROM customers" not in sql.texts[0]


async def test_one_measure_is_a_sub_select_as_before(client: Client) -> None:
    with recorded(client.database) as sql:
        await client("{ customers(orderBy: [{orders: {count: ASC}}]) { nodes { id } } }")

    assert "LATERAL" not in sql.texts[0]


async def _fill(client: Client) -> None:
    await fill(client.database, customers=6, orders=3, lines=2)
    async with client.database.write() as session:
        await session.execute(text("UPDATE order_lines SET quantity = id % 7 + 1"))
        await session.execute(text("UPDATE customers SET town = 'Aston' WHERE id % 2 = 0"))
