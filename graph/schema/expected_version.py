"""The version of a row that a mutation expects, for optimistic locking."""

from __future__ import annotations

import strawberry
from strawberry import UNSET


@strawberry.input(
    one_of=True,
    description="The versions of the object that are accepted: exactly one of these. If the object"
    " has another version, the result is `Conflict`.",
)
class ExpectedVersion:
    version: int | None = strawberry.field(
        default=UNSET, description="This version, which you have read."
    )
    any: bool | None = strawberry.field(
        default=UNSET, description="True accepts every version; false is refused."
    )
