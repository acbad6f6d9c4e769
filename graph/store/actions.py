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
from graph.store.access import ADVANCE, OWN, SELL
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


# Of these sets of permissions a viewer needs one for each action.
_CHANGES, _ADVANCES = frozenset({SELL, OWN}), frozenset({ADVANCE})
NEEDS = (_CHANGES, _ADVANCES)
_ADVANCING = {OrderAction.PAY, OrderAction.SHIP, OrderAction.DELIVER}
_NOT_PERMITTED = Reason(ReasonCode.NOT_PERMITTED, "You have no permission for this action.")


def actions_of(
    status: OrderStatus,
    may_change: bool,  # noqa: FBT001  by `NEEDS`
    may_advance: bool,  # noqa: FBT001
) -> list[OrderActionState]:
    """All actions in the order of the enum, each with the reasons against it."""
    may = {action: may_advance if action in _ADVANCING else may_change for action in OrderAction}
    against = {
        action: (*(() if may[action] else (_NOT_PERMITTED,)), *reasons_against(action, status))
        for action in OrderAction
    }
    return [
        build(OrderActionState, name=action, allowed=not reasons, reasons=reasons)
        for action, reasons in against.items()
    ]
