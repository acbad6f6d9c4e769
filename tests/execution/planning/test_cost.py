"""The cost of an operation is known before it runs, declared in the schema, and limited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from graph.app import create_app
from graph.execution.planning.cost import Charge, CostLimits, Price, objects_in
from graph.selection import Page
from graph.settings import ExecutionMode, Settings, read_settings
from tests.conftest import client_of
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Client

MODES = [ExecutionMode.COMPILED, ExecutionMode.RESOLVERS]


@pytest.fixture(params=MODES)
async def shop(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    changed = settings.model_copy(update={"execution": request.param})
    async with client_of(create_app(changed)) as client:
        await fill(client.database, customers=2, orders=2, lines=1, items=1)
        yield client


async def costed(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    body = {"query": query, "variables": variables, "extensions": {"cost": True}}
    response = await client.http.post("/graphql", json=body)
    answer = response.json()
    assert "errors" not in answer, answer
    cost: dict[str, Any] = answer["extensions"]["cost"]
    return cost


@pytest.mark.parametrize("cost", ["yes", 1, 0, {}, []])
async def test_a_malformed_request_for_the_cost_is_refused(shop: Client, cost: Any) -> None:
    body = {"query": "{ __typename }", "extensions": {"cost": cost}}
    (error,) = (await shop.http.post("/graphql", json=body)).json()["errors"]

    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["message"] == "'extensions.cost' must be true or false."


@pytest.mark.parametrize(
    ("query", "requested"),
    [
        ("{ __typename }", 0),
        ("{ customer(by: {databaseId: 1}) { id firstName } }", 1),
        ("{ customers { nodes { id } } }", 1 + 20),
        ("{ customers(first: 3) { nodes { id } } }", 1 + 3),
        ("{ customers(last: 3) { nodes { id } } }", 1 + 3),
        ("{ customers(first: 0) { nodes { id orders { nodes { id } } } } }", 1),
        ("{ customers(first: 3) { edges { node { id } } } }", 1 + 3 + 3),
        ("{ customers(first: 3) { pageInfo { hasNextPage } totalCount } }", 1 + 1 + 5),
        (
            "{ customers(first: 3) { nodes { orders(first: 5) { nodes { customer { id } } } } } }",
            1 + 3 * (1 + 1 + 5 * (1 + 1)),
        ),
        ("{ customers(first: 3) { nodes { orders { totalCount } } } }", 1 + 3 * (1 + 1 + 5)),
        ("{ customers { aggregates { count } } }", 1 + 10 + 1),
        (
            "{ orders { groups(by: [{column: CUSTOMER_ID}], first: 7) { key { customerId } } } }",
            1 + 10 + 7 * (1 + 1),
        ),
        ('{ nodes(ids: ["Q3VzdG9tZXI6MQ==", "Q3VzdG9tZXI6Mg=="]) { id } }', 2),
        ('{ search(text: "a", first: 4) { nodes { __typename } } }', 10 + 1 + 4),
        ('{ customers(where: {search: "a"}, first: 4) { nodes { id } } }', 10 + 1 + 4),
        (
            """{ customers(first: 3) { nodes { orders(first: 0, where: {
              or: [{not: {customer: {search: "a"}}}, {customer: {search: "b"}}]
            }) { totalCount } } } }""",
            1 + 3 * (1 + 20 + 1 + 5),
        ),
        ("{ a: customers(first: 2) { nodes { id } } b: items(first: 2) { nodes { id } } }", 6),
        ("{ customers(first: 2) { ...F } } fragment F on CustomerConnection { nodes { id } }", 3),
    ],
)
async def test_the_price_is_made_of_objects_times_pages(
    shop: Client, query: str, requested: int
) -> None:
    cost = await costed(shop, query)

    assert cost["requested"] == requested
    assert cost["limit"] == 20_000
    assert cost["actual"] <= requested


async def test_page_sizes_in_variables_count_for_each_request(shop: Client) -> None:
    query = "query ($n: Int) { customers(first: $n) { nodes { id } } }"

    costs = [(await costed(shop, query, n=n))["requested"] for n in (1, 100, None, 7)]

    assert costs == [2, 101, 21, 8]


async def test_missing_objects_are_not_in_the_actual_cost(shop: Client) -> None:
    cost = await costed(shop, "{ customers(first: 100) { nodes { id } } }")

    assert (cost["requested"], cost["actual"]) == (101, 3)  # there are two customers
    assert cost["fields"][0] == {"path": "customers.nodes", "cost": 100}


def test_only_objects_are_counted_not_braces_in_texts() -> None:
    said = {"a": [{"b": '{"c": {"d": 1}}'}, {"e": "{ {"}], "f": {"g": {"h": '{""'}}}
    assert objects_in(orjson.dumps(said)) == 5 + 1, "a text that ends with a brace is one too"


def test_the_total_is_the_sum_of_the_charges() -> None:
    charges = [
        Charge(("a",), 1, (), is_object=True),
        Charge(("a", "nodes"), 3, (0,), is_object=True),
        Charge(("a", "nodes", "count"), 5, (0,), is_object=False),
        Charge(("a", "nodes", "b", "nodes"), 2, (0, 2), is_object=True),
        Charge(("c", "nodes", "d", "nodes"), 7, (1, 3), is_object=True),
    ]
    values = [Page(first=size) for size in (4, 3, 0, 11)]
    total = 1 + 4 * (3 + 5) + 0 + 3 * 11 * 7
    objects = total - 4 * 5

    price = Price(charges)

    assert (
        price.check(values, CostLimits())
        == total
        == sum(charge.total(values) for charge in charges)
    )
    for came, actual in [
        (-1, 0),
        (0, 0),
        (objects // 4, total // 4),
        (objects, total),
        (999, total),
    ]:
        assert price.total_and_actual(values, came + 2) == (total, actual)
    assert Price([]).total_and_actual([], 1) == (0, 0)


async def test_an_answer_has_its_cost_only_on_request(shop: Client) -> None:
    answer = await shop.answer("{ customers { nodes { id } } }")

    assert list(answer) == ["data"]


DEAR = (
    "{ customers(first: 100) { nodes { orders(first: 100) { nodes {"
    " lineItems(first: 100) { nodes { id } } } } } } }"
)


async def test_an_operation_over_the_cost_limit_is_refused_with_its_costs(shop: Client) -> None:
    response = await shop.http.post(
        "/graphql",
        json={"query": DEAR},
        headers={"accept": "application/graphql-response+json"},
    )

    (error,) = response.json()["errors"]
    assert response.status_code == 400
    assert error["extensions"]["code"] == "COST_LIMIT_EXCEEDED"
    cost = error["extensions"]["cost"]
    assert cost["requested"] == 1 + 100 * (1 + 1 + 100 * (1 + 1 + 100))
    assert cost["limit"] == 20_000
    assert cost["fields"][0] == {
        "path": "customers.nodes.orders.nodes.lineItems.nodes",
        "cost": 1_000_000,
    }
    assert "customers.nodes.orders.nodes.lineItems.nodes (1,000,000)" in error["message"]


async def test_the_schema_declares_the_costs(shop: Client) -> None:
    text = (await shop.http.get("/schema.graphql")).text

    assert "totalCount: Int! @cost(weight: 5)" in text
    assert 'slicingArguments: ["first", "last"], sizedFields: ["nodes", "edges"]' in text


def test_a_bucket_must_hold_the_most_expensive_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRAPH_COST_CAPACITY", "10")

    with pytest.raises(Exception, match="GRAPH_COST_CAPACITY must not be less than GRAPH_MAX_COST"):
        read_settings()
