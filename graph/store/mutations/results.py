"""The results of mutations: a success, or one of the errors that the mutation can meet."""

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
from graph.store.queries import Query
from graph.store.types import Customer, Item, Order, OrderLine


def _query() -> Query:
    return Query()


@strawberry.type(description="The success of a mutation.")
class _Success:
    query: Query = strawberry.field(
        resolver=_query,
        description="All fields that read the store, as it is after the change. They are resolved"
        " in the transaction of the mutation, with a statement for each relationship and level.",
    )


@strawberry.type(description="The customer was added or changed.")
class CustomerSaved(_Success):
    customer: Customer = reference("The customer after the change.")


@strawberry.type(description="The customer was deleted.")
class CustomerDeleted(_Success):
    deleted_id: strawberry.ID = column("The global id of the deleted customer.")


@strawberry.type(description="The item was added or changed.")
class ItemSaved(_Success):
    item: Item = reference("The item after the change.")


@strawberry.type(description="The order was placed or changed.")
class OrderSaved(_Success):
    order: Order = reference("The order after the change.")


@strawberry.type(description="A line of an order was added or changed.")
class OrderLineSaved(_Success):
    line: OrderLine = reference("The line after the change.")
    order: Order = reference("The order after the change.")


@strawberry.type(description="The result for one row of customers.")
class CustomerRow:
    index: int = column("The row's index in `rows`, from 0.")
    customer: Customer | None = reference("The added customer; null if the row was refused.")
    problems: list[Problem] = plain("The problems of the row; empty if it was added.")


@strawberry.type(description="The result for one row of items.")
class ItemRow:
    index: int = column("The row's index in `rows`, from 0.")
    item: Item | None = reference("The added item; null if the row was refused.")
    problems: list[Problem] = plain("The problems of the row; empty if it was added.")


@strawberry.type(description="The result for one row of orders.")
class OrderRow:
    index: int = column("The row's index in `rows`, from 0.")
    order: Order | None = reference("The placed order; null if the row was refused.")
    problems: list[Problem] = plain("The problems of the row; empty if it was placed.")


@strawberry.type(description="Customers were added.")
class CustomersImported(_Success):
    saved: int = column("The number of added customers.")
    refused: int = column("The number of refused rows.")
    rows: list[CustomerRow] = plain("The result for each row, in the order of `rows`.")


@strawberry.type(description="Items were added.")
class ItemsImported(_Success):
    saved: int = column("The number of added items.")
    refused: int = column("The number of refused rows.")
    rows: list[ItemRow] = plain("The result for each row, in the order of `rows`.")


@strawberry.type(description="Orders were placed.")
class OrdersImported(_Success):
    saved: int = column("The number of placed orders.")
    refused: int = column("The number of refused rows.")
    rows: list[OrderRow] = plain("The result for each row, in the order of `rows`.")


def imported(payload: type, row: type, attribute: str) -> Success:
    """Builds a payload from the outcomes of its rows; `attribute` is that of a row's key."""

    def build_payload(outcomes: Sequence[RowOutcome]) -> Any:
        rows: list[Any] = [
            build(row, index=each.index, problems=each.problems, **{attribute: each.key})
            for each in outcomes
        ]
        refused = sum(each.key is None for each in outcomes)
        return build(payload, saved=len(rows) - refused, refused=refused, rows=rows)

    return Success(payload, build_payload)


def _union(name: str) -> object:
    return strawberry.union(
        name,
        description="The success, or the error for which nothing changed; `__typename` tells which."
        " `... on Error` matches all errors, also those of a later version.",
    )


# Errors of every mutation: invalid values, a rollback with others (`@atomic`), a misused key.
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
