"""The measuring: rounds in which the servers take turns, each time in another order."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.generator import Generator
    from bench.running import Running
    from bench.statements import Statements
    from bench.store import Store
    from bench.workloads import Workload

T = TypeVar("T")

# Node is at its best after some 2,000 requests. PostgreSQL chooses a generic plan after five on
# each of ten connections, so even the slowest server gets one batch.
_WARM_UP_REQUESTS = 3000
_WARM_UP_SECONDS = 5.0
_WARM_UP_BATCH = 80
_WARM_UP_CONNECTIONS = 16
_FEWEST_REQUESTS = 20


@dataclass(frozen=True)
class Round:
    """What so many requests cost one server."""

    requests: int
    server_cpu_seconds: float
    postgres_cpu_seconds: float
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def cpu_per_thousand(self) -> float:
        return (self.server_cpu_seconds + self.postgres_cpu_seconds) / self.requests * 1000

    @property
    def server_cpu_per_thousand(self) -> float:
        return self.server_cpu_seconds / self.requests * 1000

    @property
    def postgres_cpu_per_thousand(self) -> float:
        return self.postgres_cpu_seconds / self.requests * 1000

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


@dataclass
class Cell:
    """All rounds of one server under one workload and number of connections."""

    workload: str
    connections: int
    server: str
    statements: Statements
    rounds: list[Round] = field(default_factory=list)
    resident_bytes: int = 0

    def ratios_to(self, limit: Cell) -> list[float]:
        """CPU seconds as multiples of the limit's, each round compared with its own."""
        return [
            mine.cpu_per_thousand / theirs.cpu_per_thousand
            for mine, theirs in zip(self.rounds, limit.rounds, strict=True)
        ]

    def middle(self, what: Callable[[Round], float]) -> float:
        return median(what(round_) for round_ in self.rounds)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    connections: Sequence[int]
    rounds: int
    # How many requests a round has; or, if None, as many as take about `round_seconds`.
    requests: int | None
    round_seconds: float

    def count(self, connections: int, rate: float) -> int:
        """The requests of each of a server's rounds, in two digits; `rate` is those of a second."""
        if self.requests:
            return self.requests
        wanted = max(rate * self.round_seconds, _FEWEST_REQUESTS, connections)
        unit: int = 10 ** max(int(math.log10(wanted)) - 1, 0)
        return math.ceil(wanted / unit) * unit


@dataclass(frozen=True)
class Measuring:
    """All that the measuring of every workload has in common."""

    servers: Sequence[Running]
    store: Store
    generator: Generator
    plan: Plan
    # Says what is being done, to somebody who waits.
    tell: Callable[[str], None]

    def rows(
        self, workload: Workload, statements: Mapping[str, Statements]
    ) -> Iterator[list[Cell]]:
        """Yield the cells of one number of connections after the other, one for each server."""
        rates = {}
        servers = [server for server in self.servers if workload.takes_part(server.name)]
        for server in servers:
            self.tell(f"{workload.name}: warms up {server.name}")
            rates[server.name] = self.warm_up(workload, server)
        for connections in self.plan.connections:
            cells = {
                name: Cell(workload.name, connections, name, statements[name]) for name in rates
            }
            for number in range(self.plan.rounds):
                self.tell(f"{workload.name}, {connections} connections, round {number + 1}")
                for server in rotated(servers, number):
                    count = self.plan.count(connections, rates[server.name])
                    cell = cells[server.name]
                    cell.rounds.append(self.round(workload, server, connections, count))
                    cell.resident_bytes = server.resident_bytes()
            yield list(cells.values())

    def warm_up(self, workload: Workload, server: Running) -> float:
        """Send requests until all is compiled; return how many a second were answered at best."""
        rate, sent, began = 0.0, 0, time.monotonic()
        while sent < _WARM_UP_REQUESTS and time.monotonic() < began + _WARM_UP_SECONDS:
            # About half a second: long enough for a rate that the rounds can be planned by.
            batch = max(_WARM_UP_BATCH, round(rate / 2))
            run = self.generator.run(server, workload, _WARM_UP_CONNECTIONS, batch)
            rate, sent = max(rate, batch / run.seconds), sent + batch
        return rate

    def round(self, workload: Workload, server: Running, connections: int, count: int) -> Round:
        """Send so many requests, and return what they cost."""
        server_before, postgres_before = server.cpu_seconds(), self._postgres_seconds(server)
        run = self.generator.run(server, workload, connections, count)
        server_after, postgres_after = server.cpu_seconds(), self._postgres_seconds(server)
        server.check_alive()
        each = sorted(run.each)
        return Round(
            requests=count,
            server_cpu_seconds=server_after - server_before,
            postgres_cpu_seconds=postgres_after - postgres_before,
            seconds=run.seconds,
            p50_ms=_percentile(each, 0.50) * 1000,
            p99_ms=_percentile(each, 0.99) * 1000,
        )

    def _postgres_seconds(self, server: Running) -> float:
        """Of PostgreSQL, its replicas, and a pooler in front of it."""
        return self.store.cpu_seconds() + server.beside.cpu_seconds()


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def rotated(taking_turns: Sequence[T], by: int) -> list[T]:
    """The same, beginning so many places later."""
    start = by % len(taking_turns)
    return [*taking_turns[start:], *taking_turns[:start]]
