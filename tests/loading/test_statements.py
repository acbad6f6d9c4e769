"""The statements of an operation: one per relationship and level, for any number of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client, Statements

NESTED = """
    query { customers(first: 20) { totalCount nodes { id firstName
      orders(first: 5) { nodes { id datePlaced
        lineItems(first: 10) { nodes { quantity item { name sellingPrice } } } } } } } }
"""


@pytest.mark.parametrize("customers", [1, 100])
async def test_the_nested_query_takes_one_statement_a_level_and_one_for_the_count(
    client: Client, sql: Statements, customers: int
) -> None:
    await fill(client.database, customers=customers, orders=7, lines=11)
    sql.clear()

    data = await client(NESTED)

    assert len(sql) == 5
    assert data["customers"]["totalCount"] == customers
    assert len(data["customers"]["nodes"]) == min(customers, 20)
    assert len(data["customers"]["nodes"][0]["orders"]["nodes"]) == 5
    lines = data["customers"]["nodes"][0]["orders"]["nodes"][0]["lineItems"]["nodes"]
    assert len(lines) == 10
    assert lines[0] == {"quantity": 1, "item": {"name": "Item 2", "sellingPrice": "2.50"}}


@pytest.mark.parametrize(
    ("query", "statements"),
    [
        # From the root.
        ("{ customers { nodes { id } } }", 1),
        ("{ items { nodes { id } } }", 1),
        ("{ orders { nodes { id } } }", 1),
        ("{ orderLines { nodes { id } } }", 1),
        ("{ customers { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }", 1),
        ("{ customers { totalCount } }", 1),
        ("{ customers { totalCount nodes { id } } }", 2),
        ('{ customer(by: {username: "user1"}) { email } }', 1),
        ('{ customer(by: {email: "USER1@example.COM"}) { email } }', 1),
        ("{ customer(by: {databaseId: 1}) { email } }", 1),
        ("{ item(by: {databaseId: 1}) { name } }", 1),
        ("{ order(by: {databaseId: 1}) { datePlaced } }", 1),
        ('{ node(id: "Q3VzdG9tZXI6MQ==") { id ... on Customer { town } } }', 1),
        # Both directions of all three relations.
        ("{ customers { nodes { orders { nodes { id } } } } }", 2),
        ("{ orders { nodes { customer { town } } } }", 2),
        ("{ orders { nodes { lineItems { nodes { id } } } } }", 2),
        ("{ orders { nodes { lineItems { nodes { order { id } } } } } }", 3),
        ("{ orders { nodes { lineItems { nodes { item { name } } } } } }", 3),
        ("{ items { nodes { orderLines { nodes { id } } } } }", 2),
        ("{ orders { nodes { history { nodes { kind } } } } }", 2),
        ("{ customers { nodes { history { nodes { kind payload } } } } }", 2),
        ("{ items { nodes { history { nodes { kind payload } } } } }", 2),
        ("{ customers { nodes { history { nodes { customer { town } } } } } }", 3),
        ("{ items { nodes { history { nodes { item { name } } } } } }", 3),
        ("{ orders { nodes { history { nodes { order { status } orderLine { id } } } } } }", 4),
        # Computed values come with their rows.
        ("{ orders { nodes { total lineItems { nodes { subtotal } } } } }", 2),
        # The counts of a level are one statement.
        ("{ customers { nodes { orders { totalCount } } } }", 2),
        ("{ customers { nodes { orders { totalCount nodes { id } } } } }", 3),
        # Down, up and down again: what was loaded by the same key is not loaded again.
        ("{ orders { nodes { customer { orders { nodes { customer { town }}}}}}}", 3),
        ("{ customers { nodes { orders { nodes { customer { orders { nodes { id }}}}}}}}", 3),
        ("{ customers{ nodes{ orders{ nodes{ customer{ orders(last: 1){ nodes{ id }}}}}}}}", 4),
        # Introspection asks the store nothing.
        ("{ __schema { queryType { name } } __typename }", 0),
    ],
)
async def test_each_edge_is_one_statement(
    client: Client, sql: Statements, query: str, statements: int
) -> None:
    await fill(client.database, customers=8, orders=3, lines=3)
    sql.clear()

    await client(query)

    assert len(sql) == statements


async def test_each_entity_among_nodes_takes_one_statement(client: Client, sql: Statements) -> None:
    await fill(client.database, customers=3)
    rows = await client("{ customers { nodes { id } } items { nodes { id } } }")
    ids = [customer["id"] for customer in rows["customers"]["nodes"]]
    ids += [item["id"] for item in rows["items"]["nodes"]]
    sql.clear()

    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Item { name } } }"
    data = await client(query, ids=ids)

    assert [node["id"] for node in data["nodes"]] == ids
    assert len(sql) == 2


async def test_a_relationship_with_two_arguments_is_loaded_twice_and_its_children_once(
    client: Client, sql: Statements
) -> None:
    await fill(client.database, customers=3, orders=4)
    sql.clear()

    data = await client(
        """{ customers { nodes {
            a: orders(first: 1) { nodes { id lineItems { nodes { quantity } } } }
            b: orders(last: 3) { nodes { id lineItems { nodes { quantity } } } } } } }"""
    )

    # The root, each of the two pages, and the lines of both in one.
    assert len(sql) == 4
    customer = data["customers"]["nodes"][1]
    assert [len(customer[alias]["nodes"]) for alias in "ab"] == [1, 3]


async def test_an_edge_under_two_names_and_the_same_arguments_is_loaded_once(
    client: Client, sql: Statements
) -> None:
    await fill(client.database, customers=3)
    sql.clear()

    data = await client(
        """{ a: orders { nodes { customer { firstName } } }
             b: orders { nodes { customer { town } } } }"""
    )

    assert len(sql) == 2
    assert "first_name" in sql.texts[1]
    assert "town" in sql.texts[1]
    assert data["a"]["nodes"][0] == {"customer": {"firstName": "First1"}}
    assert data["b"]["nodes"][0] == {"customer": {"town": "Wolfden"}}


async def test_a_row_that_many_name_is_loaded_once(client: Client, sql: Statements) -> None:
    await fill(client.database, customers=1, orders=9, items=1)
    await client("{ orders { nodes { customer { town } } } }")

    assert sql.parameters[-1] == ([1],)


async def test_only_selected_columns_are_read(client: Client, sql: Statements) -> None:
    await fill(client.database, customers=1)
    sql.clear()

    await client("{ customers { nodes { town orders { nodes { datePlaced } } } } }")

    root, orders = sql.texts
    assert "town" in root
    assert not any(name in root for name in ("first_name", "email", "address", "created_on"))
    assert "date_placed" in orders
    assert "total" not in orders
