"""Creates many rows at once, each by the rule for a single row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.database.writes.values import INPUT
from graph.errors import DomainError, Problem, ProblemCode, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.database.transaction import Transaction

# A rule that creates one row from its values; the path leads to them. Returns the row's key.
Create: TypeAlias = "Callable[[Transaction, Mapping[str, Any], tuple[str, ...]], Awaitable[int]]"

MOST_ROWS = 1_000
_ROWS = (*INPUT, "rows")


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The result for one row: its key, or its problems."""

    index: int
    key: int | None
    problems: Sequence[Problem] = ()


async def create_all(
    transaction: Transaction,
    create: Create,
    rows: Sequence[Mapping[str, Any]],
    *,
    skips: bool,
    before: Callable[[Transaction, Sequence[Mapping[str, Any]]], Awaitable[None]] | None = None,
) -> list[RowOutcome]:
    """Create a row for each element of `rows`; return one outcome for each, in the same order.

    With `skips`, refused rows are left out. `before` is called first, with all rows.

    Raises:
        ValidationFailed: there are no rows or too many; or, without `skips`, rows have problems.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        message = f"There must be from 1 to {MOST_ROWS} rows, not {len(rows)}."
        raise ValidationFailed([Problem(_ROWS, ProblemCode.OUT_OF_RANGE, message)])
    if before is not None:
        await before(transaction, rows)
    outcomes = [
        await _outcome(transaction, create, index, given) for index, given in enumerate(rows)
    ]
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    if problems and not skips:
        raise ValidationFailed(problems)
    return outcomes


async def _outcome(
    transaction: Transaction, create: Create, index: int, given: Mapping[str, Any]
) -> RowOutcome:
    path = (*_ROWS, str(index))
    try:
        async with transaction.savepoint():
            return RowOutcome(index, await create(transaction, given, path))
    except ValidationFailed as refusal:
        # A constraint does not know of rows.
        problems = [
            problem
            if problem.path[: len(path)] == path
            else Problem((*path, *problem.path[len(INPUT) :]), problem.code, problem.message)
            for problem in refusal.problems
        ]
        return RowOutcome(index, None, problems)
    except DomainError as refusal:
        if refusal.code not in ProblemCode.__members__:
            raise
        return RowOutcome(index, None, [Problem(path, ProblemCode[refusal.code], refusal.message)])
