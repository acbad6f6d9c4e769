"""strawchemy as its documentation has it: types, filters and resolvers are made from the entities.

Each root field is one statement. Strawberry's own ASGI application serves it, with its caches of
parsed and validated documents.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache
from strawchemy import (
    ModelInstance,
    QueryHook,
    Strawchemy,
    StrawchemyAsyncRepository,
    StrawchemyConfig,
)

from bench.peers.strawchemy import models

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

engine = create_async_engine(
    os.environ["DATABASE_URL"],
    pool_size=10,
    max_overflow=0,
    connect_args={"server_settings": {"timezone": "UTC"}},
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


def session_of(info: strawberry.Info[Any, Any]) -> AsyncSession:
    """A session of each root field, as they run at the same time."""
    session = sessions()
    info.context["opened"].push_async_callback(session.close)
    return session


strawchemy = Strawchemy(
    StrawchemyConfig(
        "postgresql",
        session_getter=session_of,
        repository_type=StrawchemyAsyncRepository,
        pagination="all",
    )
)

_NAMES = QueryHook(load=[models.Customer.first_name, models.Customer.last_name])


@strawchemy.filter(models.Customer, include=["id"])
class CustomerFilter: ...


@strawchemy.filter(models.Order, include=["date_placed"])
class OrderFilter: ...


@strawchemy.order(models.Order, include=["date_placed"])
class OrderOrder: ...


@strawchemy.type(models.Customer, include="all")
class CustomerType:
    instance: ModelInstance[models.Customer]

    @strawchemy.field(query_hook=_NAMES)  # type: ignore[untyped-decorator]
    def initials(self) -> str:
        return f"{self.instance.first_name[:1]}{self.instance.last_name[:1]}"


@strawchemy.type(models.Order, include="all", override=True)
class OrderType: ...


@strawchemy.aggregate(models.Order, include="all")
class Orders: ...


@strawberry.type
class Query:
    customer: CustomerType | None = strawchemy.field()
    customers: list[CustomerType] = strawchemy.field(filter_input=CustomerFilter, pagination=True)
    orders: list[OrderType] = strawchemy.field(
        filter_input=OrderFilter, order_by_input=OrderOrder, pagination=True
    )
    counted_orders: Orders = strawchemy.field(
        filter_input=OrderFilter, pagination=False, root_aggregations=True
    )


class Sessions(SchemaExtension):
    """Closes the sessions of a request."""

    async def on_operation(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            self.execution_context.context["opened"] = opened
            yield


class Application(GraphQL[dict[str, Any], None]):
    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        return {"request": request, "response": response}


schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache, Sessions])
app = Application(schema, graphql_ide=None)
