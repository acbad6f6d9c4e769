"""Directives for mutations: `@idempotent` and `@atomic`. `graph.execution` reads them."""

from typing import Annotated, Any

import strawberry
from strawberry.directive import DirectiveLocation, DirectiveValue

_KEY = strawberry.argument(
    description="A text of your own for this request, such as a UUID; at most 200 characters."
)


@strawberry.directive(
    locations=[DirectiveLocation.FIELD],
    description="Execute the mutation once for this key, however often the request is sent."
    " A repeated request gets the answer of the first.",
)
def idempotent(value: DirectiveValue[Any], key: Annotated[str, _KEY]) -> Any:  # noqa: ARG001
    return value


@strawberry.directive(
    locations=[DirectiveLocation.MUTATION],
    description="Run all mutations of the operation in one transaction: if one is refused, none"
    " changes anything.",
)
def atomic(value: DirectiveValue[Any]) -> Any:
    return value


DIRECTIVES = (idempotent, atomic)
