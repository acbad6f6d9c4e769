"""The actions that an order allows, by the same rules as the mutations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry

from graph.errors import Reason, ReasonCode
from graph.schema.build import build
from graph.schema.enum_lookup import plain
from graph.schema.enums import enum
from graph.schema.error_types import ReasonShown  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import column
from graph.store.access import CHANGES
from graph.store.writes.rules import OrderAction, reasons_against

if TYPE_CHECKING:
    from graph.store.models import OrderStatus

enum(
    OrderAction,
    "An action on an order.",
    CHANGE_LINES="Add, change or remove a line.",
    PAY="Record that the order was paid.",
    SHIP="Record that the order was shipped.",
    DELIVER="Record that the order was delivered.",
    CANCEL="Cancel the order or some of its pieces, and return them to stock.",
)


@strawberry.type(description="An action, and whether the order allows it now.")
class OrderActionState:
    name: OrderAction = column("The action.")
    allowed: bool = column("Whether the order's status allows the action.")
    reasons: list[ReasonShown] = plain("The reasons against the action; empty if it is allowed.")


# The mutation for each action, whose permissions are those of the action.
_MUTATIONS = {
    OrderAction.CHANGE_LINES: "change_order_line",
    OrderAction.PAY: "advance_order",
    OrderAction.SHIP: "advance_order",
    OrderAction.DELIVER: "advance_order",
    OrderAction.CANCEL: "cancel_order",
}
_NEEDS = {action: CHANGES[mutation] for action, mutation in _MUTATIONS.items()}
# Each set of permissions once.
NEEDS = tuple(dict.fromkeys(_NEEDS.values()))
_NOT_PERMITTED = Reason(ReasonCode.NOT_PERMITTED, "You have no permission for this action.")


def actions_of(status: OrderStatus, *permitted: bool) -> list[OrderActionState]:
    """All actions in the order of the enum, each with the reasons against it.

    `permitted` tells for each of `NEEDS` whether the viewer has one of these permissions.
    """
    has = dict(zip(NEEDS, permitted, strict=True))
    may = {action: has[needs] for action, needs in _NEEDS.items()}
    against = {
        action: (*(() if may[action] else (_NOT_PERMITTED,)), *reasons_against(action, status))
        for action in OrderAction
    }
    return [
        build(OrderActionState, name=action, allowed=not reasons, reasons=reasons)
        for action, reasons in against.items()
    ]
