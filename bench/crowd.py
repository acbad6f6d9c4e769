"""A quick query and /health/ready beside 200 slow operations, and how the event loop fares."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import orjson
import typer
from rich.table import Table

from bench import report
from bench.attacks import ATTACKS
from bench.ports import free_port
from bench.processes import resident_bytes
from bench.store import running_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.store import Store

_CROWD = 200
_IDLE_SECONDS = 3.0
_SETTLING_SECONDS = 3.0
_START_SECONDS = 30.0
_TIMEOUT_SECONDS = 60
QUICK = orjson.dumps({"query": "{ customer(by: {databaseId: 1}) { firstName } }"})
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class _Paced:
    """What was measured in one phase: seconds, and bytes of memory after it."""

    quick: list[float]
    ready: list[float]
    stalls: dict[str, float]
    resident: int

    def columns(self) -> list[str]:
        p95 = [statistics.quantiles(each, n=20)[-1] for each in (self.quick, self.ready)]
        seconds = (
            *(statistics.median(self.quick), p95[0], max(self.quick), p95[1], max(self.ready)),
            *(self.stalls[name] for name in ("busy", "late")),
        )
        megabytes = f"{self.resident / 2**20:.0f}"
        return [*(f"{value * 1000:.1f}" for value in seconds), megabytes]


def crowd(
    scale: Annotated[float, typer.Option(min=0.01, help="1 is 10,000 customers.")] = 1.0,
    profile: Annotated[str, typer.Option(help="development or production.")] = "development",
    max_cost: Annotated[int, typer.Option(help="High enough to admit the slow ones.")] = 10**9,
    capacity: Annotated[int, typer.Option(help="Of the bucket that all of them share.")] = 10**12,
) -> None:
    """Measure a quick query and /health/ready, alone and beside 200 slow operations."""
    limits = {"GRAPH_MAX_COST": str(max_cost), "GRAPH_MAX_SCAN_COST": str(max_cost)}
    limits |= {"GRAPH_COST_CAPACITY": str(capacity), "GRAPH_PROFILE": profile}
    # Production admits nobody else without an issuer of tokens.
    limits |= {"GRAPH_ANONYMOUS_ROLE": "manager"}
    with running_store(scale) as store, serving(store, limits) as server:
        idle, beside, statuses = _beside(server)
    table = Table(box=None, pad_edge=False)
    columns = ("", "quick p50", "quick p95", "quick max", "ready p95", "ready max")
    for column in (*columns, "loop busy", "loop late", "RSS, MB"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("alone", *idle.columns())
    table.add_row(f"beside {_CROWD}", *beside.columns())
    out = report.console()
    out.print(table)
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    out.print(f"Milliseconds. The answers of the crowd by status: {counts}", style="dim")


@dataclass(frozen=True)
class Watched:
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def _beside(server: Watched) -> tuple[_Paced, _Paced, list[int]]:
    _paced(server, _after(1))  # the first requests open connections
    idle = _paced(server, _after(_IDLE_SECONDS))
    texts = [ATTACKS[nth % 5].replace("{ id }", f"{{ a{nth}: id }}") for nth in range(_CROWD)]
    arguments = [sys.executable, "-m", "bench.crowd", server.url, *texts]
    sending = subprocess.Popen(arguments, stdout=subprocess.PIPE)  # noqa: S603  our own command
    beside = _paced(server, lambda: sending.poll() is not None)
    assert sending.stdout is not None  # noqa: S101  it is a pipe
    return idle, beside, orjson.loads(sending.stdout.read())


def _after(seconds: float) -> Callable[[], bool]:
    until = perf_counter() + seconds
    return lambda: perf_counter() > until


def _paced(server: Watched, is_over: Callable[[], bool]) -> _Paced:
    """How long a quick query and a probe take, again and again until it is over.

    A blocking client uses less of the processor than the answers do.
    """
    http = HTTPConnection("127.0.0.1", server.port, timeout=_TIMEOUT_SECONDS)
    asked(http, "GET", "/bench/stalls")  # from here on
    quick, ready = [], []
    while not is_over():
        seconds, content = asked(http, "POST", "/graphql", QUICK)
        quick.append(seconds)
        if "errors" in content:
            raise AssertionError(content)
        ready.append(asked(http, "GET", "/health/ready")[0])
        sleep(0.01)
    _, stalls = asked(http, "GET", "/bench/stalls")
    sleep(_SETTLING_SECONDS)
    return _Paced(quick, ready, stalls, resident_bytes(server.pid))


def asked(http: HTTPConnection, method: str, path: str, body: bytes | None = None) -> Any:
    """The seconds until an answer, and its JSON."""
    began = perf_counter()
    http.request(method, path, body, _JSON if body else {})
    response = http.getresponse()
    content = response.read()
    seconds = perf_counter() - began
    if response.status != httpx.codes.OK:
        raise AssertionError(response.status, content)
    return seconds, orjson.loads(content)


async def _send(url: str, texts: list[str]) -> list[int]:
    """Send all operations at once; their statuses."""
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits()) as http:
        requests = [http.post(f"{url}/graphql", json={"query": text}) for text in texts]
        return [answer.status_code for answer in await asyncio.gather(*requests)]


@contextmanager
def serving(store: Store, environment: dict[str, str]) -> Iterator[Watched]:
    """A server whose event loop has a heartbeat."""
    port = free_port()
    environment = {"GRAPH_DATABASE_URL": store.url, "GRAPH_LOG_LEVEL": "warning"} | environment
    process = subprocess.Popen(  # noqa: S603  our own command
        [sys.executable, "-m", "bench.heartbeat", str(port)], env=os.environ | environment
    )
    server = Watched(port, process.pid)
    try:
        _wait_until_ready(process, server.url)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    until = perf_counter() + _START_SECONDS
    while perf_counter() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            if httpx.get(f"{url}/health/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        sleep(0.1)
    raise TimeoutError(url)


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(asyncio.run(_send(sys.argv[1], sys.argv[2:]))).decode())
