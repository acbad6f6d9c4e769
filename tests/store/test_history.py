"""The history, as the API shows it: names, values and links of the schema; nothing of the deleted.

What it shows is compared with the rows themselves, as the same API shows them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.database.migrate import migrate
from graph.relay import to_global_id
from graph.settings import ExecutionMode, Settings
from graph.store.schema import schema
from tests.conftest import settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Client, Statements

EVENT = """databaseId occurredAt entity kind actor payload customerId itemId orderId orderLineId
           customer { id } item { id } order { id } orderLine { id }"""
HISTORIES = f"""query ($customer: ID!, $item: ID!, $order: ID!) {{
    customer(by: {{id: $customer}}) {{ history {{ nodes {{ {EVENT} }} }} }}
    item(by: {{id: $item}}) {{ history {{ nodes {{ {EVENT} }} }} }}
    order(by: {{id: $order}}) {{ history {{ nodes {{ {EVENT} }} }} }} }}"""
ROWS = {
    "customer": "firstName lastName username email address town createdOn updatedOn version",
    "item": "name costPrice sellingPrice stock version",
    "order": "customerId datePlaced status version",
}
# Fields of a line that are no columns of its table, and its key.
COMPUTED = ("id", "databaseId", "subtotal", "unitPriceChanged", "order", "item")
FIRST = {
    "customer": to_global_id("Customer", 1),
    "item": to_global_id("Item", 1),
    "order": to_global_id("Order", 1),
}
# (a change, the history that tells of it, the payload)
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "UPDATE customers SET town = 'Ö', updated_on = '2026-11-27T12:00:00.5+02:00' WHERE id = 1",
        "customer",
        {
            "town": ["Wolfden", "Ö"],
            "updatedOn": ["2026-01-31T12:00:00+00:00", "2026-11-27T10:00:00.5+00:00"],
            "version": [1, 2],
        },
    ),
    (
        "UPDATE items SET cost_price = 12345678.90, stock = 7 WHERE id = 1",
        "item",
        {"costPrice": ["0.75", "12345678.90"], "stock": [None, 7], "version": [1, 2]},
    ),
    (
        "UPDATE orders SET customer_id = 2 WHERE id = 1",
        "order",
        {
            "customerId": [to_global_id("Customer", 1), to_global_id("Customer", 2)],
            "version": [1, 2],
        },
    ),
    (
        "UPDATE order_lines SET unit_price = 2, item_id = 1 WHERE id = 1",
        "order",
        {
            "unitPrice": ["2.50", "2.00"],
            "itemId": [to_global_id("Item", 2), to_global_id("Item", 1)],
        },
    ),
]


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


@pytest.fixture
async def store(client: Client) -> Client:
    await fill(client.database, customers=2, orders=1, lines=2)
    return client


async def executed(client: Client, *statements: str) -> None:
    async with client.database.write() as session:
        for statement in statements:
            await session.execute(text(statement))


async def histories(client: Client) -> dict[str, list[Mapping[str, Any]]]:
    data = await client(HISTORIES, **FIRST)
    return {name: row["history"]["nodes"] for name, row in data.items() if row}


@pytest.mark.parametrize("name", ROWS)
async def test_what_was_created_has_the_names_and_values_of_its_fields(
    store: Client, name: str
) -> None:
    row = await store(
        f"query ($id: ID!) {{ {name}(by: {{id: $id}}) {{ {ROWS[name]} }} }}", id=FIRST[name]
    )

    created = (await histories(store))[name][0]

    assert (created["entity"], created["kind"]) == (name.upper(), "CREATED")
    assert created["payload"] == row[name]
    assert created[f"{name}Id"] == FIRST[name]
    assert created[name] == {"id": FIRST[name]}


async def test_a_created_line_has_the_names_and_values_of_its_fields(store: Client) -> None:
    fields = [
        name
        for name in schema._schema.type_map["OrderLine"].fields  # type: ignore[attr-defined]  # noqa: SLF001
        if name not in COMPUTED
    ]
    data = await store(
        f"""{{ order(by: {{databaseId: 1}}) {{ lineItems {{ nodes {{ {" ".join(fields)} }} }}
               history(where: {{entity: {{eq: ORDER_LINE}}}}) {{ nodes {{ payload }} }} }} }}"""
    )

    order = data["order"]
    payloads = [event["payload"] for event in order["history"]["nodes"]]
    assert payloads == order["lineItems"]["nodes"]


@pytest.mark.parametrize(("change", "name", "payload"), CHANGES)
async def test_what_was_changed_has_both_values_of_each_field(
    store: Client, change: str, name: str, payload: dict[str, Any]
) -> None:
    before = await histories(store)
    # A session's time zone is that of the program that changes a row.
    await executed(store, "SET LOCAL timezone = 'Asia/Kathmandu'", change)

    after = await histories(store)

    (found, *_) = after[name][len(before[name]) :]
    assert found["kind"] == "CHANGED"
    assert found["payload"] == payload
    others = ROWS.keys() - {name}
    assert [after[other] for other in others] == [before[other] for other in others]


async def test_nothing_of_what_was_deleted_is_found_by_counting(store: Client) -> None:
    await executed(
        store,
        "UPDATE customers SET town = 'Secret' WHERE id = 2",
        "DELETE FROM order_lines WHERE order_id = 2 OR id = 2",
        "DELETE FROM orders WHERE id = 2",
        "DELETE FROM customers WHERE id = 2",
    )
    (count,) = (await rows_of(store, "SELECT max(id) FROM events"))[0]
    data = await store(
        f"""query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Event {{ {EVENT} }} }} }}""",
        ids=[to_global_id("Event", nth) for nth in range(1, count + 1)],
    )
    gone = {to_global_id("Customer", 2), to_global_id("Order", 2)} | {
        to_global_id("OrderLine", nth) for nth in (2, 3, 4)
    }

    deleted = [
        event
        for event in data["nodes"]
        if (event["customerId"] or event["itemId"] or event["orderLineId"] or event["orderId"])
        in gone
    ]

    # Created and deleted; the customer moved, and the order without lines was cancelled.
    assert len(deleted) == 2 * len(gone) + 2
    for event in deleted:
        assert event["payload"] is None
        assert event["customer"] is event["item"] is event["orderLine"] is None
    lines = [event for event in deleted if event["orderLineId"]]
    assert [event["order"] and event["order"]["id"] for event in lines] == [
        *(to_global_id("Order", 1), None, None),
        *[to_global_id("Order", 1), None, None],
    ]
    assert "Secret" not in json.dumps(data)
    # What is still there is told as before.
    assert all(event["payload"] is not None for event in data["nodes"] if event not in deleted)


async def rows_of(client: Client, statement: str) -> Any:
    async with client.database.write() as session:
        return (await session.execute(text(statement))).all()


async def test_a_history_can_be_filtered_by_entity_kind_and_links(store: Client) -> None:
    await executed(store, "UPDATE orders SET status = 'PAID' WHERE id = 1")

    data = await store(
        """query ($line: ID!) { order(by: {databaseId: 1}) {
            orders: history(where: {entity: {in: [ORDER]}}) { nodes { kind } }
            paid: history(where: {kind: {eq: PAID}}) { totalCount }
            line: history(where: {orderLineId: {eq: $line}}) { nodes { kind entity } }
            cheap: history(where: {orderLine: {quantity: {eq: 1}}}) { totalCount }
            groups: history { groups(by: [{column: ENTITY}]) {
                key { entity } aggregates { count } } } } }""",
        line=to_global_id("OrderLine", 1),
    )

    assert data["order"] == {
        "orders": {"nodes": [{"kind": "CREATED"}, {"kind": "PAID"}]},
        "paid": {"totalCount": 1},
        "line": {"nodes": [{"kind": "CREATED", "entity": "ORDER_LINE"}]},
        "cheap": {"totalCount": 1},
        "groups": {
            "groups": [
                {"key": {"entity": "ORDER"}, "aggregates": {"count": 2}},
                {"key": {"entity": "ORDER_LINE"}, "aggregates": {"count": 2}},
            ]
        },
    }


async def test_events_of_before_the_migration_are_read_by_the_same_rules(
    client: Client, sql: Statements
) -> None:
    await migrate(client.database, "0010")
    await fill(client.database, customers=2, orders=1, lines=2)
    before = await rows_of(client, "SELECT * FROM events ORDER BY id")
    await migrate(client.database)

    found = await histories(client)

    assert await rows_of(client, "SELECT * FROM events ORDER BY id") == before
    assert [event["kind"] for event in found["customer"]] == ["CREATED"]
    assert found["item"][0]["payload"]["costPrice"] == "0.75"
    assert found["order"][1]["payload"]["unitPrice"] == "2.50"
    assert sql


async def test_a_key_that_was_dropped_or_never_shown_is_left_out(store: Client) -> None:
    await executed(
        store,
        """INSERT INTO events (entity, entity_id, kind, payload)
           VALUES ('Item', 1, 'CHANGED', '{"stock": [1, 2], "supplier": ["a", "b"]}'),
                  ('Item', 1, 'CHANGED', '{"supplier": ["a", "b"]}')""",
    )

    events = (await histories(store))["item"]

    assert [event["payload"] for event in events[1:]] == [{"stock": [1, 2]}, {}]
