"""What may be done with an order, by its status: mutations and `Order.actions` ask this table."""

from __future__ import annotations

from enum import StrEnum

from graph.errors import NotAllowed, Reason
from graph.store.models import OrderStatus


class OrderAction(StrEnum):
    CHANGE_LINES = "CHANGE_LINES"
    PAY = "PAY"
    SHIP = "SHIP"
    DELIVER = "DELIVER"
    CANCEL = "CANCEL"


_PLACED, _PAID, _SHIPPED, _DELIVERED, _CANCELLED = OrderStatus

# Action -> from which statuses, and to which one it leads: None leaves it as it is.
TRANSITIONS: dict[OrderAction, tuple[frozenset[OrderStatus], OrderStatus | None]] = {
    OrderAction.CHANGE_LINES: (frozenset({_PLACED}), None),
    OrderAction.PAY: (frozenset({_PLACED}), _PAID),
    OrderAction.SHIP: (frozenset({_PAID}), _SHIPPED),
    OrderAction.DELIVER: (frozenset({_SHIPPED}), _DELIVERED),
    OrderAction.CANCEL: (frozenset({_PLACED, _PAID}), _CANCELLED),
}


def reasons_against(action: OrderAction, status: OrderStatus) -> tuple[Reason, ...]:
    """Why an order of this status does not allow an action; empty if it does."""
    sources, _ = TRANSITIONS[action]
    if status in sources:
        return ()
    needed = " or ".join(source for source in OrderStatus if source in sources)
    return (Reason(f"IS_{status}", f"The order is {status}; it would have to be {needed}."),)


def check_allowed(action: OrderAction, status: OrderStatus) -> None:
    """Return when the order's status allows the action.

    Raises:
        NotAllowed: it does not.
    """
    if reasons := reasons_against(action, status):
        raise NotAllowed(*reasons)


def target(action: OrderAction) -> OrderStatus | None:
    return TRANSITIONS[action][1]
