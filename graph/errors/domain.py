"""Rules of the store that forbid a change, as members of a mutation's union."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from graph.errors.codes import ErrorCode, FileProblemCode, ProblemCode, ReasonCode
from graph.errors.root import GraphError, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN_PROBLEMS = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """One invalid value; `path` leads to it from the mutation's arguments."""

    path: tuple[str, ...]
    code: ProblemCode | FileProblemCode
    message: str

    @property
    def sentence(self) -> str:
        """The message for those who do not see the path beside it; `input` goes without saying."""
        value = ".".join(self.path[1:] if self.path[:1] == ("input",) else self.path)
        return f"{value}: {self.message}" if value else self.message


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for which a change is not allowed."""

    code: ReasonCode
    message: str


@dataclass(frozen=True, slots=True)
class Shortage:
    """An item with less stock than was requested, both in pieces."""

    item_id: int
    requested: int
    available: int


class DomainError(GraphError):
    """A rule that forbids a change. The mutation's union has a member type of the same name."""

    code: ClassVar[ErrorCode]

    @property
    def message(self) -> str:
        return str(self)


class ValidationFailed(DomainError):
    code = ErrorCode.VALIDATION_FAILED

    def __init__(self, problems: Sequence[Problem]) -> None:
        shown = [problem.sentence for problem in problems[:_SHOWN_PROBLEMS]]
        if more := len(problems) - len(shown):
            shown.append(
                "There is 1 more problem." if more == 1 else f"There are {more} more problems."
            )
        super().__init__(" ".join(shown))
        self.problems = problems


class NotFound(DomainError):
    code = ErrorCode.NOT_FOUND

    def __init__(self, entity: str, id_: str) -> None:
        super().__init__(f"There is no {entity} with the id '{shortened(id_)}'.")
        self.id = id_


class Conflict(DomainError):
    code = ErrorCode.CONFLICT

    def __init__(self, entity: str, key: int, *, expected: int, current: int) -> None:
        super().__init__(
            f"The {entity} is at version {current}, not {expected}:"
            " it has been changed since it was read."
        )
        self.entity = entity
        self.key = key


class InsufficientStock(DomainError):
    code = ErrorCode.INSUFFICIENT_STOCK

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        items = "One item does" if len(shortages) == 1 else f"{len(shortages)} items do"
        super().__init__(f"{items} not have enough stock.")
        self.shortages = shortages


class NotAllowed(DomainError):
    code = ErrorCode.NOT_ALLOWED

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(" ".join(reason.message for reason in reasons))
        self.reasons = reasons


class IdempotencyMismatch(DomainError):
    code = ErrorCode.IDEMPOTENCY_MISMATCH

    def __init__(self) -> None:
        super().__init__("This idempotency key was already used for a different request.")
