"""What the store holds, as clients see it: field by field the models of `graph.store.models`."""

from datetime import datetime
from decimal import Decimal

import strawberry

from graph.schema.enum_lookup import enum_lookup
from graph.schema.enums import enum
from graph.schema.fields import column, connection, to_one
from graph.schema.node import Node, register
from graph.schema.scalars import Json
from graph.store.actions import OrderActionState, actions_of
from graph.store.models import EventKind, OrderStatus

enum(
    OrderStatus,
    "How far an order has come.",
    PLACED="Waits to be paid; its lines may be changed.",
    PAID="Waits to be shipped.",
    SHIPPED="Is on its way.",
    DELIVERED="Has arrived.",
    CANCELLED="Was given up; what was tracked is back in stock.",
)
enum(
    EventKind,
    "What happened to a row; an order that moves on has the name of its new status.",
    CREATED="It is new.",
    CHANGED="Some of its values are others.",
    DELETED="It is gone.",
    PAID="The order was paid.",
    SHIPPED="The order was sent off.",
    DELIVERED="The order has arrived.",
    CANCELLED="The order was given up.",
)

_VERSION = "Moves with every change: give the one you read to a mutation as `expectedVersion`."


@strawberry.type(description="Somebody who buys from the store.")
class Customer(Node):
    id: int = column("The customer's number in the database.", name="databaseId")
    first_name: str = column("Given name.")
    last_name: str = column("Family name.")
    username: str = column("The name to sign in with; no two customers share one.")
    email: str = column("Where mail is sent to; unique without regard to case.")
    address: str = column("Street and number.")
    town: str = column("The town the address is in.")
    created_on: datetime = column("When the customer was added.")
    updated_on: datetime = column("When the customer was last changed.")
    version: int = column(_VERSION)
    orders = connection(
        "What the customer has ordered, oldest first: by `datePlaced`, then `databaseId`.",
        entity="Order",
        order=("date_placed",),
    )


@strawberry.type(description="Something the store sells.")
class Item(Node):
    id: int = column("The item's number in the database.", name="databaseId")
    name: str = column("What the item is called.")
    cost_price: Decimal = column("What one piece costs the store.")
    selling_price: Decimal = column("What one piece costs the customer.")
    stock: int | None = column("How many pieces are there to be sold; null if nobody counts them.")
    version: int = column(_VERSION)
    order_lines = connection(
        "The order lines that name the item, by `databaseId`.", entity="OrderLine"
    )


@strawberry.type(description="What a customer bought at one time.")
class Order(Node):
    id: int = column("The order's number in the database.", name="databaseId")
    customer_id: int = column("The number of the customer who placed the order.")
    date_placed: datetime = column("When the order was placed.")
    status: OrderStatus = column("How far the order has come.")
    version: int = column(f"{_VERSION} A change of a line is one of its order.")
    total: Decimal = column("The sum of the subtotals of all lines.")
    actions: list[OrderActionState] = enum_lookup(
        "What can be done with the order, and why something cannot: the mutations ask the same.",
        column="status",
        values=OrderStatus,
        value_of=actions_of,
    )
    customer: Customer = to_one("Who placed the order.")
    line_items = connection("What was ordered, line by line, by `databaseId`.", entity="OrderLine")
    history = connection(
        "What happened to the order and its lines, in the order of the changes: by `databaseId`.",
        entity="Event",
    )


@strawberry.type(description="One line of an order: so many pieces of one item.")
class OrderLine(Node):
    id: int = column("The line's number in the database.", name="databaseId")
    order_id: int = column("The number of the order the line belongs to.")
    item_id: int = column("The number of the item the line names.")
    quantity: int = column("How many pieces; at least one.")
    unit_price: Decimal = column("What one piece cost when the line was placed.")
    item_name: str = column("What the item was called when the line was placed.")
    cancelled: int = column("How many of the pieces were cancelled since.")
    taken: int = column(
        "How many of the pieces were taken from stock: so many go back when the line is cancelled."
        " Lines of imported orders, and of items whose stock is null, take none."
    )
    subtotal: Decimal = column("What the pieces that are not cancelled cost.")
    unit_price_changed: bool = column("Whether the item's price is another one by now.")
    order: Order = to_one("The order the line belongs to.")
    item: Item = to_one("The item the line names.")


@strawberry.type(description="One change of one row; events are never changed themselves.")
class Event(Node):
    id: int = column("The event's number in the database.", name="databaseId")
    at: datetime = column("When the transaction that made the change began.")
    entity: str = column("What was changed: the name of a type, such as `Order`.")
    entity_id: int = column("The number of the row that was changed.")
    kind: EventKind = column("What happened.")
    payload: Json = column(
        "The values, by column: `[before, after]` for those that a change touched, the values"
        " themselves where a row was created or deleted."
    )
    actor: str | None = column("Who made the change; null if nobody was signed in.")
    order_id: int | None = column("The number of the order that was changed, or whose line was.")


register(Customer, Item, Order, OrderLine, Event)
