"""The lifetime of cached answers, declared in the schema by `@cacheControl`."""

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


# A root field without a hint: clients must revalidate the answer each time.
NOT_KEPT = CacheControl(max_age=0)


def hint_of(declared: Any) -> CacheControl | None:
    """The `@cacheControl` hint of a Strawberry field."""
    directives = getattr(declared, "directives", ())
    return next((each for each in directives if isinstance(each, CacheControl)), None)
