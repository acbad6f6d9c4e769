"""Translates violated constraints into domain errors, by the constraint's name.

A constraint is the last line of defence: it catches values that became invalid through a concurrent
change after a rule checked them, and values that no rule checks.
"""

from __future__ import annotations

from typing import Any

from graph.database.catalog import catalog
from graph.errors import (
    DomainError,
    NotAllowed,
    Problem,
    ProblemCode,
    Reason,
    ReasonCode,
    ValidationFailed,
)

_OUT_OF_RANGE = "22003"
_NOT_NULL = "23502"
_FOREIGN_KEY = "23503"

# Constraint -> the input field that it concerns, code, message.
_PROBLEMS: dict[str, tuple[str, ProblemCode, str]] = {
    "customers_username_key": ("username", ProblemCode.TAKEN, "The username is taken."),
    "customers_lower_email_key": ("email", ProblemCode.TAKEN, "The email address is taken."),
    "customers_created_on_check": (
        "createdOn",
        ProblemCode.OUT_OF_RANGE,
        "A year must have four digits.",
    ),
    "customers_updated_on_check": (
        "updatedOn",
        ProblemCode.OUT_OF_RANGE,
        "A year must have four digits.",
    ),
    "items_cost_price_check": (
        "costPrice",
        ProblemCode.OUT_OF_RANGE,
        "A price must not be negative.",
    ),
    "items_selling_price_check": (
        "sellingPrice",
        ProblemCode.OUT_OF_RANGE,
        "A price must not be negative.",
    ),
    "orders_customer_id_fkey": ("customerId", ProblemCode.NOT_FOUND, "There is no such customer."),
    "orders_date_placed_check": (
        "datePlaced",
        ProblemCode.OUT_OF_RANGE,
        "A year must have four digits.",
    ),
    "orders_status_check": ("status", ProblemCode.OUT_OF_RANGE, "There is no such status."),
    "order_lines_order_id_fkey": ("orderId", ProblemCode.NOT_FOUND, "There is no such order."),
    "order_lines_item_id_fkey": ("itemId", ProblemCode.NOT_FOUND, "There is no such item."),
    "order_lines_quantity_check": (
        "quantity",
        ProblemCode.OUT_OF_RANGE,
        "A line must have at least one piece.",
    ),
    "order_lines_unit_price_check": (
        "unitPrice",
        ProblemCode.OUT_OF_RANGE,
        "A price must not be negative.",
    ),
    "events_occurred_at_check": (
        "occurredAt",
        ProblemCode.OUT_OF_RANGE,
        "A year must have four digits.",
    ),
    "events_kind_check": ("kind", ProblemCode.OUT_OF_RANGE, "There is no such kind of event."),
}
# Constraint -> the reason why a change is not allowed.
_REASONS: dict[str, Reason] = {
    "items_stock_check": Reason(ReasonCode.OUT_OF_STOCK, "The item does not have enough stock."),
    "order_lines_cancelled_quantity_check": Reason(
        ReasonCode.NOTHING_LEFT, "A line must not have more cancelled pieces than pieces."
    ),
    "order_lines_taken_check": Reason(
        ReasonCode.NOTHING_LEFT, "A line cannot have taken more pieces from stock than it has left."
    ),
}
# Foreign key -> the reason why a row that others refer to cannot be deleted.
_STILL_REFERENCED: dict[str, Reason] = {
    "orders_customer_id_fkey": Reason(ReasonCode.HAS_ORDERS, "The customer has orders."),
    "order_lines_order_id_fkey": Reason(ReasonCode.HAS_LINES, "The order has lines."),
    "order_lines_item_id_fkey": Reason(ReasonCode.HAS_LINES, "Order lines refer to the item."),
}


def domain_error_of(error: Any) -> DomainError | None:
    """The domain error for an error of the driver; None if no rule of the store is violated."""
    state, name = getattr(error, "sqlstate", None), getattr(error, "constraint_name", None)
    if state == _OUT_OF_RANGE:
        return ValidationFailed(
            [Problem(("input",), ProblemCode.OUT_OF_RANGE, "A number is too large.")]
        )
    if state == _NOT_NULL:
        column = str(error.column_name)
        return ValidationFailed(
            [Problem(("input", column), ProblemCode.REQUIRED, "A value is missing.")]
        )
    if state == _FOREIGN_KEY and "still referenced" in (getattr(error, "detail", None) or ""):
        return NotAllowed(_STILL_REFERENCED[name]) if name in _STILL_REFERENCED else None
    if name in _REASONS:
        return NotAllowed(_REASONS[name])
    if name in _PROBLEMS:
        field, code, message = _PROBLEMS[name]
        return ValidationFailed([Problem(("input", field), code, message)])
    return None


catalog.domain_error_of = domain_error_of
