"""Many rows of one kind at once, each by the same rule as if it came alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.database.writes import stock
from graph.errors import InvalidId, Problem, Refusal, ValidationFailed
from graph.opaque import decode_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.database.transaction import Transaction

    Create: TypeAlias = Callable[[Transaction, Mapping[str, Any], tuple[str, ...]], Awaitable[int]]

MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What came of one row: its key, or what is wrong with it."""

    index: int
    key: int | None
    problems: Sequence[Problem] = ()


async def create_all(
    transaction: Transaction,
    create: Create,
    rows: Sequence[Mapping[str, Any]],
    *,
    skips: bool,
) -> list[RowOutcome]:
    """Create a row for each that is given; one outcome for each, same order.

    With `skips`, rows that are refused are left out.

    Raises:
        ValidationFailed: too many rows; without `skips`, all that is wrong with any of them.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        message = f"There are from 1 to {MOST_ROWS} rows, not {len(rows)}."
        raise ValidationFailed([Problem(("rows",), "OUT_OF_RANGE", message)])
    await _lock_items(transaction, rows)
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
    path = ("rows", str(index))
    try:
        async with transaction.savepoint():
            return RowOutcome(index, await create(transaction, given, path))
    except ValidationFailed as refusal:
        # A constraint does not know of rows.
        problems = [
            problem
            if problem.path[:1] == path[:1]
            else Problem((*path, *problem.path[1:]), problem.code, problem.message)
            for problem in refusal.problems
        ]
        return RowOutcome(index, None, problems)
    except Refusal as refusal:
        return RowOutcome(index, None, [Problem(path, refusal.code, refusal.message)])


async def _lock_items(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Take the items of all rows in the order of their ids: row by row they come in any order."""
    found = set()
    for row in rows:
        for line in row.get("lines") or ():
            try:
                noun, key = decode_id(line["item_id"])
            except InvalidId:
                continue
            found |= {key} if noun == "Item" else set()
    if found:
        await stock.locked(transaction, sorted(found))
