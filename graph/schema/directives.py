"""Directives for mutations: `@idempotent` and `@atomic`. `graph.execution` reads them."""

from typing import Annotated, Any

import strawberry
from strawberry.directive import DirectiveLocation, DirectiveValue

_KEY = strawberry.argument(
    description="A text of your own for this request, such as a UUID; at most 200 characters."
)


@strawberry.directive(
    locations=[DirectiveLocation.FIELD],
    description="On a mutation: with the same key it is done once, however often it is asked for."
    " Whoever asks again gets the first answer.",
)
def idempotent(value: DirectiveValue[Any], key: Annotated[str, _KEY]) -> Any:  # noqa: ARG001
    return value


@strawberry.directive(
    locations=[DirectiveLocation.MUTATION],
    description="All mutations of the operation are one transaction: if one is refused, none"
    " changes anything.",
)
def atomic(value: DirectiveValue[Any]) -> Any:
    return value


DIRECTIVES = (idempotent, atomic)
