"""What a worker still does when it gets more than it can: `python -m bench.overload`.

First the capacity: requests over some connections, each of which sends the next one when it has an
answer. Then four times as many connections, then four times as many requests a second as were
answered, then documents that no request had before. A refusal is answered by the next request at
once: no client is worse. Beside each load, from the same address, one connection sends a quick
query, and `/health/live` is asked over new connections.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.table import Table

from bench import report
from bench.crowd import QUICK, asked, serving
from bench.processes import cpu_seconds
from bench.servers import SERVERS
from bench.store import running_store
from bench.workloads import WORKLOADS, Cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.crowd import Watched
    from bench.store import Store

_TIMES = 4
# Connections of the load that is as fast as four times the capacity, whatever is answered.
_OPEN_TIMES = 12
_TIMEOUT_SECONDS = 60
_PAUSE_SECONDS = 0.02
_SETTLING_SECONDS = 1.0
_OK = "200"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class _Phase:
    """The answers to one load by status, and what was seen beside it, in seconds."""

    statuses: dict[str, int]
    lost: int
    each: list[float]
    seconds: float
    cpu_seconds: float
    quick: list[float]
    quick_refused: int
    health: list[float]
    # The most of the processor's time that the event loop used without a pause.
    stall: float

    @property
    def per_second(self) -> float:
        return self.statuses.get(_OK, 0) / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.statuses.get(_OK, 0) / self.cpu_seconds


def _phase(server: Watched, load: dict[str, Any]) -> _Phase:
    """Put a load on the server, and look at it meanwhile."""
    arguments = [sys.executable, "-m", "bench.pressure"]
    used = cpu_seconds(server.pid)
    sending = subprocess.Popen(  # noqa: S603  our own command
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert sending.stdin is not None  # noqa: S101  they are pipes
    assert sending.stdout is not None  # noqa: S101
    sending.stdin.write(orjson.dumps({"port": server.port, **load}))
    sending.stdin.close()
    began = perf_counter()
    quick, health, refused = [], [], 0
    with closing(_connection(server)) as http:
        asked(http, "GET", "/bench/stalls")  # from here on
        while perf_counter() - began < load["seconds"]:
            seconds, status = _quick(http)
            quick.append(seconds)
            refused += status != int(_OK)
            with closing(_connection(server)) as new:
                health.append(asked(new, "GET", "/health/live")[0])
            sleep(_PAUSE_SECONDS)
        _, stalls = asked(http, "GET", "/bench/stalls")
    result = orjson.loads(sending.stdout.read())
    sending.wait()
    used = cpu_seconds(server.pid) - used
    sleep(_SETTLING_SECONDS)
    return _Phase(
        result["statuses"],
        result["lost"],
        result["seconds"],
        load["seconds"],
        used,
        quick,
        refused,
        health,
        stalls["busy"],
    )


def _connection(server: Watched) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", server.port, timeout=_TIMEOUT_SECONDS)


def _quick(http: HTTPConnection) -> tuple[float, int]:
    began = perf_counter()
    http.request("POST", "/graphql", QUICK, {"content-type": "application/json"})
    response = http.getresponse()
    response.read()
    return perf_counter() - began, response.status


def _bodies(store: Store, workload: str) -> list[str]:
    encode = SERVERS["graph"].cursors(lambda _: None)
    given = WORKLOADS[workload]
    bodies = []
    for number in range(given.requests):
        variables = {
            name: encode(value.customer_id) if isinstance(value, Cursor) else value
            for name, value in given.variables(number, store.customers).items()
        }
        request = given.request_for("graph", variables, given.sent_as)
        bodies.append(orjson.dumps(request).decode())
    return bodies


def _row(name: str, phases: Sequence[_Phase], capacities: Sequence[_Phase]) -> list[str]:
    pairs = list(zip(phases, capacities, strict=True))
    answers = sum(sum(phase.statuses.values()) for phase in phases) or 1
    good = sum(phase.statuses.get(_OK, 0) for phase in phases)
    quick = [seconds for phase in phases for seconds in phase.quick]
    return [
        name,
        f"{median(phase.per_second for phase in phases):.0f}",
        f"{median(a.per_second / b.per_second for a, b in pairs):.2f}",
        f"{median(a.per_cpu_second / b.per_cpu_second for a, b in pairs):.2f}",
        _percent(answers - good, answers),
        str(sum(phase.lost for phase in phases)),
        _milliseconds([seconds for phase in phases for seconds in phase.each]),
        _milliseconds(quick),
        _percent(sum(phase.quick_refused for phase in phases), len(quick)),
        _milliseconds([seconds for phase in phases for seconds in phase.health]),
        f"{max(phase.stall for phase in phases) * 1000:.0f}",
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _milliseconds(seconds: list[float]) -> str:
    if len(seconds) < _TIMES:
        return "-"
    values = (median(seconds), quantiles(seconds, n=100, method="inclusive")[-1], max(seconds))
    return "/".join(f"{value * 1000:.0f}" for value in values)


@app.command()
def overload(
    workload: Annotated[str, typer.Option(help=f"{', '.join(WORKLOADS)}.")] = "point",
    connections: Annotated[int, typer.Option(min=1, max=80, help="At capacity.")] = 64,
    seconds: Annotated[float, typer.Option(min=1, help="How long each load lasts.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often all are measured.")] = 3,
    scale: Annotated[float, typer.Option(min=0.01, help="1 is 10,000 customers.")] = 0.1,
) -> None:
    """Measure the goodput beyond the capacity, as ratios to it, and who suffers."""
    table = Table(box=None, pad_edge=False)
    head = ("load", "200/s", "ratio", "by CPU", "refused", "lost", "each", "quick", "refused")
    for column in (*head, "health", "stall"):
        table.add_column(column, justify="right" if column != "load" else "left", no_wrap=True)
    # All connections come from one address here.
    limits = {"GRAPH_MAX_CONNECTIONS_PER_ADDRESS": "1000"}
    with running_store(scale) as store, serving(store, limits) as server:
        load: dict[str, Any] = {
            "bodies": _bodies(store, workload),
            "connections": connections,
            "seconds": seconds,
        }
        many = {**load, "connections": _TIMES * connections}
        new = {**many, "bodies": _bodies(store, "new-nested")}
        _phase(server, {**load, "seconds": 1.0})
        names = ("capacity", "4 x connections", "4 x a second", "new documents")
        phases: dict[str, list[_Phase]] = {name: [] for name in names}
        for _ in range(rounds):
            capacity = _phase(server, load)
            open_ = {
                **load,
                "connections": _OPEN_TIMES * connections,
                "rate": _TIMES * capacity.per_second,
            }
            others = [_phase(server, each) for each in (many, open_, new)]
            for name, phase in zip(names, (capacity, *others), strict=True):
                phases[name].append(phase)
    for name, measured in phases.items():
        table.add_row(*_row(name, measured, phases["capacity"]))
    out = report.console()
    out.print(table)
    out.print(
        "The ratios of good answers are to the first line of the same round: by the second, and"
        " by the server's CPU second; their medians. Milliseconds are median/p99/most: of good"
        " answers, of a quick query beside the load, and of /health/live; and of the event loop's"
        " longest stall.",
        style="dim",
    )


if __name__ == "__main__":
    app()
