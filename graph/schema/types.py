"""What the store holds, as clients see it: field by field the models of `graph.database.models`."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

from graph.schema.fields import column, connection, edge, global_id


@strawberry.interface(
    description="Anything that has a global id (Relay's Global Object Identification)."
)
class Node:
    global_id: strawberry.ID = global_id("Names the object among all objects: give it to `node`.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Also true of the noun's mapped class, which a resolver of one's own may return."""
        return isinstance(value, cls) or type(value).__name__ == cls.__name__


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
    orders = connection("What the customer has ordered, oldest first.", noun="Order")


@strawberry.type(description="Something the store sells.")
class Item(Node):
    id: int = column("The item's number in the database.", name="databaseId")
    name: str = column("What the item is called.")
    cost_price: Decimal = column("What one piece costs the store.")
    selling_price: Decimal = column("What one piece costs the customer.")
    order_lines = connection("The order lines that name the item.", noun="OrderLine")


@strawberry.type(description="What a customer bought at one time.")
class Order(Node):
    id: int = column("The order's number in the database.", name="databaseId")
    customer_id: int = column("The number of the customer who placed the order.")
    date_placed: datetime = column("When the order was placed.")
    total: Decimal = column("The sum of the subtotals of all lines.")
    customer: Customer = edge("Who placed the order.")
    line_items = connection("What was ordered, line by line.", noun="OrderLine")


@strawberry.type(description="One line of an order: so many pieces of one item.")
class OrderLine(Node):
    id: int = column("The line's number in the database.", name="databaseId")
    order_id: int = column("The number of the order the line belongs to.")
    item_id: int = column("The number of the item the line names.")
    quantity: int = column("How many pieces; at least one.")
    subtotal: Decimal = column("Quantity times the item's selling price.")
    order: Order = edge("The order the line belongs to.")
    item: Item = edge("The item the line names.")


# By noun: the types whose objects are rows.
NOUNS: dict[str, type[Node]] = {
    type_.__name__: type_ for type_ in (Customer, Item, Order, OrderLine)
}
