"""Rows that declared fields need are loaded before any resolver runs, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from graph.app import create_app
from graph.loading.loaders import Loaders
from graph.loading.prefetch import Prefetcher
from graph.schema import connections  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import column, connection, to_one
from graph.schema.node import ENTITIES, Node
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.selection import (
    Column,
    Connection,
    NodeList,
    Page,
    Relationship,
    Selection,
    ToOne,
    TotalCount,
)
from tests.conftest import Statements, client_of, recorded
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.engine import Database
    from graph.settings import Settings
    from tests.conftest import Client

running: list[Statements] = []


@strawberry.type(description="A customer.")
class Customer(Node):
    first_name: str = column("Given name.")
    orders: connections.Connection[Order] = connection("Orders.")


@strawberry.type(description="An order.")
class Order(Node):
    customer: Customer = to_one("Customer.")

    @strawberry.field(description="How many ran.")  # type: ignore[untyped-decorator,unused-ignore]
    def statements(self) -> int:
        return len(running[0])

    @strawberry.field(description="Itself.")  # type: ignore[untyped-decorator,unused-ignore]
    async def itself(self) -> Order:
        return self


@strawberry.type(description="One way in.")
class Query:
    customers: connections.Connection[Customer] = connection("All customers.")


@pytest.fixture
async def extended(settings: Settings) -> AsyncIterator[Client]:
    schema = Schema(query=Query, config=StrawberryConfig(scalar_map=SCALARS))
    async with client_of(create_app(settings, schema=schema)) as client:
        await fill(client.database, customers=2)
        with recorded(client.database) as statements:
            running[:] = [statements]
            yield client


async def test_a_resolver_runs_when_all_that_is_declared_is_there(extended: Client) -> None:
    data = await extended(
        """{ customers { totalCount nodes { orders { totalCount nodes {
             statements customer { firstName } } } } } }"""
    )

    seen = [
        order["statements"]
        for customer in data["customers"]["nodes"]
        for order in customer["orders"]["nodes"]
    ]
    assert seen == [5, 5, 5, 5]
    assert len(running[0]) == 5


async def test_rows_below_a_resolver_are_loaded_on_request(extended: Client) -> None:
    data = await extended(
        "{ customers { nodes { orders { nodes { statements itself { customer { id } } } } } } }"
    )

    order = data["customers"]["nodes"][1]["orders"]["nodes"][0]
    assert order["statements"] == 2
    assert order["itself"]["customer"]["id"] == "Q3VzdG9tZXI6Mg=="
    assert len(running[0]) == 3


async def test_only_the_rows_that_a_field_reaches_have_its_children_loaded(
    client: Client, sql: Statements
) -> None:
    await fill(client.database, customers=3, orders=1)
    sql.clear()

    await client(
        """{ a: order(by: {databaseId: 2}) { customer { orders { nodes { id } } } }
             b: orders { nodes { customer { firstName } } } }"""
    )

    keys = [parameters[0] for parameters in sql.parameters]
    assert sorted(keys[2]) == [1, 2, 3]  # the customers of both
    assert keys[3] == [2]  # the orders of one of them
    assert len(sql) == 4


async def test_rows_that_are_loaded_are_answered_at_once(database: Database) -> None:
    await fill(database, customers=2)
    names = Selection("Customer", (Column("name", "first_name"),))
    back = ToOne(
        "customer",
        Relationship("customer_of_order", "Customer", "id", "Order", "customer_id"),
        names,
    )
    orders = Connection(
        "orders",
        Relationship("every_order", "Order"),
        0,
        Page().shape,
        (NodeList("nodes", Selection("Order", (back,))), TotalCount("totalCount")),
    )
    session = database.read()
    loaders: Any = Loaders(session, [orders, back], [Page()], ENTITIES)

    await Prefetcher(loaders).load([orders])

    result = loaders.many(orders, None)
    assert [order.customer_id for order in result.nodes] == [1, 1, 2, 2]
    assert loaders.count(orders, result.key) == 4
    assert loaders.one(back, result.nodes[3]).first_name == "First2"
    await loaders.close()
    await session.close()


async def test_an_error_is_raised_where_the_rows_are_requested(database: Database) -> None:
    names = Selection("Customer", (Column("name", "no_such_column"),))
    customers = Connection(
        "customers",
        Relationship("every_customer", "Customer"),
        0,
        Page().shape,
        (NodeList("nodes", names),),
    )
    session = database.read()
    loaders = Loaders(session, [customers], [Page()], ENTITIES)

    await Prefetcher(loaders).load([customers])

    with pytest.raises(KeyError):
        loaders.many(customers, None)
    await loaders.close()
    await session.close()
