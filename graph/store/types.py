"""The entities as GraphQL types. They mirror the models of `graph.store.models` field by field."""

from datetime import datetime
from decimal import Decimal

import strawberry

from graph.schema.enum_lookup import enum_lookup
from graph.schema.enums import enum
from graph.schema.fields import column, connection, to_one
from graph.schema.node import Node, register
from graph.schema.scalars import BigInt, Json
from graph.store.actions import NEEDS, OrderActionState, actions_of
from graph.store.models import EventEntity, EventKind, OrderStatus

enum(
    OrderStatus,
    "The status of an order.",
    PLACED="Not paid yet; its lines can be changed.",
    PAID="Paid, and not shipped yet.",
    SHIPPED="On its way.",
    DELIVERED="Delivered.",
    CANCELLED="Cancelled; its pieces were returned to stock.",
)
enum(
    EventEntity,
    "The type of a changed row.",
    CUSTOMER="A `Customer`.",
    ITEM="An `Item`.",
    ORDER="An `Order`.",
    ORDER_LINE="An `OrderLine`.",
)
enum(
    EventKind,
    "The kind of a change. When an order advances, it is the new status.",
    CREATED="The row was created.",
    CHANGED="Values of the row were changed.",
    DELETED="The row was deleted.",
    PAID="The order was paid.",
    SHIPPED="The order was shipped.",
    DELIVERED="The order was delivered.",
    CANCELLED="The order was cancelled.",
)

_VERSION = "Increases with every change. A mutation takes it as `expectedVersion`."


@strawberry.type(description="A customer of the store.")
class Customer(Node):
    id: BigInt = column("The customer's number in the database.", name="databaseId")
    first_name: str = column("Given name.")
    last_name: str = column("Family name.")
    username: str = column("The name to sign in with. Unique.")
    email: str = column("The email address. Unique, ignoring case.")
    address: str = column("Street and number.")
    town: str = column("The town of the address.")
    created_on: datetime = column("When the customer was added.")
    updated_on: datetime = column("When the customer was last changed.")
    version: int = column(_VERSION, is_measured=False)
    orders = connection(
        "The customer's orders, oldest first: by `datePlaced`, then `databaseId`.",
        entity="Order",
        order=("date_placed",),
    )
    history = connection(
        "The changes of the customer, in their order: by `databaseId`.", entity="Event"
    )


@strawberry.type(description="An item that the store sells.")
class Item(Node):
    id: BigInt = column("The item's number in the database.", name="databaseId")
    name: str = column("The item's name.")
    cost_price: Decimal = column("The price that the store pays for one piece.")
    selling_price: Decimal = column("The price of one piece for customers.")
    stock: int | None = column("The number of pieces in stock; null if stock is not tracked.")
    version: int = column(_VERSION, is_measured=False)
    order_lines = connection("The order lines with this item, by `databaseId`.", entity="OrderLine")
    history = connection(
        "The changes of the item, in their order: by `databaseId`.", entity="Event"
    )


@strawberry.type(description="An order of one customer.")
class Order(Node):
    id: BigInt = column("The order's number in the database.", name="databaseId")
    customer_id: strawberry.ID = column("The id of the customer who placed the order.")
    date_placed: datetime = column("When the order was placed.")
    status: OrderStatus = column("The status of the order.")
    version: int = column(
        f"{_VERSION} A change of a line also changes its order.", is_measured=False
    )
    total: Decimal = column("The sum of the subtotals of all lines.")
    actions: list[OrderActionState] = enum_lookup(
        "The actions that the order allows, and the reasons against the others. The mutations"
        " apply the same rules.",
        column="status",
        values=OrderStatus,
        value_of=actions_of,
        depends_on=NEEDS,
    )
    customer: Customer = to_one("The customer who placed the order.")
    line_items = connection("The lines of the order, by `databaseId`.", entity="OrderLine")
    history = connection(
        "The changes of the order and its lines, in their order: by `databaseId`.", entity="Event"
    )


@strawberry.type(description="One line of an order: a number of pieces of one item.")
class OrderLine(Node):
    id: BigInt = column("The line's number in the database.", name="databaseId")
    order_id: strawberry.ID = column("The id of the line's order.")
    item_id: strawberry.ID = column("The id of the line's item.")
    quantity: int = column("The number of pieces; at least 1.")
    unit_price: Decimal = column("The price of one piece when the line was added.")
    item_name: str = column("The item's name when the line was added.")
    cancelled_quantity: int = column("The number of cancelled pieces.")
    taken: int = column(
        "The number of pieces taken from stock; they return to it when the line is cancelled."
        " A line takes none if it was imported, or if its item's stock is null."
    )
    subtotal: Decimal = column("The price of all pieces that are not cancelled.")
    unit_price_changed: bool = column("Whether the item's price has changed since.")
    order: Order = to_one("The line's order.")
    item: Item = to_one("The line's item.")


@strawberry.type(description="One change of one row. Events are never changed or deleted.")
class Event(Node):
    id: BigInt = column("The event's number in the database.", name="databaseId")
    occurred_at: datetime = column("When the transaction of the change began.")
    entity: EventEntity = column("The type of the changed row.")
    kind: EventKind = column("The kind of the change.")
    payload: Json | None = column(
        "Values by field of the changed row's type: `[before, after]` of the changed ones, or all"
        " values of a row that was created. They have the same JSON as the fields, ids and decimals"
        " included. Null if the row was deleted."
    )
    actor: str | None = column("The user who made the change; null without a sign-in.")
    customer_id: strawberry.ID | None = column(
        "The id of the changed customer.", references="Customer"
    )
    item_id: strawberry.ID | None = column("The id of the changed item.", references="Item")
    order_id: strawberry.ID | None = column(
        "The id of the changed order, or of the changed line's order.", references="Order"
    )
    order_line_id: strawberry.ID | None = column(
        "The id of the changed line of an order.", references="OrderLine"
    )
    customer: Customer | None = to_one("The changed customer; null if deleted.")
    item: Item | None = to_one("The changed item; null if deleted.")
    order: Order | None = to_one("The changed order, or the changed line's; null if deleted.")
    order_line: OrderLine | None = to_one("The changed line of an order; null if deleted.")


ENTITIES = register(Customer, Item, Order, OrderLine, Event)
