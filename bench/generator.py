"""The bench's end of the load process: jobs go in, and come back as numbers."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import orjson

from bench.running import PATH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.running import Running
    from bench.workloads import Workload

# The slowest server answers 500 requests of the dearest workload, on a machine that others use.
_JOB_SECONDS = 400
_LEARNING_CONNECTIONS = 8


@dataclass
class Run:
    """One job: how long it took in all, and each request in order of its end."""

    seconds: float
    each: list[float]


class Generator:
    def __init__(self, jobs: IO[bytes], reports: IO[bytes], customers: int) -> None:
        self._jobs = jobs
        self._reports = reports
        self._customers = customers

    def learn(self, server: Running, workload: Workload) -> list[str]:
        """Send every different request once; return the bodies of the answers."""
        bodies = server.bodies(workload, self._customers)
        return self._learn(_name(server, workload), server, bodies, _LEARNING_CONNECTIONS)

    def send(self, server: Running, bodies: Sequence[str], connections: int) -> list[str]:
        """Send requests of no workload once; return the bodies of the answers."""
        return self._learn("requests", server, bodies, connections)

    def run(self, server: Running, workload: Workload, connections: int, count: int) -> Run:
        """Send so many requests over so many connections; the answers must be those learnt."""
        job = {
            "name": _name(server, workload),
            "requests": server.bodies(workload, self._customers),
            "connections": connections,
            "count": count,
        }
        report = self._do("run", server, job)
        return Run(report["seconds"], report["each"])

    def _learn(
        self, name: str, server: Running, bodies: Sequence[str], connections: int
    ) -> list[str]:
        job = {"name": name, "requests": bodies, "connections": connections, "count": len(bodies)}
        learnt: list[str] = self._do("learn", server, job)["bodies"]
        return learnt

    def _do(self, what: str, server: Running, job: dict[str, Any]) -> dict[str, Any]:
        where = {"port": server.port, "path": PATH, "timeout_seconds": _JOB_SECONDS}
        self._jobs.write(orjson.dumps({"do": what, **job, **where}) + b"\n")
        self._jobs.flush()
        report: dict[str, Any] = orjson.loads(self._reports.readline())
        if problem := report.get("problem"):
            raise server.failure(f"failed at {job['name']}: it {problem}")
        return report


def _name(server: Running, workload: Workload) -> str:
    return f"{workload.name} {server.name}"


@contextmanager
def load_generator(customers: int) -> Iterator[Generator]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin  # noqa: S101
    assert process.stdout  # noqa: S101
    try:
        yield Generator(process.stdin, process.stdout, customers)
    finally:
        process.kill()
        process.communicate()
