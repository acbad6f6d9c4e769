"""What a mutation can answer instead of its success: the refusals of `graph.errors`, as types."""

from typing import Any

import strawberry

from graph.errors import DomainError, Reason
from graph.schema.build import build
from graph.schema.context import Info
from graph.schema.enum_lookup import plain
from graph.schema.fields import Meaning, column, declare
from graph.schema.node import Node


@strawberry.interface(description="Why a mutation has changed nothing.")
class Error:
    code: str = column("Always the same for the same kind of error.")
    message: str = column("The error in words.")


@strawberry.type(name="Reason", description="Why something is not allowed.")
class ReasonShown:
    code: str = column("Always the same for the same reason.")
    message: str = column("The reason in words.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, Reason)


@strawberry.type(description="One value that cannot be.")
class Problem:
    path: list[str] = column("The way to the value through the arguments, list indexes included.")
    code: str = column("Always the same for the same kind of problem.")
    message: str = column("The problem in words.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return type(value).__name__ == cls.__name__


@strawberry.type(description="Some values cannot be: all of them are listed.")
class ValidationFailed(Error):
    problems: list[Problem] = plain("What is wrong, value by value.")


@strawberry.type(description="What was to be changed does not exist.")
class NotFound(Error):
    id: strawberry.ID = column("The global id that names nothing.")


def _current(root: Any, info: Info) -> Any:
    return info.context.loaders.node(root.entity, root.key)


@strawberry.type(description="Somebody else has changed the object since it was read.")
class Conflict(Error):
    current: Node | None = declare(
        Meaning.CURRENT, "The object as it is now; null if it is gone by now.", resolver=_current
    )


@strawberry.type(description="Things are in a state that does not allow it.")
class NotAllowed(Error):
    reasons: list[ReasonShown] = plain("Why not.")


@strawberry.type(description="The idempotency key was used before, for another request.")
class IdempotencyMismatch(Error):
    pass


_TYPES: dict[str, type[Error]] = {
    type_.__name__: type_
    for type_ in (
        ValidationFailed,
        NotFound,
        Conflict,
        NotAllowed,
        IdempotencyMismatch,
    )
}


def register(type_: type[Error]) -> type[Error]:
    """Let a refusal of the same name be shown as this type."""
    _TYPES[type_.__name__] = type_
    return type_


def shown(refusal: DomainError) -> Error:
    """The refusal as the type of the same name; graphql-core takes an exception for a failure."""
    type_ = _TYPES[type(refusal).__name__]
    return build(type_, code=refusal.code, message=refusal.message, **vars(refusal))
