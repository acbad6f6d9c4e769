"""The actions that each status of an order allows, for mutations and for `Order.actions`."""

from __future__ import annotations

from enum import StrEnum

from graph.errors import NotAllowed, Reason, ReasonCode
from graph.store.models import OrderStatus


class OrderAction(StrEnum):
    CHANGE_LINES = "CHANGE_LINES"
    PAY = "PAY"
    SHIP = "SHIP"
    DELIVER = "DELIVER"
    CANCEL = "CANCEL"


_PLACED, _PAID, _SHIPPED, _DELIVERED, _CANCELLED = OrderStatus

# Action -> the statuses that allow it, and the status that it leads to (None: no change).
TRANSITIONS: dict[OrderAction, tuple[frozenset[OrderStatus], OrderStatus | None]] = {
    OrderAction.CHANGE_LINES: (frozenset({_PLACED}), None),
    OrderAction.PAY: (frozenset({_PLACED}), _PAID),
    OrderAction.SHIP: (frozenset({_PAID}), _SHIPPED),
    OrderAction.DELIVER: (frozenset({_SHIPPED}), _DELIVERED),
    OrderAction.CANCEL: (frozenset({_PLACED, _PAID}), _CANCELLED),
}


def reasons_against(action: OrderAction, status: OrderStatus) -> tuple[Reason, ...]:
    """The reasons why an order of this status does not allow an action; empty if it does."""
    sources, _ = TRANSITIONS[action]
    if status in sources:
        return ()
    needed = " or ".join(source for source in OrderStatus if source in sources)
    return (Reason(ReasonCode[f"IS_{status}"], f"The order must be {needed}; it is {status}."),)


def check_allowed(action: OrderAction, status: OrderStatus) -> None:
    """Check that the order's status allows the action.

    Raises:
        NotAllowed: the status does not allow it.
    """
    if reasons := reasons_against(action, status):
        raise NotAllowed(*reasons)


def target(action: OrderAction) -> OrderStatus | None:
    """The status after the action; None if it does not change."""
    return TRANSITIONS[action][1]
