"""The ways into the store."""

from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from graph.schema.connections import Connection
from graph.schema.context import Info
from graph.schema.fields import PAGE, Meaning, connection, declare, lookup, many, with_arguments
from graph.schema.inputs import FOUND_BY
from graph.schema.node import Node
from graph.selection import MAX_PAGE_SIZE, MAX_SEARCH_CHARS
from graph.store.types import Customer, Item, Order

_GLOBAL_ID = "The global id, as in the field `id`."
_DATABASE_ID = "The number in the database, as in the field `databaseId`."


@strawberry.input(one_of=True, description="What names one customer: exactly one of these.")
class CustomerLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description=_GLOBAL_ID)
    database_id: int | None = strawberry.field(default=UNSET, description=_DATABASE_ID)
    username: str | None = strawberry.field(default=UNSET, description="The exact user name.")
    email: str | None = strawberry.field(
        default=UNSET, description="The mail address, in upper or lower case."
    )


@strawberry.input(one_of=True, description="What names one item: exactly one of these.")
class ItemLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description=_GLOBAL_ID)
    database_id: int | None = strawberry.field(default=UNSET, description=_DATABASE_ID)


@strawberry.input(one_of=True, description="What names one order: exactly one of these.")
class OrderLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description=_GLOBAL_ID)
    database_id: int | None = strawberry.field(default=UNSET, description=_DATABASE_ID)


def _argument(description: str) -> Any:
    return strawberry.argument(description=description)


def _customer(
    info: Info, by: Annotated[CustomerLookup, _argument("What names the customer.")]
) -> Any:
    return info.context.loaders.one(info.context.selected(info.path), None)


def _item(info: Info, by: Annotated[ItemLookup, _argument("What names the item.")]) -> Any:
    return info.context.loaders.one(info.context.selected(info.path), None)


def _order(info: Info, by: Annotated[OrderLookup, _argument("What names the order.")]) -> Any:
    return info.context.loaders.one(info.context.selected(info.path), None)


def _node(info: Info, id: Annotated[strawberry.ID, _argument("A global id.")]) -> Any:  # noqa: A002
    (node,) = info.context.loaders.nodes(info.context.selected(info.path))
    return node


def _nodes(
    info: Info,
    ids: Annotated[list[strawberry.ID], _argument(f"Global ids, at most {MAX_PAGE_SIZE}.")],
) -> Any:
    return info.context.loaders.nodes(info.context.selected(info.path))


_TEXT = _argument(
    f"{FOUND_BY} Text without words finds nothing. At most {MAX_SEARCH_CHARS} characters."
)

SearchResult = Annotated[
    Customer | Item, strawberry.union("SearchResult", description="What a search can find.")
]


@strawberry.type(description="The ways into the store.")
class Query:
    node: Node | None = declare(
        Meaning.NODE, "The object with this global id; null if there is none.", resolver=_node
    )
    nodes: list[Node | None] = declare(
        Meaning.NODES,
        "The objects with these global ids, in the order of the ids; null where there is none.",
        resolver=_nodes,
    )
    customer: Customer | None = lookup("One customer; null if there is none.", _customer)
    item: Item | None = lookup("One item; null if there is none.", _item)
    order: Order | None = lookup("One order; null if there is none.", _order)
    search: Connection[SearchResult] = declare(
        Meaning.SEARCH,
        "Customers and items that a text finds, the best first; then customers, then items, each in"
        " the order they were added.",
        resolver=with_arguments(many, {"text": Annotated[str, _TEXT], **PAGE}),
    )
    customers = connection(
        "All customers, in the order they were added.", entity="Customer", offset=True
    )
    items = connection("All items, in the order they were added.", entity="Item", offset=True)
    orders = connection("All orders, in the order they were added.", entity="Order", offset=True)
    order_lines = connection(
        "The lines of all orders, in the order they were added.", entity="OrderLine", offset=True
    )
