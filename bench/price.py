"""How honest prices are, and what a crowd of slow operations does to the others.

    python -m bench.price worst     the worst ratios of time to price, over generated operations
    python -m bench.price crowd     a quick query and /health/ready beside 200 slow operations

`worst` draws operations as the oracle of the tests does, and runs each of them without limits. The
price "before" counts objects and pages only; "after" counts the rows that lists look at as well.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import orjson
import typer
import uvloop
from pydantic import SecretStr
from rich.table import Table

from bench import report
from bench.store import running_store
from bench.workloads import WORKLOADS
from graph.database.engine import Database
from graph.execution.planning.cost import Price
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
    from collections.abc import Iterator, Sequence

    from bench.store import Store
    from graph.execution.running.concurrency import Place
    from graph.execution.running.request import Answer
    from graph.execution.running.work import Work
    from graph.viewer import Viewer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_MAX_COST: int = Settings.model_fields["max_cost"].default
_SHOWN = 10
_TEXT_CHARS = 70
_START_SECONDS = 30.0
# Quicker operations cost what any round trip does.
_NOTICEABLE_MS = 5

_SEVEN_AGGREGATES = ", ".join(
    f"{{orders: {{{function}: {{{column}: DESC}}}}}}"
    for function, column in (
        ("sum", "total"),
        ("avg", "total"),
        ("min", "total"),
        ("max", "total"),
        ("max", "datePlaced"),
        ("min", "datePlaced"),
    )
)


def _some(depth: int) -> str:
    inner = "{quantity: {gt: 1}}"
    for _ in range(depth):
        inner = f"{{item: {{orderLines: {{some: {inner}}}}}}}"
    return inner


# What attackers sent, beside what the generator draws.
_ATTACKS = (
    f"{{ customers(first: 1, orderBy: [{_SEVEN_AGGREGATES}]) {{ nodes {{ id }} }} }}",
    *(f"{{ orderLines(first: 1, where: {_some(n)}) {{ nodes {{ id }} }} }}" for n in (1, 2, 3, 5)),
    "{ customers { totalCount } orders { totalCount } orderLines { totalCount } }",
    "{ orderLines { aggregates { count sum { quantity } } } }",
    (
        "{ customers(where: {orders: {some: {lineItems: {some: {quantity: {gt: 3}}}}}})"
        " { totalCount } }"
    ),
    "{ orders(orderBy: [{total: DESC}], first: 1) { nodes { id } } }",
    (
        '{ orders { groups(by: [{datePlaced: {unit: DAY, timeZone: "Europe/Berlin"}}])'
        " { aggregates { count sum { total } } } } }"
    ),
    '{ customers(where: {lastName: {contains: "zz"}}) { totalCount } }',
)


@dataclass(frozen=True)
class _Measured:
    text: str
    milliseconds: float
    before: int
    after: int

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

    def _work(self, *arguments: Any) -> Work:
        self.work = super()._work(*arguments)
        return self.work

    async def _run(self, work: Work, request: Request, viewer: Viewer, place: Place) -> Answer:
        try:
            return await super()._run(work, request, viewer, place)
        finally:
            self.seconds = place.reads.seconds

    async def measured(self, text: str, variables: dict[str, Any]) -> _Measured | None:
        """None for an operation that is refused, or has no statement."""
        self.work, self.seconds = None, 0.0
        await self.answer(Request(text, variables), SYSTEM)
        if self.work is None or self.work.compiled is None or not self.seconds:
            return None
        seconds, values = self.seconds, self.work.values
        for _ in range(2 if seconds < 1 else 0):  # the first runs plan the statement
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
        found = [await execution.measured(WORKLOADS["nested"].text, {})]
        found += [await execution.measured(text, {}) for text in _ATTACKS]
        until = perf_counter() + budget_seconds
        for seed in range(operations):
            drawn = _Writer(core, known, Choices(random.Random(seed))).operation()  # noqa: S311
            found.append(await execution.measured(drawn.text, drawn.variables[0]))
            if perf_counter() > until:
                break
    finally:
        await database.close()
    nested, *others = [each for each in found if each is not None]
    return [nested, *(each for each in others if each.milliseconds >= _NOTICEABLE_MS)]


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
    admitted = [each for each in measured if each.after <= _MAX_COST]
    refused = [each for each in measured if each.before <= _MAX_COST < each.after]
    rows = sorted(admitted, key=lambda each: -each.ratio_after)
    out.print(_table("after", rows, unit, before=False))
    rows = sorted(refused, key=lambda each: each.milliseconds)
    out.print(_table("now refused, the quickest first", rows, unit, before=False))


@app.command()
def crowd(
    scale: Annotated[float, typer.Option(min=0.01, help="1 is 10,000 customers.")] = 1.0,
    profile: Annotated[str, typer.Option(help="development or production.")] = "development",
    max_cost: Annotated[int, typer.Option(help="High enough to admit the slow ones.")] = 10**9,
    capacity: Annotated[int, typer.Option(help="Of the bucket that all of them share.")] = 10**12,
) -> None:
    """Measure a quick query and /health/ready, alone and beside 200 slow operations."""
    limits = {"GRAPH_MAX_COST": str(max_cost), "GRAPH_COST_CAPACITY": str(capacity)}
    with running_store(scale) as store, _serving(store, {"GRAPH_PROFILE": profile} | limits) as url:
        idle, beside, statuses = asyncio.run(_beside(url))
    table = Table(box=None, pad_edge=False)
    for column in ("", "quick p50", "quick p95", "quick max", "ready p95", "ready max"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("alone", *idle.columns())
    table.add_row("beside 200", *beside.columns())
    out = report.console()
    out.print(table)
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    out.print(f"Milliseconds. The answers of the crowd by status: {counts}", style="dim")


@dataclass(frozen=True)
class _Paced:
    quick: list[float]
    ready: list[float]

    def columns(self) -> list[str]:
        p95 = [statistics.quantiles(each, n=20)[-1] for each in (self.quick, self.ready)]
        shown = (statistics.median(self.quick), p95[0], max(self.quick), p95[1], max(self.ready))
        return [f"{value * 1000:.1f}" for value in shown]


async def _beside(url: str) -> tuple[_Paced, _Paced, list[int]]:
    idle = await _paced(url, asyncio.ensure_future(asyncio.sleep(3)))
    texts = [_ATTACKS[nth % 5].replace("{ id }", f"{{ a{nth}: id }}") for nth in range(200)]
    script = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.price", "send", url, *texts, stdout=asyncio.subprocess.PIPE
    )
    end = asyncio.ensure_future(script.communicate())
    await asyncio.sleep(1)
    beside = await _paced(url, end)
    return idle, beside, orjson.loads(end.result()[0])


async def _paced(url: str, end: asyncio.Future[Any]) -> _Paced:
    """How long a quick query and a probe take, again and again until the end."""
    body = {"query": "{ customer(by: {databaseId: 1}) { firstName } }"}
    quick, ready = [], []
    async with httpx.AsyncClient(timeout=60) as http:
        while not end.done():
            began = perf_counter()
            response = await http.post(f"{url}/graphql", json=body)
            quick.append(perf_counter() - began)
            if "errors" in response.json():
                raise AssertionError(response.text)
            began = perf_counter()
            if (await http.get(f"{url}/health/ready")).status_code != httpx.codes.OK:
                raise AssertionError("not ready")
            ready.append(perf_counter() - began)
            await asyncio.sleep(0.01)
    return _Paced(quick, ready)


@app.command(hidden=True)
def send(url: str, texts: list[str]) -> None:
    """Send all operations at once, from a process of its own; print their statuses."""

    async def ask() -> list[int]:
        async with httpx.AsyncClient(timeout=120, limits=httpx.Limits()) as http:
            requests = [http.post(f"{url}/graphql", json={"query": text}) for text in texts]
            return [answer.status_code for answer in await asyncio.gather(*requests)]

    sys.stdout.write(orjson.dumps(asyncio.run(ask())).decode())


@contextmanager
def _serving(store: Store, environment: dict[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"GRAPH_DATABASE_URL": store.url, "GRAPH_LOG_LEVEL": "warning"} | environment
    process = subprocess.Popen(  # noqa: S603  our own command
        [sys.executable, "-m", "graph", "serve", "--port", str(port)],
        env=os.environ | environment,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(url: str) -> None:
    until = perf_counter() + _START_SECONDS
    while perf_counter() < until:
        try:
            if httpx.get(f"{url}/health/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        sleep(0.1)
    raise TimeoutError(url)


if __name__ == "__main__":
    app()
