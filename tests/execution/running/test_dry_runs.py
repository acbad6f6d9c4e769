"""A dry run does all of it, and leaves nothing behind: no row, and no gap in the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.relay import from_global_id, to_global_id
from tests.conftest import client_of, settings_for
from tests.execution.running.test_mutations import (
    CUSTOMER,
    INPUTS,
    TOBY,
    changed,
    every_mutation,
    line,
)
from tests.mutations import at, mutation, run
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Client

SEQUENCES = [
    f"{table}_id_seq" for table in ("customers", "items", "orders", "order_lines", "events")
]


@pytest.fixture(params=["compiled", "resolvers"])
async def store(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Client]:
    settings = settings_for(database_url, execution=request.param)
    async with client_of(create_app(settings)) as client:
        await fill(client.database, customers=2, orders=1, lines=2, items=5)
        await changed(client, "UPDATE items SET stock = 10 WHERE id <= 3")
        await run(client, "createCustomer", **TOBY | {"username": "third", "email": "third@x"})
        yield client


async def last_keys(client: Client) -> list[Any]:
    async with client.database.engine.connect() as connection:
        return [
            (await connection.execute(text(f"SELECT last_value, is_called FROM {name}"))).one()  # noqa: S608
            for name in SEQUENCES
        ]


@every_mutation
async def test_a_dry_run_takes_no_key_that_a_row_could_have(store: Client, name: str) -> None:
    before = await last_keys(store)

    answer = await run(store, name, dry_run=True, **INPUTS[name])

    assert "code" not in answer, answer
    assert await last_keys(store) == before


async def test_the_keys_of_a_dry_run_are_beyond_all_others_and_in_order(store: Client) -> None:
    lines = [line(1, 1), line(2, 1), line(3, 1)]

    answer = await run(store, "placeOrder", dry_run=True, customerId=CUSTOMER, lines=lines)
    real = await run(store, "placeOrder", customerId=CUSTOMER, lines=lines)

    order = answer["order"]
    keys = [int(each["databaseId"]) for each in order["lineItems"]["nodes"]]
    assert from_global_id(order["id"]) == ("Order", int(order["databaseId"]))
    assert [each["itemName"] for each in order["lineItems"]["nodes"]] == [
        "Item 1",
        "Item 2",
        "Item 3",
    ]
    assert keys == sorted(keys)
    assert min(*keys, int(order["databaseId"])) >= 2**62
    assert real["order"]["databaseId"] == "3"


async def test_dry_runs_of_an_atomic_operation_and_of_many_rows_take_no_key(store: Client) -> None:
    before = await last_keys(store)
    fields = "{ ... on OrdersImported { saved rows { order { id } } } }"
    line = f'{{itemId: "{to_global_id("Item", 1)}", quantity: 1}}'
    order = f'{{customerId: "{CUSTOMER}", lines: [{line}]}}'

    data = await store(
        f"""mutation @atomic {{
            a: importOrders(input: {{rows: [{order}, {order}]}}, dryRun: true) {fields}
            b: importOrders(input: {{rows: [{order}]}}, dryRun: true) {fields} }}"""
    )

    assert (data["a"]["saved"], data["b"]["saved"]) == (2, 1)
    assert await last_keys(store) == before


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("createCustomer", TOBY | {"username": "user1"}),
        ("createCustomer", TOBY | {"email": "USER1@EXAMPLE.COM"}),
        ("createItem", {"name": "", "costPrice": "1", "sellingPrice": "1"}),
        ("placeOrder", {"customerId": to_global_id("Customer", 99), "lines": [line(1, 1)]}),
        ("placeOrder", {"customerId": CUSTOMER, "lines": [line(1, 1), line(99, 1)]}),
        ("placeOrder", {"customerId": CUSTOMER, "lines": [line(1, 1), line(2, 11)]}),
        ("addOrderLine", INPUTS["addOrderLine"] | {"expectedVersion": at(7)}),
    ],
)
async def test_a_refusal_by_a_rule_comes_before_any_key(
    store: Client, name: str, given: dict[str, Any]
) -> None:
    before = await last_keys(store)

    data = await store(mutation(name), input=given)

    assert "code" in data[name]
    assert await last_keys(store) == before
