"""How long an answer may be kept, said in the schema where a field may be: `@cacheControl`."""

from __future__ import annotations

from enum import Enum
from typing import Any

import strawberry
from strawberry.schema_directive import Location


@strawberry.enum(description="Who may keep an answer.")
class CacheControlScope(Enum):
    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="How many seconds an answer with this field may be kept, and by whom.",
)
class CacheControl:
    max_age: int = strawberry.directive_field(name="maxAge")
    scope: CacheControlScope = CacheControlScope.PRIVATE

    @property
    def is_public(self) -> bool:
        return self.scope is CacheControlScope.PUBLIC


# A root field without a hint: an answer is asked for anew each time, and may be found unchanged.
NOT_KEPT = CacheControl(max_age=0)


def hint_of(declared: Any) -> CacheControl | None:
    """What `@cacheControl` says of a Strawberry field."""
    directives = getattr(declared, "directives", ())
    return next((each for each in directives if isinstance(each, CacheControl)), None)
