"""What a mutation can answer instead of its success: the refusals of `graph.errors`, as types."""

from typing import Any

import strawberry

from graph.errors import Refusal
from graph.schema.actions import ReasonShown
from graph.schema.chosen import plain
from graph.schema.context import Info
from graph.schema.fields import Meaning, column, declare
from graph.schema.mutations.payloads import reference
from graph.schema.records import record
from graph.schema.types import Item, Node


@strawberry.interface(description="Why a mutation has changed nothing.")
class Error:
    code: str = column("Always the same for the same kind of error.")
    message: str = column("The error in words.")


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
    return info.context.loaders.node(root.noun, root.key)


@strawberry.type(description="Somebody else has changed the object since it was read.")
class Conflict(Error):
    current: Node | None = declare(
        Meaning.CURRENT, "The object as it is now; null if it is gone by now.", resolver=_current
    )


@strawberry.type(description="One item of which there are not enough pieces.")
class Shortage:
    item: Item = reference("The item.")
    requested: int = column("How many pieces are wanted.")
    available: int = column("How many pieces there are.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return type(value).__name__ == cls.__name__


@strawberry.type(description="Fewer pieces are in stock than are wanted.")
class InsufficientStock(Error):
    lines: list[Shortage] = plain("The items of which there are not enough.")


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
        InsufficientStock,
        NotAllowed,
        IdempotencyMismatch,
    )
}


def shown(refusal: Refusal) -> Error:
    """The refusal as the type of the same name; graphql-core takes an exception for a failure."""
    type_ = _TYPES[type(refusal).__name__]
    return record(type_, code=refusal.code, message=refusal.message, **vars(refusal))
