"""Strawberry and SQLAlchemy as their documentations have it, with what they advise for speed.

Types are made from ORM entities, every edge asks a DataLoader, a DataLoader opens a session from
the `async_sessionmaker` and selects whole entities. Strawberry's own ASGI application serves it,
with its caches of parsed and validated documents.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003  Strawberry reads the annotations
from decimal import Decimal
from typing import Annotated, Any, Generic, NewType, TypeVar

import strawberry
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from strawberry import UNSET
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

from graph.store import models

T = TypeVar("T")

BigInt = NewType("BigInt", int)

engine = create_async_engine(
    os.environ["DATABASE_URL"],
    pool_size=10,
    max_overflow=0,
    connect_args={"server_settings": {"timezone": "UTC"}},
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


async def load_orders(customer_ids: list[int]) -> list[list[models.Order]]:
    statement = select(models.Order).where(models.Order.customer_id.in_(customer_ids))
    found = defaultdict(list)
    async with sessions() as session:
        for order in await session.scalars(statement.order_by(models.Order.id)):
            found[order.customer_id].append(order)
    return [found[customer_id] for customer_id in customer_ids]


async def load_lines(order_ids: list[int]) -> list[list[models.OrderLine]]:
    statement = select(models.OrderLine).where(models.OrderLine.order_id.in_(order_ids))
    found = defaultdict(list)
    async with sessions() as session:
        for line in await session.scalars(statement.order_by(models.OrderLine.id)):
            found[line.order_id].append(line)
    return [found[order_id] for order_id in order_ids]


async def load_customers(ids: list[int]) -> list[models.Customer]:
    statement = select(models.Customer).where(models.Customer.id.in_(ids))
    async with sessions() as session:
        found = {customer.id: customer for customer in await session.scalars(statement)}
    return [found[id_] for id_ in ids]


async def load_totals(customer_ids: list[int]) -> list[tuple[int, Decimal | None]]:
    """How many orders each customer has, and what they cost."""
    each = select(models.Order.customer_id, models.Order.total.label("total"))
    orders = each.where(models.Order.customer_id.in_(customer_ids)).subquery()
    columns = (orders.c.customer_id, func.count(), func.sum(orders.c.total))
    async with sessions() as session:
        rows = await session.execute(select(*columns).group_by(orders.c.customer_id))
        found = {customer_id: (count, total) for customer_id, count, total in rows}
    return [found.get(customer_id, (0, None)) for customer_id in customer_ids]


async def load_items(ids: list[int]) -> list[models.Item]:
    statement = select(models.Item).where(models.Item.id.in_(ids))
    async with sessions() as session:
        found = {item.id: item for item in await session.scalars(statement)}
    return [found[id_] for id_ in ids]


@dataclass
class Loaders:
    """New for each request, as a DataLoader remembers all it has loaded."""

    orders: DataLoader[int, list[models.Order]] = field(
        default_factory=lambda: DataLoader(load_fn=load_orders)
    )
    customers: DataLoader[int, models.Customer] = field(
        default_factory=lambda: DataLoader(load_fn=load_customers)
    )
    totals: DataLoader[int, tuple[int, Decimal | None]] = field(
        default_factory=lambda: DataLoader(load_fn=load_totals)
    )
    lines: DataLoader[int, list[models.OrderLine]] = field(
        default_factory=lambda: DataLoader(load_fn=load_lines)
    )
    items: DataLoader[int, models.Item] = field(
        default_factory=lambda: DataLoader(load_fn=load_items)
    )


def global_id(entity: str, key: int) -> strawberry.ID:
    return strawberry.ID(b64encode(f"{entity}:{key}".encode()).decode())


@strawberry.type
class Page(Generic[T]):
    nodes: list[T]


@strawberry.type
class PageInfo:
    has_next_page: bool


@strawberry.type
class Sum:
    total: Decimal | None


@strawberry.type
class Aggregates:
    count: int
    sum: Sum


@strawberry.type
class Item:
    id: strawberry.ID
    database_id: BigInt
    name: str
    cost_price: Decimal
    selling_price: Decimal

    @classmethod
    def of(cls, item: models.Item) -> Item:
        return cls(
            id=global_id("Item", item.id),
            database_id=BigInt(item.id),
            name=item.name,
            cost_price=item.cost_price,
            selling_price=item.selling_price,
        )


@strawberry.type
class OrderLine:
    id: strawberry.ID
    database_id: BigInt
    item_id: int
    quantity: int

    @classmethod
    def of(cls, line: models.OrderLine) -> OrderLine:
        return cls(
            id=global_id("OrderLine", line.id),
            database_id=BigInt(line.id),
            item_id=line.item_id,
            quantity=line.quantity,
        )

    @strawberry.field
    async def item(self, info: strawberry.Info[Any, Any]) -> Item:
        return Item.of(await info.context["loaders"].items.load(self.item_id))


@strawberry.type
class Order:
    id: strawberry.ID
    database_id: BigInt
    customer_id: int
    date_placed: datetime

    @classmethod
    def of(cls, order: models.Order) -> Order:
        return cls(
            id=global_id("Order", order.id),
            database_id=BigInt(order.id),
            customer_id=order.customer_id,
            date_placed=order.date_placed,
        )

    @strawberry.field
    async def customer(
        self, info: strawberry.Info[Any, Any]
    ) -> Annotated[Customer, strawberry.lazy("bench.peers.plain_strawberry")]:
        return Customer.of(await info.context["loaders"].customers.load(self.customer_id))

    @strawberry.field
    async def line_items(self, info: strawberry.Info[Any, Any], first: int = 20) -> Page[OrderLine]:
        lines = await info.context["loaders"].lines.load(self.database_id)
        return Page(nodes=[OrderLine.of(line) for line in lines[:first]])


@strawberry.type
class Orders:
    """A customer's; each part is loaded when it is asked for."""

    customer_id: strawberry.Private[int]
    first: strawberry.Private[int]

    @strawberry.field
    async def nodes(self, info: strawberry.Info[Any, Any]) -> list[Order]:
        orders = await info.context["loaders"].orders.load(self.customer_id)
        return [Order.of(order) for order in orders[: self.first]]

    @strawberry.field
    async def aggregates(self, info: strawberry.Info[Any, Any]) -> Aggregates:
        count, total = await info.context["loaders"].totals.load(self.customer_id)
        return Aggregates(count=count, sum=Sum(total=total))


