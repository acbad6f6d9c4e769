"""Mutations of many rows: all rows, or all valid rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from graph.relay import to_global_id
from tests.conftest import Client, Statements, settings_for
from tests.execution.running.test_mutations import TOBY, changed, problems, state, stock_of
from tests.rows import fill

if TYPE_CHECKING:
    from graph.settings import Settings

IMPORT = """mutation ($rows: [%s!]!, $onError: OnError! = REJECT_ALL, $dryRun: Boolean! = false) {
    %s(input: {rows: $rows, onError: $onError}, dryRun: $dryRun) { __typename
        ... on %s { saved refused rows { index %s problems { path code message } } }
        ... on ValidationFailed { code problems { path code message } } } }"""
CUSTOMERS = IMPORT % (
    *("CreateCustomerInput", "importCustomers", "CustomersImported"),
    "customer { databaseId username }",
)
ITEMS = IMPORT % ("CreateItemInput", "importItems", "ItemsImported", "item { databaseId name }")
ORDERS = IMPORT % (
    *("PlaceOrderInput", "importOrders", "OrdersImported"),
    "order { databaseId total }",
)


@pytest.fixture(params=["compiled", "resolvers"])
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


def customer(number: int, **values: Any) -> dict[str, Any]:
    return TOBY | {"username": f"new{number}", "email": f"new{number}@x"} | values


def order(*lines: tuple[int, int]) -> dict[str, Any]:
    basket = [{"itemId": to_global_id("Item", item), "quantity": number} for item, number in lines]
    return {"customerId": to_global_id("Customer", 1), "lines": basket}


async def test_all_rows_are_added_and_reported(client: Client, sql: Statements) -> None:
    data = await client(CUSTOMERS, rows=[customer(number) for number in range(3)])

    answer = data["importCustomers"]
    assert (answer["saved"], answer["refused"]) == (3, 0)
    assert [row["index"] for row in answer["rows"]] == [0, 1, 2]
    assert [row["customer"]["username"] for row in answer["rows"]] == ["new0", "new1", "new2"]
    assert all(row["problems"] == [] for row in answer["rows"])
    # What is asked of all customers is one statement.
    assert sum("FROM customers" in text and "EXISTS" not in text for text in sql.texts) == 1


async def test_rows_are_rejected_together_and_all_problems_reported(client: Client) -> None:
    await fill(client.database, customers=1)
    before = await state(client)
    rows = [
        customer(1),
        customer(2, town=" ", username="user1"),
        customer(1, email="new3@x"),
    ]
    data = await client(CUSTOMERS, rows=rows)

    assert problems(data["importCustomers"]) == [
        ("input.rows.1.town", "BLANK"),
        ("input.rows.1.username", "TAKEN"),
        ("input.rows.2.username", "TAKEN"),
    ]
    assert await state(client) == before


async def test_rows_that_are_refused_can_be_skipped(client: Client) -> None:
    rows = [
        {"name": "Chair", "costPrice": "1", "sellingPrice": "2"},
        {"name": "", "costPrice": "-1", "sellingPrice": "2"},
        {"name": "Table", "costPrice": "1", "sellingPrice": "2", "stock": 3},
    ]
    data = await client(ITEMS, rows=rows, onError="SKIP_ROW")

    answer = data["importItems"]
    assert (answer["saved"], answer["refused"]) == (2, 1)
    names = [row["item"] and row["item"]["name"] for row in answer["rows"]]
    assert names == ["Chair", None, "Table"]
    paths = [".".join(problem["path"]) for problem in answer["rows"][1]["problems"]]
    assert paths == ["input.rows.1.name", "input.rows.1.costPrice"]


async def test_orders_take_their_pieces_one_after_the_other(client: Client) -> None:
    await fill(client.database, customers=1, orders=0, items=2)
    await changed(client, "UPDATE items SET stock = 5")
    rows = [order((2, 3), (1, 1)), order((1, 5)), order((2, 3)), order((2, 2), (1, 4))]

    rejected = await client(ORDERS, rows=rows)
    assert problems(rejected["importOrders"]) == [
        ("input.rows.1", "INSUFFICIENT_STOCK"),
        ("input.rows.2", "INSUFFICIENT_STOCK"),
    ]
    assert [await stock_of(client, item) for item in (1, 2)] == [5, 5]
    dry = await client(ORDERS, rows=rows, onError="SKIP_ROW", dryRun=True)
    assert dry["importOrders"]["saved"] == 2
    assert [await stock_of(client, item) for item in (1, 2)] == [5, 5]
    data = await client(ORDERS, rows=rows, onError="SKIP_ROW")
    assert [row["order"] and row["order"]["total"] for row in data["importOrders"]["rows"]] == [
        *("9.00", None, None, "11.00"),
    ]
    assert [await stock_of(client, item) for item in (1, 2)] == [0, 0]


@pytest.mark.parametrize("number", [0, 1001])
async def test_there_are_not_too_many_rows(client: Client, number: int) -> None:
    data = await client(CUSTOMERS, rows=[customer(1)] * number)

    assert problems(data["importCustomers"]) == [("input.rows", "OUT_OF_RANGE")]


async def test_a_thousand_rows_are_one_mutation(client: Client) -> None:
    rows = [
        {"name": f"Item {number}", "costPrice": "1", "sellingPrice": "2"} for number in range(1000)
    ]
    data = await client(ITEMS, rows=rows)

    assert data["importItems"]["saved"] == 1000
    assert data["importItems"]["rows"][999]["item"] == {"databaseId": "1000", "name": "Item 999"}
