"""A Python resolver works beside declared fields, without any code for loaders."""

from __future__ import annotations

from decimal import Decimal  # noqa: TC003  Strawberry reads the annotations
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker
from strawberry.schema.config import StrawberryConfig

from graph.app import create_app
from graph.schema.connections import Connection  # noqa: TC001
from graph.schema.context import Info  # noqa: TC001
from graph.schema.fields import column, connection, to_one
from graph.schema.node import Node
from graph.schema.scalars import SCALARS, BigInt
from graph.schema.schema import Schema
from graph.store import models
from tests.conftest import client_of, recorded
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.engine import Database
    from graph.settings import Settings
    from tests.conftest import Client

the_database: list[Database] = []


@strawberry.type(description="A customer, with a full name.")
class Customer(Node):
    id: BigInt = column("Number.", name="databaseId")
    first_name: str = column("Given name.")
    orders: Connection[Order] = connection("Orders.")

    @strawberry.field(description="Both names.")  # type: ignore[untyped-decorator,unused-ignore]
    def full_name(self: Any) -> str:
        return f"{self.first_name} {self.last_name}"

    @strawberry.field(description="Awaited.")  # type: ignore[untyped-decorator,unused-ignore]
    async def greeting(self: Any, word: str) -> str:
        return f"{word} {self.username}"

    @strawberry.field(description="Fails.")  # type: ignore[untyped-decorator,unused-ignore]
    def secret(self) -> str:
        raise RuntimeError("the password is hunter2")


@strawberry.type(description="An order.")
class Order(Node):
    total: Decimal = column("Total.")
    customer: Customer = to_one("Customer.")


@strawberry.type(description="Two ways in more.")
class ExtendedQuery:
    customers: Connection[Customer] = connection("All customers.")

    @strawberry.field(description="Mapped objects.")  # type: ignore[untyped-decorator,unused-ignore]
    async def best_customers(self, info: Info) -> list[Customer]:
        assert info.context.viewer.role == "manager"
        session_of = async_sessionmaker(the_database[0].engine)
        async with session_of() as session:
            customers = select(models.Customer).order_by(models.Customer.id.desc()).limit(2)
            return list(await session.scalars(customers))


extended = Schema(
    query=ExtendedQuery,
    config=StrawberryConfig(scalar_map=SCALARS),
)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with client_of(create_app(settings, schema=extended)) as client:
        the_database[:] = [client.database]
        await fill(client.database, customers=3)
        yield client


async def test_a_resolver_on_a_type_reads_any_column_of_its_row(client: Client) -> None:
    data = await client('{ customers(first: 1) { nodes { fullName greeting(word: "Hi") } } }')

    assert data["customers"]["nodes"] == [{"fullName": "First1 Last1", "greeting": "Hi user1"}]


async def test_relationships_of_a_root_resolvers_rows_are_batched(client: Client) -> None:
    with recorded(client.database) as statements:
        data = await client(
            """{ bestCustomers { id databaseId fullName
                   orders(first: 1) { totalCount nodes { total customer { firstName } } } } }"""
        )

    # The resolver's own, the orders, their counts, their customers.
    assert len(statements) == 4
    assert [customer["databaseId"] for customer in data["bestCustomers"]] == ["3", "2"]
    assert data["bestCustomers"][0]["orders"]["totalCount"] == 2
    assert data["bestCustomers"][1]["orders"]["nodes"][0]["customer"] == {"firstName": "First2"}


async def test_exceptions_of_resolvers_are_masked(client: Client) -> None:
    answer = await client.answer("{ customers(first: 1) { nodes { firstName secret } } }")

    (error,) = answer["errors"]
    assert answer["data"] is None
    assert error["path"] == ["customers", "nodes", 0, "secret"]
    assert error["message"] == "internal error"
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert len(error["extensions"]["errorId"]) == 16
    assert "hunter2" not in str(answer)


async def test_arguments_under_a_resolver_are_checked_before_it_runs(client: Client) -> None:
    with recorded(client.database) as statements:
        answer = await client.answer("{ bestCustomers { orders(first: 101) { totalCount } } }")

    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_PAGE"
    assert answer["errors"][0]["path"] == ["bestCustomers", "orders"]
    assert len(statements) == 0
