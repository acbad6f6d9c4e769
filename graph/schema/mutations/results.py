"""What mutations answer: a success, or one of the errors that each can meet."""

from typing import Annotated, TypeAlias

import strawberry

from graph.schema.errors import (
    Conflict,
    IdempotencyMismatch,
    InsufficientStock,
    NotAllowed,
    NotFound,
    ValidationFailed,
)
from graph.schema.fields import column
from graph.schema.mutations.payloads import reference
from graph.schema.types import Customer, Item, Order, OrderLine


@strawberry.type(description="The customer was added or changed.")
class CustomerSaved:
    customer: Customer = reference("The customer as it is now.")


@strawberry.type(description="The customer is gone.")
class CustomerDeleted:
    deleted_id: strawberry.ID = column("The global id that named the customer.")


@strawberry.type(description="The item was added or changed.")
class ItemSaved:
    item: Item = reference("The item as it is now.")


@strawberry.type(description="The order was placed or changed.")
class OrderSaved:
    order: Order = reference("The order as it is now.")


@strawberry.type(description="A line of an order was added or changed.")
class OrderLineSaved:
    line: OrderLine = reference("The line as it is now.")
    order: Order = reference("The order as it is now.")


def _union(name: str) -> object:
    return strawberry.union(name, description="The success, or why nothing was changed.")


# Each can fail for its values, be rolled back with others (`@atomic`), and misuse a key.
_Created: TypeAlias = ValidationFailed | NotAllowed | IdempotencyMismatch
_Changed: TypeAlias = _Created | NotFound | Conflict

CreateCustomerResult = Annotated[CustomerSaved | _Created, _union("CreateCustomerResult")]
UpdateCustomerResult = Annotated[CustomerSaved | _Changed, _union("UpdateCustomerResult")]
DeleteCustomerResult = Annotated[CustomerDeleted | _Changed, _union("DeleteCustomerResult")]
CreateItemResult = Annotated[ItemSaved | _Created, _union("CreateItemResult")]
UpdateItemResult = Annotated[ItemSaved | _Changed, _union("UpdateItemResult")]
AdjustStockResult = Annotated[ItemSaved | _Changed | InsufficientStock, _union("AdjustStockResult")]
PlaceOrderResult = Annotated[OrderSaved | _Created | InsufficientStock, _union("PlaceOrderResult")]
AddOrderLineResult = Annotated[
    OrderLineSaved | _Changed | InsufficientStock, _union("AddOrderLineResult")
]
ChangeOrderLineResult = Annotated[
    OrderLineSaved | _Changed | InsufficientStock, _union("ChangeOrderLineResult")
]
RemoveOrderLineResult = Annotated[OrderSaved | _Changed, _union("RemoveOrderLineResult")]
AdvanceOrderResult = Annotated[OrderSaved | _Changed, _union("AdvanceOrderResult")]
CancelOrderResult = Annotated[OrderSaved | _Changed, _union("CancelOrderResult")]
