"""The input types of mutations."""

from __future__ import annotations

from decimal import Decimal  # noqa: TC003  Strawberry reads the annotations
from enum import StrEnum
from typing import Any

import strawberry
from strawberry import UNSET

from graph.database.writes.bulk import MOST_ROWS
from graph.schema.enums import enum
from graph.schema.expected_version import ExpectedVersion  # noqa: TC001  as above

_VERSION = "The version that you have read."
_ORDERS_VERSION = "The version of the order that you have read."


def _field(description: str) -> Any:
    return strawberry.field(description=description)


def _optional(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


@strawberry.input(description="The values of a new customer.")
class CreateCustomerInput:
    first_name: str = _field("Given name; at most 100 characters.")
    last_name: str = _field("Family name; at most 100 characters.")
    username: str = _field("The name to sign in with; at most 50 characters. Must not be taken.")
    email: str = _field("The email address; at most 200 characters. Must not be taken.")
    address: str = _field("Street and number; at most 200 characters.")
    town: str = _field("The town of the address; at most 100 characters.")


@strawberry.input(description="New values of a customer. Fields that are left out do not change.")
class UpdateCustomerInput:
    id: strawberry.ID = _field("The customer.")
    expected_version: ExpectedVersion = _field(_VERSION)
    first_name: str | None = _optional("Given name.")
    last_name: str | None = _optional("Family name.")
    username: str | None = _optional("The name to sign in with. Must not be taken.")
    email: str | None = _optional("The email address. Must not be taken.")
    address: str | None = _optional("Street and number.")
    town: str | None = _optional("The town of the address.")


@strawberry.input(description="The customer to delete.")
class DeleteCustomerInput:
    id: strawberry.ID = _field("The customer.")
    expected_version: ExpectedVersion = _field(_VERSION)


@strawberry.input(description="The values of a new item.")
class CreateItemInput:
    name: str = _field("The item's name; at most 200 characters.")
    cost_price: Decimal = _field("The price that the store pays for one piece.")
    selling_price: Decimal = _field("The price of one piece for customers.")
    stock: int | None = _optional(
        "The number of pieces in stock. If it is left out or null, stock is not tracked."
    )


@strawberry.input(description="New values of an item. Fields that are left out do not change.")
class UpdateItemInput:
    id: strawberry.ID = _field("The item.")
    expected_version: ExpectedVersion = _field(_VERSION)
    name: str | None = _optional("The item's name.")
    cost_price: Decimal | None = _optional("The price that the store pays for one piece.")
    selling_price: Decimal | None = _optional("The price of one piece for customers.")


@strawberry.input(one_of=True, description="A change of stock: exactly one of these.")
class StockChange:
    by: int | None = _optional("The number of pieces to add, or to remove if it is negative.")
    to: int | None = _optional("The new number of pieces; starts the tracking of stock.")
    untracked: bool | None = _optional("True ends the tracking of stock; false is refused.")


@strawberry.input(description="The item, and the change of its stock.")
class AdjustStockInput:
    id: strawberry.ID = _field("The item.")
    expected_version: ExpectedVersion = _field(_VERSION)
    change: StockChange = _field("The change.")


@strawberry.input(description="A line of a new order.")
class PlaceOrderLineInput:
    item_id: strawberry.ID = _field("The item.")
    quantity: int = _field("The number of pieces, from 1 to 32767.")


@strawberry.input(description="The values of a new order.")
class PlaceOrderInput:
    customer_id: strawberry.ID | None = _optional(
        "The customer who places the order. Required, unless the viewer is a customer."
    )
    lines: list[PlaceOrderLineInput] = _field("The lines of the order, from 1 to 1000.")


@strawberry.input(description="The values of a new line of an order.")
class AddOrderLineInput:
    order_id: strawberry.ID = _field("The order.")
    expected_version: ExpectedVersion = _field(_ORDERS_VERSION)
    item_id: strawberry.ID = _field("The item.")
    quantity: int = _field("The number of pieces, from 1 to 32767.")


@strawberry.input(description="The new quantity of a line.")
class ChangeOrderLineInput:
    id: strawberry.ID = _field("The line.")
    expected_version: ExpectedVersion = _field(_ORDERS_VERSION)
    quantity: int = _field("The new number of pieces, from 1 to 32767.")


@strawberry.input(description="The line to remove from its order.")
class RemoveOrderLineInput:
    id: strawberry.ID = _field("The line.")
    expected_version: ExpectedVersion = _field(_ORDERS_VERSION)


class OnError(StrEnum):
    REJECT_ALL = "REJECT_ALL"
    SKIP_ROW = "SKIP_ROW"


enum(
    OnError,
    "The handling of rows that are refused.",
    REJECT_ALL="Add no row if one is refused; the result lists the problems of all rows.",
    SKIP_ROW="Add all other rows.",
)


def _rows(name: str, of: type, description: str) -> Any:
    """The input of a mutation of many rows."""
    members = {
        "__annotations__": {"rows": list[of], "on_error": OnError},  # type: ignore[valid-type]
        "rows": _field(f"From 1 to {MOST_ROWS} rows."),
        "on_error": strawberry.field(
            default=OnError.REJECT_ALL, description="The handling of rows that are refused."
        ),
    }
    return strawberry.input(type(name, (), members), description=description)


ImportCustomersInput = _rows("ImportCustomersInput", CreateCustomerInput, "Customers to add.")
ImportItemsInput = _rows("ImportItemsInput", CreateItemInput, "Items to add.")
ImportOrdersInput = _rows("ImportOrdersInput", PlaceOrderInput, "Orders to place.")


class OrderStep(StrEnum):
    PAY = "PAY"
    SHIP = "SHIP"
    DELIVER = "DELIVER"


enum(
    OrderStep,
    "A step that advances an order.",
    PAY="The order was paid.",
    SHIP="The order was shipped.",
    DELIVER="The order was delivered.",
)


@strawberry.input(description="The order and its next step.")
class AdvanceOrderInput:
    id: strawberry.ID = _field("The order.")
    expected_version: ExpectedVersion = _field(_VERSION)
    action: OrderStep = _field("The step.")


@strawberry.input(description="The pieces of a line to cancel.")
class CancelLineInput:
    id: strawberry.ID = _field("The line.")
    quantity: int | None = _optional(
        "The number of pieces to cancel. If it is left out or null, all that are left."
    )


@strawberry.input(description="The order to cancel, or the lines of it.")
class CancelOrderInput:
    id: strawberry.ID = _field("The order.")
    expected_version: ExpectedVersion = _field(_VERSION)
    lines: list[CancelLineInput] | None = _optional(
        "The lines to cancel. If they are left out or null, all pieces that are left."
    )
