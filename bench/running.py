"""A server that runs, and what can be asked of it: requests, CPU seconds, memory."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bench.errors import ServerFailed
from bench.ports import free_port
from bench.processes import cpu_seconds, resident_bytes
from bench.servers import inherited_environment
from bench.workloads import LIMIT, Cursor, Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.beside import Beside
    from bench.servers import Server
    from bench.store import Store
    from bench.workloads import Workload

PATH = "/graphql"

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_ROOT = Path(__file__).parent.parent


@dataclass
class Running:
    server: Server
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    beside: Beside
    encode_cursor: Callable[[int], str | int] = str

    @property
    def name(self) -> str:
        return self.server.name

    def ask(self, query: str) -> Any:
        """Send a query outside of all measuring, and return its data."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_START_SECONDS)
        try:
            headers = {"content-type": "application/json", "accept": "application/json"}
            connection.request("POST", PATH, json.dumps({"query": query}), headers)
            return json.loads(connection.getresponse().read())["data"]
        finally:
            connection.close()

    def bodies(self, workload: Workload, customers: int) -> list[str]:
        """The bodies of all the different requests of a workload, as this server takes them."""
        sent_as = Texts.SAME if self.name == LIMIT else workload.sent_as
        given = (workload.variables(number, customers) for number in range(workload.requests))
        requests = (
            workload.request_for(self.name, self._encoded(variables), sent_as)
            for variables in given
        )
        return [orjson.dumps(request).decode() for request in requests]

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    def resident_bytes(self) -> int:
        return resident_bytes(self.process.pid)

    def check_alive(self) -> None:
        if self.process.poll() is not None:
            raise self.failure(f"ended by itself with status {self.process.returncode}")

    def failure(self, problem: str) -> ServerFailed:
        said = self.log.read_text(errors="replace").strip().splitlines()
        last = "".join(f"\n    {line}" for line in said[-15:])
        return ServerFailed(f"{self.name} {problem}{last}")

    def _encoded(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self.encode_cursor(value.customer_id) if isinstance(value, Cursor) else value
            for name, value in variables.items()
        }


@contextmanager
def running(server: Server, store: Store, folder: Path) -> Iterator[Running]:
    """The server, ready to answer; it is stopped when the block ends.

    Raises:
        PeerMissing: what it needs is not there, and cannot be fetched.
        ServerFailed: it does not start.
    """
    own = folder / server.name
    own.mkdir(mode=0o755)
    with server.beside(store, own) as beside, _process(server, store, own, beside) as started:
        _await_readiness(started)
        started.encode_cursor = server.cursors(started.ask)
        yield started


@contextmanager
def _process(server: Server, store: Store, folder: Path, beside: Beside) -> Iterator[Running]:
    port = free_port()
    log = folder / "log"
    environment = {"PORT": str(port), **server.environment(store), **beside.environment}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  our own commands
            server.command(port),
            cwd=_ROOT,
            env=inherited_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Running(server, port, process, log, beside)
    finally:
        _stop(process)


def _await_readiness(started: Running) -> None:
    """Wait until it answers anything in HTTP."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        started.check_alive()
        connection = http.client.HTTPConnection("127.0.0.1", started.port, timeout=_START_SECONDS)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise started.failure(f"did not answer within {_START_SECONDS:.0f} seconds of its start")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