def placed(since: datetime, until: datetime | None) -> Select[models.Order]:
    statement = select(models.Order).where(models.Order.date_placed >= since)
    return statement.where(models.Order.date_placed < until) if until else statement


@strawberry.type
class OrderPage:
    since: strawberry.Private[datetime]
    until: strawberry.Private[datetime | None]
    nodes: list[Order]
    page_info: PageInfo

    @strawberry.field
    async def total_count(self) -> int:
        counted = placed(self.since, self.until).with_only_columns(func.count())
        async with sessions() as session:
            return await session.scalar(counted) or 0


@strawberry.type
class Customer:
    id: strawberry.ID
    database_id: BigInt
    first_name: str
    last_name: str
    username: str
    email: str
    address: str
    town: str
    created_on: datetime
    updated_on: datetime

    @classmethod
    def of(cls, customer: models.Customer) -> Customer:
        return cls(
            id=global_id("Customer", customer.id),
            database_id=BigInt(customer.id),
            first_name=customer.first_name,
            last_name=customer.last_name,
            username=customer.username,
            email=customer.email,
            address=customer.address,
            town=customer.town,
            created_on=customer.created_on,
            updated_on=customer.updated_on,
        )

    @strawberry.field
    def initials(self) -> str:
        return f"{self.first_name[:1]}{self.last_name[:1]}"

    @strawberry.field
    def orders(self, first: int = 20) -> Orders:
        return Orders(customer_id=self.database_id, first=first)


@strawberry.input(one_of=True)
class CustomerLookup:
    database_id: BigInt | None = UNSET


