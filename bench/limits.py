"""What the limits cost those who keep to them: `python -m bench.limits`.

The application runs in this process, without HTTP's bytes: once as it is, and once without what
each request pays for a limit (the sizes and the deadline of its body, the size of its variables,
the price, the bucket, the limiter, the deadline of its operation and the watch for clients that
hang
up). Blocks of requests alternate between the two; each pair of blocks gives a ratio of CPU seconds.
"""

from __future__ import annotations

import gc
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Annotated, Any
from unittest.mock import patch

import typer
import uvloop
from pydantic import SecretStr
from rich.table import Table
from starlette.requests import ClientDisconnect

from bench import report
from bench.in_process import Application
from bench.servers import SERVERS
from bench.store import running_store
from bench.workloads import WORKLOADS, Cursor
from graph.app import create_app
from graph.execution.running.execute import Execution
from graph.execution.running.request import Answer
from graph.server.graphql import GraphQL
from graph.server.requests import (
    check_body_format,
    headers_of,
    idempotency_key,
    json_of,
    request_of,
)
from graph.server.responses import answer_response
from graph.settings import LogLevel, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Receive, Scope

    from bench.store import Store
    from bench.workloads import Workload
    from graph.execution.running.request import Request
    from graph.server.accept import Accepted
    from graph.viewer import Viewer

_COMPARED = ("point", "list", "nested")
_WARM_UP_REQUESTS = 500
# A client's bucket that no measuring empties.
_CAPACITY = 10**12

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class _OpenEndpoint(GraphQL):
    """One query by POST, without limits."""

    async def _post(
        self, scope: Scope, receive: Receive, accepted: Accepted, viewer: Viewer, client: str
    ) -> ASGIApp:
        check_body_format(headers_of(scope))
        given = json_of(await _body(receive), "The request body")
        if idempotency_key(scope) or isinstance(given, list):
            raise AssertionError(given)
        began = perf_counter()
        execution: Execution = scope["state"]["execution"]
        answer = await execution.answer(request_of(given, client), viewer)
        return self._in_parts(answer, accepted, began) or answer_response(answer, accepted.whole)


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message["body"])
        if not message["more_body"]:
            return b"".join(chunks)


class _OpenExecution(Execution):
    """A compiled query, without limits."""

    async def _answer(self, request: Request, viewer: Viewer) -> Answer:
        del viewer
        operation = self._planner.operation(request)
        variables = operation.variables.coerced(request.variables)
        if request.takes_parts or not operation.is_query:
            raise AssertionError(request)
        compiled, values = operation.compiled(variables)
        if compiled.uncompiled or compiled.query is None or operation.is_mutation:
            raise AssertionError(request)
        columns = await self._database.fetch_json(compiled.query, values)
        return Answer(compiled.body(columns, {}), cache_control=compiled.cache_control)


@dataclass(frozen=True)
class _Block:
    """CPU seconds of so many requests."""

    python: float
    postgres: float

    @property
    def both(self) -> float:
        return self.python + self.postgres


@dataclass(frozen=True)
class _Pair:
    limited: _Block
    unlimited: _Block

    def ratio(self, of: Callable[[_Block], float]) -> float:
        return of(self.limited) / of(self.unlimited)


async def _block(application: Application, bodies: Sequence[bytes], store: Store) -> _Block:
    gc.collect()
    postgres, python = store.cpu_seconds(), process_time()
    await application.ask(bodies)
    python = process_time() - python
    return _Block(python, store.cpu_seconds() - postgres)


def _bodies(workload: Workload, customers: int, count: int) -> list[bytes]:
    encode = SERVERS["graph"].cursors(lambda _: None)

    def body(number: int) -> bytes:
        given = workload.variables(number % workload.requests, customers)
        variables = {
            name: encode(value.customer_id) if isinstance(value, Cursor) else value
            for name, value in given.items()
        }
        return json.dumps({"query": workload.text, "variables": variables}).encode()

    return [body(number) for number in range(count)]


async def _started(until_the_end: AsyncExitStack, settings: Settings, *, limits: bool) -> Any:
    endpoint, execution = (GraphQL, Execution) if limits else (_OpenEndpoint, _OpenExecution)
    with (
        patch("graph.server.app.GraphQL", endpoint),
        patch("graph.server.app.Execution", execution),
    ):
        made = create_app(settings)
        state = await until_the_end.enter_async_context(made.router.lifespan_context(made))
    return Application(made, {**(state or {})})


async def _measure(
    store: Store, *, pairs: int, requests: int, bucket: bool
) -> dict[str, list[_Pair]]:
    settings = Settings(
        database_url=SecretStr(store.url),
        log_level=LogLevel.WARNING,
        cost_capacity=_CAPACITY if bucket else None,
    )
    measured: dict[str, list[_Pair]] = {}
    async with AsyncExitStack() as until_the_end:
        limited = await _started(until_the_end, settings, limits=True)
        unlimited = await _started(until_the_end, settings, limits=False)
        gc.collect()
        gc.freeze()
        gc.disable()
        for name in _COMPARED:
            bodies = _bodies(WORKLOADS[name], store.customers, requests)
            warm_up = _bodies(WORKLOADS[name], store.customers, _WARM_UP_REQUESTS)
            if await limited.ask(warm_up) != await unlimited.ask(warm_up):
                raise AssertionError(name)
            measured[name] = []
            for number in range(pairs):
                blocks = {}
                for each in (limited, unlimited) if number % 2 else (unlimited, limited):
                    blocks[each.app] = await _block(each, bodies, store)
                measured[name].append(_Pair(blocks[limited.app], blocks[unlimited.app]))
    return measured


def _row(pairs: Sequence[_Pair], requests: int) -> list[str]:
    def microseconds(of: Callable[[_Pair], float]) -> str:
        return f"{median(of(pair) for pair in pairs) / requests * 1e6:.0f}"

    return [
        _spread([pair.ratio(lambda block: block.both) for pair in pairs]),
        _spread([pair.ratio(lambda block: block.python) for pair in pairs]),
        microseconds(lambda pair: pair.unlimited.python),
        microseconds(lambda pair: pair.unlimited.postgres),
    ]


def _spread(ratios: Sequence[float]) -> str:
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


@app.command()
def limits(
    pairs: Annotated[int, typer.Option(min=2, help="Blocks with limits, and without.")] = 100,
    requests: Annotated[int, typer.Option(min=10, help="Requests of a block.")] = 200,
    scale: Annotated[float, typer.Option(min=0.01, help="1 is 10,000 customers.")] = 0.1,
) -> None:
    """Measure what the limits cost legitimate requests, as ratios of CPU seconds."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "all CPU", "Python's", "Python, us", "PostgreSQL, us"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    with running_store(scale) as store:
        for bucket in (False, True):
            measuring = _measure(store, pairs=pairs, requests=requests, bucket=bucket)
            for name, measured in uvloop.run(measuring).items():
                table.add_row(
                    name + (", with a bucket" if bucket else ""), *_row(measured, requests)
                )
    out = report.console()
    out.print(table)
    out.print(
        f"Limits on as multiples of limits off: the median of {pairs} pairs of blocks of {requests}"
        " requests, in parentheses the quartiles. The last two columns: a request without limits.",
        style="dim",
    )


if __name__ == "__main__":
    app()
