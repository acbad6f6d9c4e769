"""What may be done with an order, by the same rules as the mutations go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry

from graph.schema.build import build
from graph.schema.enum_lookup import plain
from graph.schema.enums import enum
from graph.schema.error_types import ReasonShown  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import column
from graph.store.writes.rules import OrderAction, reasons_against

if TYPE_CHECKING:
    from graph.store.models import OrderStatus

enum(
    OrderAction,
    "What can be done with an order.",
    CHANGE_LINES="Add, change or remove a line.",
    PAY="Note that it was paid.",
    SHIP="Note that it was sent off.",
    DELIVER="Note that it has arrived.",
    CANCEL="Give it up, or some of its pieces; they go back in stock.",
)


@strawberry.type(description="Something that can be done with an order, or cannot for now.")
class OrderActionState:
    name: OrderAction = column("What can be done.")
    allowed: bool = column("Whether the order is in a state that allows it.")
    reasons: list[ReasonShown] = plain("Why it is not allowed; empty if it is.")


def actions_of(status: OrderStatus) -> list[OrderActionState]:
    """All actions, each with the reasons against it."""
    against = {action: reasons_against(action, status) for action in OrderAction}
    return [
        build(OrderActionState, name=action, allowed=not reasons, reasons=reasons)
        for action, reasons in against.items()
    ]
