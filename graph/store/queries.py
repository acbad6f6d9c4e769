"""The fields of `Query`."""

from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from graph.schema.build import build
from graph.schema.connections import Connection
from graph.schema.context import Info
from graph.schema.fields import (
    PAGE,
    REQUIRED,
    Meaning,
    argument,
    connection,
    declare,
    lookup,
    many,
    with_arguments,
)
from graph.schema.inputs import FOUND_BY
from graph.schema.node import Node
from graph.schema.payloads import reference
from graph.schema.scalars import BigInt
from graph.selection import MAX_PAGE_SIZE, MAX_SEARCH_CHARS
from graph.store.access import Permission
from graph.store.types import Customer, Item, Order

_GLOBAL_ID = "The global id, as in the field `id`."
_DATABASE_ID = "The number in the database, as in the field `databaseId`."


@strawberry.input(one_of=True, description="The key of a customer: exactly one of these.")
class CustomerLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description=_GLOBAL_ID)
    database_id: BigInt | None = strawberry.field(default=UNSET, description=_DATABASE_ID)
    username: str | None = strawberry.field(default=UNSET, description="The exact user name.")
    email: str | None = strawberry.field(
        default=UNSET, description="The email address, ignoring case."
    )


@strawberry.input(one_of=True, description="The key of an item: exactly one of these.")
class ItemLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description=_GLOBAL_ID)
    database_id: BigInt | None = strawberry.field(default=UNSET, description=_DATABASE_ID)


@strawberry.input(one_of=True, description="The key of an order: exactly one of these.")
class OrderLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description=_GLOBAL_ID)
    database_id: BigInt | None = strawberry.field(default=UNSET, description=_DATABASE_ID)


_ID = argument(strawberry.ID, "A global id.")
_IDS = argument(list[strawberry.ID], f"Global ids, at most {MAX_PAGE_SIZE}.")
_TEXT = argument(
    str,
    f"{FOUND_BY} Text without words finds nothing. At most {MAX_SEARCH_CHARS} characters.",
)


def _node(_root: Any, info: Info) -> Any:
    (node,) = info.context.loaders.nodes(info.context.selected(info.path))
    return node


def _nodes(_root: Any, info: Info) -> Any:
    return info.context.loaders.nodes(info.context.selected(info.path))


SearchResult = Annotated[
    Customer | Item,
    strawberry.union(
        "SearchResult", description="A customer or an item; `__typename` tells which."
    ),
]


@strawberry.type(description="The person or the service on whose behalf the operation runs.")
class Viewer:
    id: strawberry.ID | None = strawberry.field(
        description="The issuer and the subject of the sign-in; null without one."
    )
    role: str = strawberry.field(description="The viewer's role, such as `customer`.")
    may: list[str] = strawberry.field(description="The viewer's permissions, in order.")
    expires_at: datetime | None = strawberry.field(
        description="When the sign-in ends; null if it does not."
    )
    customer: Customer | None = reference("The customer who the viewer is.")


def _viewer(info: Info) -> Viewer:
    viewer = info.context.viewer
    return build(
        Viewer,
        id=viewer.subject,
        role=viewer.role,
        may=sorted(Permission if viewer.may is None else viewer.may),
        expires_at=viewer.expires_at,
        customer_id=viewer.own,
    )


@strawberry.type(description="All fields that read the store.")
class Query:
    viewer: Viewer = strawberry.field(
        resolver=_viewer, description="The viewer, with its permissions."
    )
    node: Node | None = declare(
        Meaning.NODE,
        "The object with this global id; null if it does not exist.",
        resolver=with_arguments(_node, {"id": _ID}, id=REQUIRED),
    )
    nodes: list[Node | None] = declare(
        Meaning.NODES,
        "The objects with these global ids, in the same order; null for each that does not exist."
        " A malformed id is null too, with an error at its place.",
        resolver=with_arguments(_nodes, {"ids": _IDS}, ids=REQUIRED),
    )
    customer: Customer | None = lookup(
        "One customer; null if it does not exist.",
        by=argument(CustomerLookup, "The key of the customer."),
    )
    item: Item | None = lookup(
        "One item; null if it does not exist.", by=argument(ItemLookup, "The key of the item.")
    )
    order: Order | None = lookup(
        "One order; null if it does not exist.", by=argument(OrderLookup, "The key of the order.")
    )
    search: Connection[SearchResult] = declare(
        Meaning.SEARCH,
        "The customers and items that match a text, best match first; equal matches by type, then"
        " by `databaseId`.",
        resolver=with_arguments(many, {"text": _TEXT, **PAGE}, text=REQUIRED),
    )
    customers = connection("All customers, by `databaseId`.", entity="Customer", offset=True)
    items = connection("All items, by `databaseId`.", entity="Item", offset=True)
    orders = connection(
        "All orders, oldest first: by `datePlaced`, then `databaseId`.",
        entity="Order",
        offset=True,
        order=("date_placed",),
    )
    order_lines = connection(
        "The lines of all orders, by `databaseId`.", entity="OrderLine", offset=True
    )
    events = connection(
        "All changes, in the order of `Subscription.events`: by `databaseId`. In this order the"
        " list ends before the first event that others may still precede, so no page misses one.",
        entity="Event",
    )
