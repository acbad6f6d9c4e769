"""A filter and its negation divide any list in two: conditions are true or false, never null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from graph.settings import ExecutionMode, Settings
from tests.conftest import settings_for
from tests.rows import a_customer, fill

if TYPE_CHECKING:
    from tests.conftest import Client


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


@pytest.fixture
async def shop(client: Client) -> Client:
    """Customers 1 and 2 have orders; 3 has none, so that its sums are null."""
    await fill(client.database, customers=2, orders=2, lines=1, items=1)
    async with client.database.write() as session:
        session.add(a_customer(3))
    return client


async def found(client: Client, where: Any) -> list[int]:
    query = "query ($w: CustomerWhere) { customers(where: $w) { nodes { databaseId } } }"
    data = await client(query, w=where)
    return [int(node["databaseId"]) for node in data["customers"]["nodes"]]


ALL = [1, 2, 3]


def of_lines(**tests: Any) -> dict[str, Any]:
    return {"lineItems": {"sum": {"quantity": tests}}}


def of_total(**tests: Any) -> dict[str, Any]:
    return {"orders": {"sum": {"total": tests}}}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        # Null is nothing's equal, nor less, nor more.
        (of_total(eq="3.00"), [1, 2]),
        (of_total(gte="0"), [1, 2]),
        (of_total(lt="9"), [1, 2]),
        (of_total(**{"in": ["3.00", "1"]}), [1, 2]),
        (of_total(isNull=True), [3]),
        (of_total(isNull=False), [1, 2]),
        # The opposites are exact.
        (of_total(ne="3.00"), [3]),
        (of_total(ne="1"), [1, 2, 3]),
        (of_total(notIn=["3.00"]), [3]),
        (of_total(notIn=[]), [1, 2, 3]),
        ({"not": of_total(eq="3.00")}, [3]),
        ({"not": of_total(lt="0")}, [1, 2, 3]),
        ({"not": {"not": of_total(lt="9")}}, [1, 2]),
        ({"not": {"or": [of_total(gt="1"), {"databaseId": {"eq": 1}}]}}, [3]),
        ({"not": {"and": [of_total(gt="1"), {"databaseId": {"eq": 1}}]}}, [2, 3]),
        ({"not": {"orders": {"max": {"datePlaced": {"gt": "2020-01-01T00:00:00Z"}}}}}, [3]),
        # Negations of relationships, of several conditions, and of negations.
        ({"orders": {"none": {"lineItems": {"some": {"quantity": {"gt": 0}}}}}}, [3]),
        ({"orders": {"none": {"lineItems": {"none": {"quantity": {"gt": 0}}}}}}, [1, 2, 3]),
        ({"orders": {"every": {"lineItems": {"every": {"quantity": {"ne": 1}}}}}}, [3]),
        ({"orders": {"every": {"not": {"lineItems": {"every": {"quantity": {"ne": 1}}}}}}}, ALL),
        ({"orders": {"every": {"total": {"gt": "1"}, "lineItems": {"none": {}}}}}, [3]),
        ({"orders": {"every": {"or": [{"total": {"gt": "9"}}, {"lineItems": {"some": {}}}]}}}, ALL),
        (
            {"orders": {"some": {"not": {"or": [of_lines(gt="1"), {"lineItems": {"none": {}}}]}}}},
            [1, 2],
        ),
        ({"orders": {"none": {"or": [of_lines(gt="9"), {"lineItems": {"none": {}}}]}}}, ALL),
        ({"not": {"not": {"orders": {"every": {"lineItems": {"none": {}}}}}}}, [3]),
        ({"not": {"and": [{"orders": {"some": {}}}, {"not": of_total(gt="9")}]}}, [3]),
        # Nothing, and everything.
        ({"orders": {"every": {"total": {"lt": "0"}}}}, [3]),
        ({"orders": {"none": {}}}, [3]),
        ({"orders": {"some": {}}}, [1, 2]),
        ({"orders": {"every": {"lineItems": {"sum": {"quantity": {"ne": "1"}}}}}}, [3]),
        ({"and": []}, [1, 2, 3]),
        ({"or": []}, []),
        ({"not": {"or": []}}, [1, 2, 3]),
        ({"not": {}}, []),
        ({"databaseId": {"in": []}}, []),
        ({"databaseId": {"notIn": []}}, [1, 2, 3]),
        ({"databaseId": {}}, [1, 2, 3]),
        ({}, [1, 2, 3]),
        (None, [1, 2, 3]),
    ],
)
async def test_a_filter_is_true_or_false(shop: Client, where: Any, expected: list[int]) -> None:
    assert await found(shop, where) == expected
    # What a filter leaves out, its opposite finds.
    rest = sorted({1, 2, 3} - set(expected))
    assert await found(shop, {"not": where or {}}) == rest


async def test_a_group_may_have_no_truth_but_two(shop: Client) -> None:
    query = """query ($h: OrderHaving) { customers { nodes {
        orders { groups(by: [{column: CUSTOMER_ID}], having: $h) { aggregates { count } } } } } }"""

    async def groups(having: Any) -> list[int]:
        data = await shop(query, h=having)
        return [len(node["orders"]["groups"]) for node in data["customers"]["nodes"]]

    assert await groups({"sum": {"total": {"ne": "1"}}}) == [1, 1, 0]
    assert await groups({"not": {"count": {"gt": 2}}}) == [1, 1, 0]
    assert await groups({"or": []}) == [0, 0, 0]
