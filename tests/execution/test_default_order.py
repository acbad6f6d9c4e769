"""The order of a list where a client names none: as its field declares it, and as it says."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from graph.settings import ExecutionMode, Settings
from graph.store.models import Order
from graph.store.schema import schema
from tests.conftest import settings_for
from tests.rows import NOON, fill

if TYPE_CHECKING:
    from tests.conftest import Client

ORDERS = "nodes { databaseId } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


@pytest.fixture
async def expected(client: Client) -> dict[int, list[int]]:
    """The ids of each customer's orders, and of all under 0, oldest first; moments are shared."""
    await fill(client.database, customers=3, orders=0)
    random = Random(1)  # noqa: S311
    orders = [
        Order(
            customer_id=random.randint(1, 3),
            date_placed=NOON + timedelta(days=random.randint(-5, 5)),
        )
        for _ in range(40)
    ]
    async with client.database.write() as session:
        session.add_all(orders)
    orders.sort(key=lambda order: (order.date_placed, order.id))
    found = {
        customer: [o.id for o in orders if o.customer_id == customer] for customer in (1, 2, 3)
    }
    return found | {0: [order.id for order in orders]}


def ids(page: Any) -> list[int]:
    return [int(node["databaseId"]) for node in page["nodes"]]


async def test_orders_come_by_their_moments(client: Client, expected: dict[int, list[int]]) -> None:
    data = await client(
        f"""{{ orders(first: 100) {{ {ORDERS} }} last: orders(last: 3) {{ {ORDERS} }}
            named: orders(orderBy: [{{datePlaced: ASC}}], first: 100) {{ {ORDERS} }}
            keys: orders(orderBy: [{{databaseId: ASC}}], first: 100) {{ {ORDERS} }}
            customers {{ nodes {{ databaseId orders(first: 100) {{ {ORDERS} }}
                                  latest: orders(last: 1) {{ {ORDERS} }} }} }} }}"""
    )

    assert ids(data["orders"]) == ids(data["named"]) == expected[0]
    assert data["orders"]["pageInfo"] == data["named"]["pageInfo"]
    assert ids(data["last"]) == expected[0][-3:]
    assert ids(data["keys"]) == sorted(expected[0])
    for customer in data["customers"]["nodes"]:
        theirs = expected[int(customer["databaseId"])]
        assert ids(customer["orders"]) == theirs
        assert ids(customer["latest"]) == theirs[-1:]


@pytest.mark.parametrize("nothing", ["", ", orderBy: null", ", orderBy: []"])
async def test_a_walk_by_cursors_goes_the_same_way(
    client: Client, expected: dict[int, list[int]], nothing: str
) -> None:
    walked: list[int] = []
    after = None
    for _ in range(20):
        query = f"query ($c: String) {{ orders(first: 7, after: $c{nothing}) {{ {ORDERS} }} }}"
        page = (await client(query, c=after))["orders"]
        walked += ids(page)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert walked == expected[0]


def test_each_list_says_its_order() -> None:
    lists = [
        (field, definition)
        for type_ in schema._schema.type_map.values()  # noqa: SLF001
        for field, definition in getattr(type_, "fields", {}).items()
        if "orderBy" in getattr(definition, "args", {}) and field != "groups"
    ]

    assert {field for field, _ in lists} >= {"orders", "customers", "lineItems", "history"}
    for field, definition in lists:
        named = "`datePlaced`, then `databaseId`" if field == "orders" else "by `databaseId`"
        assert named in definition.description, field
        assert named.removeprefix("by ") in definition.args["orderBy"].description
