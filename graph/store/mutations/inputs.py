"""What mutations are given."""

from __future__ import annotations

from decimal import Decimal  # noqa: TC003  Strawberry reads the annotations
from enum import StrEnum
from typing import Any

import strawberry
from strawberry import UNSET

from graph.schema.enums import enum

_VERSION = (
    "The version that you have read: if there is another one by now, the answer is `Conflict`."
    " It must be given; null says on purpose that any will do."
)
_ORDERS_VERSION = f"{_VERSION} It is that of the order."


def _field(description: str) -> Any:
    return strawberry.field(description=description)


def _optional(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


@strawberry.input(description="A customer to be added.")
class CreateCustomerInput:
    first_name: str = _field("Given name; at most 100 characters.")
    last_name: str = _field("Family name; at most 100 characters.")
    username: str = _field("The name to sign in with; at most 50 characters. Nobody may have it.")
    email: str = _field("Where mail is sent to; at most 200 characters. Nobody may have it.")
    address: str = _field("Street and number; at most 200 characters.")
    town: str = _field("The town the address is in; at most 100 characters.")


@strawberry.input(description="What is to be changed of a customer; the rest stays as it is.")
class UpdateCustomerInput:
    id: strawberry.ID = _field("The customer.")
    expected_version: int | None = _optional(_VERSION)
    first_name: str | None = _optional("Given name.")
    last_name: str | None = _optional("Family name.")
    username: str | None = _optional("The name to sign in with. Nobody else may have it.")
    email: str | None = _optional("Where mail is sent to. Nobody else may have it.")
    address: str | None = _optional("Street and number.")
    town: str | None = _optional("The town the address is in.")


@strawberry.input(description="A customer to be deleted.")
class DeleteCustomerInput:
    id: strawberry.ID = _field("The customer.")
    expected_version: int | None = _optional(_VERSION)


@strawberry.input(description="An item to be added.")
class CreateItemInput:
    name: str = _field("What it is called; at most 200 characters.")
    cost_price: Decimal = _field("What one piece costs the store.")
    selling_price: Decimal = _field("What one piece costs the customer.")
    stock: int | None = _optional("How many pieces there are; left out or null, nobody counts.")


@strawberry.input(description="What is to be changed of an item; the rest stays as it is.")
class UpdateItemInput:
    id: strawberry.ID = _field("The item.")
    expected_version: int | None = _optional(_VERSION)
    name: str | None = _optional("What it is called.")
    cost_price: Decimal | None = _optional("What one piece costs the store.")
    selling_price: Decimal | None = _optional("What one piece costs the customer.")


@strawberry.input(description="How the stock of an item changes: exactly one of `by` and `to`.")
class AdjustStockInput:
    id: strawberry.ID = _field("The item.")
    expected_version: int | None = _optional(_VERSION)
    by: int | None = _optional("So many pieces more, or less if it is negative.")
    to: int | None = _optional("So many pieces in all; null if nobody counts them any more.")


@strawberry.input(description="So many pieces of an item.")
class PlaceOrderLineInput:
    item_id: strawberry.ID = _field("The item.")
    quantity: int = _field("How many pieces, from 1 to 32767.")


@strawberry.input(description="An order to be placed.")
class PlaceOrderInput:
    customer_id: strawberry.ID = _field("Who places the order.")
    lines: list[PlaceOrderLineInput] = _field("What is ordered: from 1 to 1000 lines.")


@strawberry.input(description="A line to be added to an order.")
class AddOrderLineInput:
    order_id: strawberry.ID = _field("The order.")
    expected_version: int | None = _optional(_ORDERS_VERSION)
    item_id: strawberry.ID = _field("The item.")
    quantity: int = _field("How many pieces, from 1 to 32767.")


@strawberry.input(description="How a line is to be changed.")
class ChangeOrderLineInput:
    id: strawberry.ID = _field("The line.")
    expected_version: int | None = _optional(_ORDERS_VERSION)
    quantity: int = _field("How many pieces it shall have, from 1 to 32767.")


@strawberry.input(description="A line to be removed from its order.")
class RemoveOrderLineInput:
    id: strawberry.ID = _field("The line.")
    expected_version: int | None = _optional(_ORDERS_VERSION)


class OnError(StrEnum):
    REJECT_ALL = "REJECT_ALL"
    SKIP_ROW = "SKIP_ROW"


enum(
    OnError,
    "What to do where rows are refused.",
    REJECT_ALL="Add none of the rows, and say what is wrong with any of them.",
    SKIP_ROW="Add the others.",
)


class OrderStep(StrEnum):
    PAY = "PAY"
    SHIP = "SHIP"
    DELIVER = "DELIVER"


enum(
    OrderStep,
    "A step that an order goes.",
    PAY="It was paid.",
    SHIP="It was sent off.",
    DELIVER="It has arrived.",
)


@strawberry.input(description="A step that an order has gone.")
class AdvanceOrderInput:
    id: strawberry.ID = _field("The order.")
    expected_version: int | None = _optional(_VERSION)
    action: OrderStep = _field("The step.")


@strawberry.input(description="So many pieces of a line.")
class CancelLineInput:
    id: strawberry.ID = _field("The line.")
    quantity: int | None = _optional("How many of its pieces; left out or null, all that are left.")


@strawberry.input(description="What is to be cancelled of an order.")
class CancelOrderInput:
    id: strawberry.ID = _field("The order.")
    expected_version: int | None = _optional(_VERSION)
    lines: list[CancelLineInput] | None = _optional(
        "What of it; left out or null, all that is left of all lines."
    )
