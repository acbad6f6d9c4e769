"""Keys beyond 32 bits go everywhere that keys go, and none beyond 64 gets in."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database.transfer.files import Format
from graph.relay import to_global_id
from graph.store.transfer.exporting import export_rows
from tests.conftest import client_of, settings_for
from tests.mutations import ANY, run
from tests.rows import cursor_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Client

BASE = 2**40
CUSTOMER, ITEM = to_global_id("Customer", BASE), to_global_id("Item", BASE)
TABLES = ("customers", "items", "orders", "order_lines", "events")


@pytest.fixture(params=["compiled", "resolvers"])
async def shop(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Client]:
    """Two customers with two orders of two lines each; the first key of each table is 2**40."""
    settings = settings_for(database_url, execution=request.param)
    async with client_of(create_app(settings)) as client:
        async with client.database.write() as session:
            for table in TABLES:
                await session.execute(text(f"ALTER SEQUENCE {table}_id_seq RESTART {BASE}"))
        await write_shop(client)
        yield client


async def write_shop(client: Client) -> None:
    statements = (
        """INSERT INTO customers (first_name, last_name, username, email, address, town)
           SELECT 'F', 'L', 'user' || n, n || '@example.com', 'S', 'Town'
           FROM generate_series(1, 2) AS n""",
        """INSERT INTO items (name, cost_price, selling_price, stock)
           SELECT 'Item ' || n, 1, n, 10 FROM generate_series(1, 2) n""",
        """INSERT INTO orders (customer_id, date_placed)
           SELECT id, '2026-01-31' FROM customers, generate_series(1, 2) ORDER BY id""",
        """INSERT INTO order_lines (order_id, item_id, quantity)
           SELECT orders.id, items.id, 1 FROM orders, items ORDER BY orders.id, items.id""",
    )
    async with client.database.write() as session:
        for statement in statements:
            await session.execute(text(statement))


async def test_nodes_and_look_ups_find_them(shop: Client) -> None:
    data = await shop(
        """query ($id: ID!, $ids: [ID!]!, $key: BigInt!, $order: ID!) {
            node(id: $id) { id ... on Customer { databaseId } } nodes(ids: $ids) { id }
            item(by: {databaseId: $key}) { id databaseId } order(by: {id: $order}) {
                customerId customer { id } lineItems { nodes { orderId itemId item { id } } }
                history { nodes { orderLineId orderId order { id } payload } } } }""",
        id=CUSTOMER,
        order=to_global_id("Order", BASE),
        ids=[ITEM, to_global_id("OrderLine", BASE + 7), to_global_id("Item", BASE - 1)],
        key=str(BASE),
    )

    assert data["node"] == {"id": CUSTOMER, "databaseId": str(BASE)}
    assert [each and each["id"] for each in data["nodes"]] == [
        ITEM,
        to_global_id("OrderLine", BASE + 7),
        None,
    ]
    assert data["item"] == {"id": ITEM, "databaseId": str(BASE)}
    order = data["order"]
    assert order["customerId"] == order["customer"]["id"] == CUSTOMER
    assert {line["itemId"] for line in order["lineItems"]["nodes"]} == {
        ITEM,
        to_global_id("Item", BASE + 1),
    }
    assert {event["orderId"] for event in order["history"]["nodes"]} == {
        to_global_id("Order", BASE)
    }
    created, line, *_ = order["history"]["nodes"]
    assert created["order"] == {"id": to_global_id("Order", BASE)}
    assert created["payload"]["customerId"] == CUSTOMER
    assert line["orderLineId"] in {to_global_id("OrderLine", BASE + nth) for nth in range(9)}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"databaseId": {"gt": str(BASE + 1)}}, [2, 3]),
        ({"databaseId": {"in": [BASE, str(BASE + 3)]}}, [0, 3]),
        ({"id": {"eq": to_global_id("Order", BASE + 2)}}, [2]),
        ({"customerId": {"eq": CUSTOMER}}, [0, 1]),
        ({"customerId": {"notIn": [CUSTOMER]}}, [2, 3]),
        ({"customer": {"databaseId": {"lte": BASE}}}, [0, 1]),
        ({"lineItems": {"some": {"databaseId": {"eq": BASE + 4}}}}, [2]),
        ({"lineItems": {"some": {"itemId": {"eq": to_global_id("Item", 1)}}}}, []),
    ],
)
async def test_filters_compare_with_them(shop: Client, where: Any, found: list[int]) -> None:
    data = await shop(
        """query ($where: OrderWhere) {
            orders(where: $where, orderBy: [{databaseId: ASC}]) { nodes { databaseId } } }""",
        where=where,
    )

    assert [int(each["databaseId"]) - BASE for each in data["orders"]["nodes"]] == found


@pytest.mark.parametrize(
    "order_by", ["{databaseId: DESC}", "{customerId: DESC}, {databaseId: DESC}"]
)
async def test_cursors_hold_them(shop: Client, order_by: str) -> None:
    query = f"""query ($after: String) {{ orders(first: 1, after: $after, orderBy: [{order_by}]) {{
        edges {{ cursor node {{ databaseId }} }} }} }}"""
    met, cursor = [], None
    while edges := (await shop(query, after=cursor))["orders"]["edges"]:
        met.append(int(edges[0]["node"]["databaseId"]) - BASE)
        cursor = edges[0]["cursor"]

    assert met == [3, 2, 1, 0]
    data = await shop(
        f'{{ items(after: "{cursor_of("Item", BASE)}") {{ nodes {{ databaseId }} }} }}'
    )
    assert data["items"]["nodes"] == [{"databaseId": str(BASE + 1)}]


async def test_groups_and_aggregates_are_of_them(shop: Client) -> None:
    data = await shop(
        """{ orders { aggregates { distinctCount { databaseId customerId } }
             groups(by: [{column: CUSTOMER_ID}]) { key { customerId } aggregates { count } } } }"""
    )

    assert data["orders"]["aggregates"]["distinctCount"] == {"databaseId": 4, "customerId": 2}
    assert data["orders"]["groups"] == [
        {"key": {"customerId": to_global_id("Customer", BASE + n)}, "aggregates": {"count": 2}}
        for n in range(2)
    ]


async def test_mutations_take_them_and_answer_with_them(shop: Client) -> None:
    lines = [{"itemId": ITEM, "quantity": 2}]
    placed = await run(shop, "placeOrder", customerId=CUSTOMER, lines=lines)
    order = placed["order"]
    added = await run(
        shop, "addOrderLine", orderId=order["id"], expectedVersion=ANY, itemId=ITEM, quantity=1
    )
    changed = await run(
        shop, "changeOrderLine", id=added["line"]["id"], expectedVersion=ANY, quantity=3
    )
    short = await run(shop, "adjustStock", id=ITEM, expectedVersion=ANY, change={"by": -6})
    cancelled = await run(shop, "cancelOrder", id=order["id"], expectedVersion=ANY)
    deleted = await run(shop, "deleteCustomer", id=CUSTOMER, expectedVersion=ANY)

    assert order["databaseId"] == str(BASE + 4)
    assert [line["quantity"] for line in changed["order"]["lineItems"]["nodes"]] == [2, 3]
    assert short["shortages"] == [
        {"item": {"databaseId": str(BASE)}, "requested": 6, "available": 5}
    ]
    assert cancelled["order"]["status"] == "CANCELLED"
    assert deleted["__typename"] == "NotAllowed"


async def test_an_export_and_an_import_keep_what_they_name(shop: Client) -> None:
    file = io.BytesIO()
    rows = await export_rows(shop.database, "orders", Format.NDJSON, file, lambda _: None)

    exported = [json.loads(line) for line in file.getvalue().splitlines()]
    assert rows == len(exported) == 4
    assert [line["item"] for line in exported[0]["lines"]] == ["Item 1", "Item 2"]


BEYOND = b64encode(f"Customer:{2**63}".encode()).decode()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ('{ node(id: "%s") { id } }', "INVALID_ID"),
        ('{ customer(by: {id: "%s"}) { id } }', "INVALID_ID"),
        ('{ customers(where: {id: {eq: "%s"}}) { totalCount } }', "INVALID_ID"),
        ('{ orders(where: {customerId: {in: ["%s"]}}) { totalCount } }', "INVALID_ID"),
        (f"{{ customer(by: {{databaseId: {2**63}}}) {{ id }} }}", "GRAPHQL_VALIDATION_FAILED"),
        (f'{{ customer(by: {{databaseId: "{2**63}"}}) {{ id }} }}', "GRAPHQL_VALIDATION_FAILED"),
        (
            f"{{ orders(where: {{databaseId: {{lt: -{2**63 + 1}}}}}) {{ totalCount }} }}",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            f'{{ customers(after: "{cursor_of("Customer", 2**63)}") {{ totalCount }} }}',
            "INVALID_CURSOR",
        ),
    ],
)
async def test_what_no_key_can_be_is_refused(shop: Client, document: str, code: str) -> None:
    answer = await shop.answer(document.replace("%s", BEYOND))

    assert "data" not in answer
    assert answer["errors"][0]["extensions"] == {"code": code}


async def test_a_mutation_names_what_no_key_can_be(shop: Client) -> None:
    lines = [{"itemId": b64encode(f"Item:{2**63}".encode()).decode(), "quantity": 1}]
    answer = await run(shop, "placeOrder", customerId=BEYOND, lines=lines)

    found = [(".".join(each["path"]), each["code"]) for each in answer["problems"]]
    assert found == [("input.customerId", "INVALID_ID"), ("input.lines.0.itemId", "INVALID_ID")]


async def test_the_largest_key_is_one(shop: Client) -> None:
    most = 2**63 - 1
    async with shop.database.write() as session:
        insert = text("INSERT INTO orders (id, customer_id) VALUES (:id, :customer)")
        await session.execute(insert, {"id": most, "customer": BASE + 1})

    data = await shop(
        """query ($id: ID!, $key: BigInt!) { node(id: $id) { ... on Order { databaseId } }
            order(by: {databaseId: $key}) { id } }""",
        id=to_global_id("Order", most),
        key=most,
    )

    assert data["node"] == {"databaseId": str(most)}
    assert data["order"] == {"id": to_global_id("Order", most)}
