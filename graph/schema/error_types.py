"""The domain errors of `graph.errors` as GraphQL types: members of the unions of mutations."""

from typing import Any

import strawberry

from graph.errors import DomainError, ErrorCode, ProblemCode, Reason, ReasonCode
from graph.schema.build import build
from graph.schema.context import Info
from graph.schema.enum_lookup import plain
from graph.schema.enums import enum
from graph.schema.fields import Meaning, column, declare
from graph.schema.node import Node

for codes, about in (
    (
        ErrorCode,
        "The kinds of errors: `extensions.code` in `errors`, and `code` of a mutation's error.",
    ),
    (ProblemCode, "The kinds of problems of a value."),
    (ReasonCode, "The reasons for which a change is not allowed."),
):
    enum(codes, about, **{code.name: code.description for code in codes})


@strawberry.interface(description="The reason why a mutation changed nothing.")
class Error:
    code: ErrorCode = column("The kind of the error. Each type of error has one code.")
    message: str = column("The message for a person.")


@strawberry.type(name="Reason", description="A reason for which a change is not allowed.")
class ReasonShown:
    code: ReasonCode = column("The reason.")
    message: str = column("The message for a person.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, Reason)


@strawberry.type(description="One invalid value.")
class Problem:
    path: list[str] = column("The path to the value in the arguments, with list indexes.")
    code: ProblemCode = column("The kind of the problem.")
    message: str = column("The message for a person.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return type(value).__name__ == cls.__name__


@strawberry.type(description="Some values are invalid; all of them are listed.")
class ValidationFailed(Error):
    problems: list[Problem] = plain("The problems, one for each invalid value.")


@strawberry.type(description="The object to change does not exist.")
class NotFound(Error):
    id: strawberry.ID = column("The global id without an object.")


def _current(root: Any, info: Info) -> Any:
    return info.context.loaders.node(root.entity, root.key)


@strawberry.type(description="The object has been changed since it was read.")
class Conflict(Error):
    current: Node | None = declare(
        Meaning.CURRENT,
        "The object in its current version; null if it has been deleted.",
        resolver=_current,
    )


@strawberry.type(description="The state of the object does not allow the change.")
class NotAllowed(Error):
    reasons: list[ReasonShown] = plain("The reasons.")


@strawberry.type(description="The idempotency key was already used for a different request.")
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
    """Register the type for the domain error of the same name."""
    _TYPES[type_.__name__] = type_
    return type_


def shown(refusal: DomainError) -> Error:
    """The domain error as its type; graphql-core would treat the exception itself as a failure."""
    type_ = _TYPES[type(refusal).__name__]
    return build(type_, code=refusal.code, message=refusal.message, **vars(refusal))
