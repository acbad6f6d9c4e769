"""What mutations answer: a success, or one of the errors that each can meet."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import strawberry

from graph.database.writes.bulk import RowOutcome
from graph.schema.build import build
from graph.schema.enum_lookup import plain
from graph.schema.error_types import (
    Conflict,
    IdempotencyMismatch,
    NotAllowed,
    NotFound,
    Problem,
    ValidationFailed,
)
from graph.schema.fields import column
from graph.schema.payloads import Success, reference
from graph.store.errors import InsufficientStock
from graph.store.types import Customer, Item, Order, OrderLine


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


@strawberry.type(description="What came of one customer.")
class CustomerRow:
    index: int = column("The row's place in `rows`, from 0.")
    customer: Customer | None = reference("The customer that was added; null if it was refused.")
    problems: list[Problem] = plain("What is wrong with the row; empty if it was added.")


@strawberry.type(description="What came of one item.")
class ItemRow:
    index: int = column("The row's place in `rows`, from 0.")
    item: Item | None = reference("The item that was added; null if it was refused.")
    problems: list[Problem] = plain("What is wrong with the row; empty if it was added.")


@strawberry.type(description="What came of one order.")
class OrderRow:
    index: int = column("The row's place in `rows`, from 0.")
    order: Order | None = reference("The order that was placed; null if it was refused.")
    problems: list[Problem] = plain("What is wrong with the row; empty if it was placed.")


@strawberry.type(description="Customers were added.")
class CustomersImported:
    saved: int = column("How many were added.")
    refused: int = column("How many were not.")
    rows: list[CustomerRow] = plain("What came of each, in the order of `rows`.")


@strawberry.type(description="Items were added.")
class ItemsImported:
    saved: int = column("How many were added.")
    refused: int = column("How many were not.")
    rows: list[ItemRow] = plain("What came of each, in the order of `rows`.")


@strawberry.type(description="Orders were placed.")
class OrdersImported:
    saved: int = column("How many were placed.")
    refused: int = column("How many were not.")
    rows: list[OrderRow] = plain("What came of each, in the order of `rows`.")


def imported(payload: type, row: type, attribute: str) -> Success:
    """Builds a payload from the outcomes of its rows; `attribute` is that of a row's key."""

    def build_payload(outcomes: Sequence[RowOutcome]) -> Any:
        rows: list[Any] = [
            build(row, index=each.index, problems=each.problems, **{attribute: each.key})
            for each in outcomes
        ]
        refused = sum(each.key is None for each in outcomes)
        return build(payload, saved=len(rows) - refused, refused=refused, rows=rows)

    return build_payload


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
ImportCustomersResult = Annotated[CustomersImported | _Created, _union("ImportCustomersResult")]
ImportItemsResult = Annotated[ItemsImported | _Created, _union("ImportItemsResult")]
ImportOrdersResult = Annotated[OrdersImported | _Created, _union("ImportOrdersResult")]
