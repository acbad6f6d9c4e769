"""How honest prices are, and what a crowd of slow operations does to the others.

    python -m bench.price worst     the worst ratios of time to price, over generated operations
    python -m bench.price crowd     a quick query and /health/ready beside 200 slow operations

`worst` draws operations as the oracle of the tests does, and runs each of them without limits. The
price "before" counts objects and pages only; "after" counts the rows that lists look at as well.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
import uvloop
from pydantic import SecretStr
from rich.table import Table

from bench import report
from bench.attacks import ATTACKS
from bench.crowd import crowd
from bench.store import running_store
from bench.workloads import WORKLOADS
from graph.database.engine import Database
from graph.execution.planning.cost import CostLimits, Price
from graph.execution.running.concurrency import Limiters
from graph.execution.running.execute import Execution
from graph.execution.running.request import Request
from graph.settings import Settings
from graph.store.schema import schema
from graph.viewer import SYSTEM
from tests.execution.generator import known_of, survey
from tests.execution.generator.choices import Choices
from tests.execution.generator.operations import _Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.store import Store
    from graph.database.replicas import Reader
    from graph.execution.running.concurrency import Place
    from graph.execution.running.request import Answer
    from graph.execution.running.work import Work
    from graph.viewer import Viewer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_LIMITS = CostLimits(
    *(Settings.model_fields[name].default for name in ("max_cost", "max_scan_cost"))
)
_SHOWN = 10
_TEXT_CHARS = 70
# Quicker operations cost what any round trip does.
_NOTICEABLE_MS = 5
_QUICK_SECONDS = 1
_REPEATS = 6


@dataclass(frozen=True)
class _Measured:
    text: str
    milliseconds: float
    before: int
    after: int

    @property
    def is_admitted(self) -> bool:
        return not any(_LIMITS.errors(self.before, self.after - self.before, []))

    @property
    def ratio_before(self) -> float:
        return self.milliseconds / max(self.before, 1)

    @property
    def ratio_after(self) -> float:
        return self.milliseconds / max(self.after, 1)


class _Noting(Execution):
    """Notes the price and the time of each operation."""

    work: Work | None = None
    seconds = 0.0

    async def _run(
        self, work: Work, request: Request, viewer: Viewer, place: Place, reader: Reader
    ) -> Answer:
        self.work = work
        try:
            return await super()._run(work, request, viewer, place, reader)
        finally:
            self.seconds = place.reads.seconds

    async def measured(self, text: str, variables: dict[str, Any]) -> _Measured | None:
        """None for an operation that is refused, or has no statement."""
        self.work, self.seconds = None, 0.0
        await self.answer(Request(text, variables), SYSTEM)
        if self.work is None or self.work.compiled is None or not self.seconds:
            return None
        seconds, values = self.seconds, self.work.values
        # The first runs plan the statement, and others may use the machine.
        for _ in range(_REPEATS if seconds < _QUICK_SECONDS else 1):
            await self.answer(Request(text, variables), SYSTEM)
            seconds = min(seconds, self.seconds)
        charges = self.work.compiled.prices._charges  # noqa: SLF001  the prices without scans
        before, after = Price(charges).total(values), self.work.price.total(values)
        return _Measured(text, seconds * 1000, before, after)


async def _worst(store: Store, operations: int, budget_seconds: float) -> list[_Measured]:
    settings = Settings(database_url=SecretStr(store.url), statement_timeout_seconds=10)
    database = Database.connect(settings)
    try:
        await database.sizes.refresh()
        limiters = Limiters(expensive_after_seconds=1_000)
        execution = _Noting(schema, database, limiters=limiters)
        core = schema._schema  # noqa: SLF001  the generator draws from graphql-core's
        answer = await execution.answer(Request(survey(core), {}), SYSTEM)
        known = known_of(core, orjson.loads(answer.body)["data"])
        nested = [await execution.measured(WORKLOADS["nested"].text, {})]
        found = [await execution.measured(text, {}) for text in ATTACKS]
        until = perf_counter() + budget_seconds
        for seed in range(operations):
            drawn = _Writer(core, known, Choices(random.Random(seed))).operation()  # noqa: S311
            found.append(await execution.measured(drawn.text, drawn.variables[0]))
            if seed % 10 == 0:  # others may use the machine, now more and now less
                nested.append(await execution.measured(WORKLOADS["nested"].text, {}))
            if perf_counter() > until:
                break
    finally:
        await database.close()
    units = sorted(filter(None, nested), key=lambda each: each.milliseconds)
    noticeable = [each for each in found if each and each.milliseconds >= _NOTICEABLE_MS]
    return [units[len(units) // 2], *noticeable]


def _table(title: str, rows: Sequence[_Measured], unit: float, *, before: bool) -> Table:
    table = Table(title=title, box=None, pad_edge=False)
    for column in ("ms", "price", "ms per price", "x nested", "operation"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    for each in rows[:_SHOWN]:
        ratio = each.ratio_before if before else each.ratio_after
        price = each.before if before else each.after
        text = " ".join(each.text.split())[:_TEXT_CHARS]
        shown = (f"{each.milliseconds:.1f}", f"{price:,}", f"{ratio:.4f}", f"{ratio / unit:.1f}")
        table.add_row(*shown, text)
    return table


@app.command()
def worst(
    scale: Annotated[float, typer.Option(min=0.01, help="1 is 10,000 customers.")] = 1.0,
    operations: Annotated[int, typer.Option(min=1, help="How many are drawn.")] = 300,
    seconds: Annotated[float, typer.Option(min=1, help="No more are drawn after these.")] = 120.0,
) -> None:
    """Show the worst ratios of time to price, before and after scans had a price."""
    with running_store(scale) as store:
        nested, *measured = uvloop.run(_worst(store, operations, seconds))
    out = report.console()
    unit = nested.ratio_before
    out.print(
        f"{len(measured)} operations; nested: {nested.milliseconds:.1f} ms, price"
        f" {nested.before:,} before and {nested.after:,} after"
    )
    rows = sorted(measured, key=lambda each: -each.ratio_before)
    out.print(_table("before", rows, unit, before=True))
    admitted = [each for each in measured if each.is_admitted]
    refused = [each for each in measured if not each.is_admitted]
    rows = sorted(admitted, key=lambda each: -each.ratio_after)
    out.print(_table("after", rows, unit, before=False))
    rows = sorted(refused, key=lambda each: each.milliseconds)
    out.print(_table("refused, the quickest first", rows, unit, before=False))


app.command()(crowd)


if __name__ == "__main__":
    app()