@strawberry.type
class Query:
    @strawberry.field
    async def customer(self, by: CustomerLookup) -> Customer | None:
        async with sessions() as session:
            customer = await session.get(models.Customer, by.database_id)
        return Customer.of(customer) if customer else None

    @strawberry.field
    async def customers(self, first: int = 20, after: str | None = None) -> Page[Customer]:
        key = json.loads(b64decode(after))[1] if after else 0
        statement = select(models.Customer).where(models.Customer.id > key)
        async with sessions() as session:
            found = await session.scalars(statement.order_by(models.Customer.id).limit(first))
            return Page(nodes=[Customer.of(customer) for customer in found])

    @strawberry.field
    async def orders(
        self, since: datetime, until: datetime | None = None, first: int = 20
    ) -> OrderPage:
        by_date = placed(since, until).order_by(models.Order.date_placed, models.Order.id)
        async with sessions() as session:
            found = [Order.of(order) for order in await session.scalars(by_date.limit(first + 1))]
        page_info = PageInfo(has_next_page=len(found) > first)
        return OrderPage(since=since, until=until, nodes=found[:first], page_info=page_info)


@strawberry.input
class OrderLineInput:
    item_id: strawberry.ID
    quantity: int


@strawberry.input
class PlaceOrderInput:
    customer_id: strawberry.ID
    lines: list[OrderLineInput]


@strawberry.type
class PlacedLine:
    quantity: int
    unit_price: Decimal
    item_name: str


@strawberry.type
class PlacedOrder:
    status: str
    total: Decimal
    lines: strawberry.Private[list[models.OrderLine]]

    @strawberry.field
    def line_items(self, first: int = 20) -> Page[PlacedLine]:
        return Page(
            nodes=[
                PlacedLine(
                    quantity=line.quantity, unit_price=line.unit_price, item_name=line.item_name
                )
                for line in self.lines[:first]
            ]
        )


@strawberry.type
class OrderSaved:
    order: PlacedOrder


@strawberry.type
class OutOfStock:
    message: str


@strawberry.input(one_of=True)
class ExpectedVersion:
    version: int | None = UNSET
    any: bool | None = UNSET


@strawberry.input
class UpdateCustomerInput:
    id: strawberry.ID
    expected_version: ExpectedVersion
    address: str


@strawberry.type
class CustomerSaved:
    customer: Customer


@strawberry.type
class Gone:
    message: str


def key_of(id_: str) -> int:
    return int(b64decode(id_).split(b":")[1])


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def place_order(self, input: PlaceOrderInput) -> OrderSaved | OutOfStock:  # noqa: A002
        """Rows are locked, changed and added through the ORM, in one transaction."""
        wanted = [(key_of(line.item_id), line.quantity) for line in input.lines]
        items = select(models.Item).where(models.Item.id.in_([key for key, _ in wanted]))
        async with sessions.begin() as session:
            locked = await session.scalars(items.order_by(models.Item.id).with_for_update())
            found = {item.id: item for item in locked}
            order = models.Order(customer_id=key_of(input.customer_id), line_items=[])
            for key, quantity in wanted:
                item = found[key]
                if item.stock is not None:
                    if item.stock < quantity:
                        return OutOfStock(message=f"Of {item.name} there are {item.stock}.")
                    item.stock -= quantity
                line = models.OrderLine(item_id=key, quantity=quantity, cancelled_quantity=0)
                line.unit_price, line.item_name = item.selling_price, item.name
                order.line_items.append(line)
            session.add(order)
            await session.flush()
            total = sum((line.quantity * line.unit_price for line in order.line_items), Decimal())
            placed = PlacedOrder(status=order.status, total=total, lines=order.line_items)
        return OrderSaved(order=placed)

    @strawberry.mutation
    async def update_customer(self, input: UpdateCustomerInput) -> CustomerSaved | Gone:  # noqa: A002
        """The row is locked and changed through the ORM, in one transaction."""
        async with sessions.begin() as session:
            key = key_of(input.id)
            customer = await session.get(models.Customer, key, with_for_update=True)
            if customer is None:
                return Gone(message=f"There is no customer {key}.")
            expected = input.expected_version.version
            if expected is not UNSET and customer.version != expected:
                return Gone(message=f"Customer {key} has version {customer.version}.")
            customer.address = input.address
            await session.flush()
            return CustomerSaved(customer=Customer.of(customer))


class Application(GraphQL[dict[str, Any], None]):
    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        return {"request": request, "response": response, "loaders": Loaders()}


schema = strawberry.Schema(
    Query,
    Mutation,
    extensions=[ParserCache, ValidationCache],
    config=StrawberryConfig(scalar_map={BigInt: strawberry.scalar(name="BigInt", serialize=str)}),
)
app = Application(schema, graphql_ide=None)
