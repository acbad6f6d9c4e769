"""What live data costs: `make bench ARGS="--workload live"`.

One server, and subscribers by WebSocket in a process of their own. Printed are ratios of the same
thing with subscribers and without, and absolute figures where there is nothing to compare with:

    point    the latency of a look-up, idle, beside waiting subscribers, and while events come
    place    the CPU of placing orders, without subscribers and with those of other orders
    idle     the CPU of a worker that follows the log while nothing happens
    memory   what a waiting connection takes
    fan-out  the CPU of one result for one subscriber; the time from the change to its arrival
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import tempfile
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

import httpx
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from bench import report
from bench.running import running
from bench.servers import SERVERS
from bench.store import running_store
from graph.relay import to_global_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from bench.running import Running
    from bench.store import Store

# The name of this workload, which has no peers.
LIVE = "live"

_POINT = "query ($n: BigInt!) { customer(by: {databaseId: $n}) { firstName email } }"
_TOUCH = """mutation ($id: ID!, $town: String!) { updateCustomer(input: {id: $id, town: $town,
    expectedVersion: {any: true}}) { ... on CustomerSaved { customer { version } } } }"""
_PLACE = """mutation ($input: PlaceOrderInput!) { placeOrder(input: $input)
    { ... on OrderSaved { order { id } } } }"""
_EVENTS = "subscription { events { cursor node { databaseId kind entity occurredAt } } }"
_OF_ORDER = """subscription ($id: ID!) { events(where: {orderId: {eq: $id}})
    { cursor node { kind } } }"""
_PER_SECOND = 5
_BUYERS = 16
# After so long without an event, a worker looks at the log less often.
_QUIET_SECONDS = 6.0
_CONNECTING_AT_ONCE = 50

_LIMITS = (
    *("MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_ADDRESS", "MAX_LIVE_CONNECTIONS"),
    *("MAX_LIVE_CONNECTIONS_PER_CLIENT", "MAX_SUBSCRIPTIONS", "MAX_SUBSCRIPTIONS_PER_CLIENT"),
)
_GRAPH = SERVERS["graph"]
_SERVER = replace(
    _GRAPH,
    environment=lambda store: {
        **_GRAPH.environment(store),
        **{f"GRAPH_{name}": "20000" for name in _LIMITS},
    },
)


def _subscribe(pipe: Connection, url: str, number: int, *, of_orders: bool) -> None:
    """The other process: hold subscriptions, and send back when each result arrived."""
    asyncio.run(_hold(pipe, url, number, of_orders=of_orders))


async def _hold(pipe: Connection, url: str, number: int, *, of_orders: bool) -> None:
    arrived: list[float] = []
    gate = asyncio.Semaphore(_CONNECTING_AT_ONCE)

    async def read(socket: ClientConnection) -> None:
        async for message in socket:
            arrived.extend([monotonic()] if '"next"' in str(message)[:60] else ())

    async with AsyncExitStack() as stack:

        async def open_one(nth: int) -> ClientConnection:
            async with gate:
                options: Any = {"compression": None, "ping_interval": None, "max_queue": None}
                socket = await stack.enter_async_context(
                    connect(url, subprotocols=["graphql-transport-ws"], **options)  # type: ignore[list-item]
                )
                await socket.send('{"type":"connection_init"}')
                await socket.recv()
                text = _OF_ORDER if of_orders else _EVENTS
                variables = {"id": to_global_id("Order", nth + 1)} if of_orders else {}
                payload = {"query": text, "variables": variables}
                await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
                return socket

        sockets = await asyncio.gather(*(open_one(nth) for nth in range(number)))
        readers = [asyncio.create_task(read(socket)) for socket in sockets]
        await asyncio.to_thread(pipe.send, "ready")
        while await asyncio.to_thread(pipe.recv) != "end":
            await asyncio.to_thread(pipe.send, list(arrived))
            arrived.clear()
        for reader in readers:
            reader.cancel()


@contextmanager
def _subscribers(running: Running, number: int, *, of_orders: bool = False) -> Iterator[Connection]:
    here, there = multiprocessing.get_context("spawn").Pipe()
    url = f"ws://127.0.0.1:{running.port}/graphql"
    process = multiprocessing.get_context("spawn").Process(
        target=_subscribe, args=(there, url, number), kwargs={"of_orders": of_orders}, daemon=True
    )
    process.start()
    try:
        if not here.poll(120):
            raise running.failure("did not take all subscriptions")
        here.recv()
        yield here
        here.send("end")
        process.join(20)
    finally:
        process.kill()


@dataclass
class _Results:
    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, value: str) -> None:
        self.rows.append((name, value))


class _Bench:
    def __init__(self, running: Running, store: Store, number: int) -> None:
        self._running, self._store, self._number = running, store, number
        self._url = f"http://127.0.0.1:{running.port}/graphql"
        self._towns = 0

    def cpu(self) -> float:
        return self._running.cpu_seconds() + self._store.cpu_seconds()

    async def _ask(self, client: httpx.AsyncClient, query: str, **variables: Any) -> float:
        began = perf_counter()
        response = await client.post(self._url, json={"query": query, "variables": variables})
        if b'"errors"' in response.content:
            raise self._running.failure(response.text)
        return perf_counter() - began

    async def latencies(self, number: int) -> list[float]:
        """Of look-ups, one after the other."""
        async with httpx.AsyncClient(timeout=60) as client:
            return [
                await self._ask(client, _POINT, n=str(1 + n % self._store.customers))
                for n in range(number)
            ]

    async def change(self, stop: asyncio.Event) -> list[float]:
        """Change a customer so many times a second; when each change was committed."""
        committed = []
        async with httpx.AsyncClient(timeout=60) as client:
            while not stop.is_set():
                self._towns += 1
                id_ = to_global_id("Customer", 1 + self._towns % self._store.customers)
                await self._ask(client, _TOUCH, id=id_, town=f"Town {self._towns}")
                committed.append(monotonic())
                await asyncio.sleep(1 / _PER_SECOND)
        return committed

    async def place(self, number: int) -> float:
        """The CPU seconds of an order, of clients that place them one after the other."""

        async def order(nth: int) -> None:
            lines = [{"itemId": to_global_id("Item", 1 + nth % 200), "quantity": 1}]
            customer = to_global_id("Customer", 1 + nth % self._store.customers)
            await self._ask(client, _PLACE, input={"customerId": customer, "lines": lines})

        async def buy(first: int) -> None:
            for nth in range(first, number, _BUYERS):
                await order(nth)

        async with httpx.AsyncClient(timeout=60) as client:
            began = self.cpu()
            await asyncio.gather(*(buy(first) for first in range(_BUYERS)))
            return (self.cpu() - began) / number

    async def idle(self, seconds: float) -> float:
        await asyncio.sleep(_QUIET_SECONDS)
        began, at = self.cpu(), monotonic()
        await asyncio.sleep(seconds)
        return (self.cpu() - began) / (monotonic() - at)


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def measure(bench: _Bench, running: Running, number: int, *, rounds: int) -> _Results:
    results = _Results()
    run = asyncio.run
    run(bench.latencies(500))
    run(bench.place(100))
    alone = [_p99(run(bench.latencies(500))) for _ in range(rounds)]
    results.add("point, idle: p99", f"{median(alone) * 1000:.1f} ms")
    results.add("idle, nobody listens: of a core", f"{run(bench.idle(5)):.2%}")
    placed = [run(bench.place(400)) for _ in range(rounds)]
    before = running.resident_bytes()
    with _subscribers(running, number, of_orders=True):
        each = (running.resident_bytes() - before) / number
        results.add("memory of a waiting connection", f"{each / 1024:.1f} KiB")
        results.add("idle, all wait: of a core", f"{run(bench.idle(5)):.2%}")
        beside = [run(bench.place(400)) for _ in range(rounds)]
        ratio = f"{median(beside) / median(placed):.2f}"
        results.add(f"place, {number:,} subscribers of other orders / none: CPU", ratio)
    with _subscribers(running, number) as pipe:
        waiting = [_p99(run(bench.latencies(500))) for _ in range(rounds)]
        results.add("point, all wait / idle: p99", f"{median(waiting) / median(alone):.2f}")
        _under_events(bench, pipe, results, number=number, alone=median(alone), rounds=rounds)
    return results


def _under_events(
    bench: _Bench, pipe: Connection, results: _Results, *, number: int, alone: float, rounds: int
) -> None:
    async def beside() -> tuple[list[float], list[float]]:
        stop = asyncio.Event()
        changing = asyncio.create_task(bench.change(stop))
        found = [_p99(await bench.latencies(1_000)) for _ in range(rounds)]
        stop.set()
        return found, await changing

    async def quiet(seconds: float) -> list[float]:
        stop = asyncio.Event()
        changing = asyncio.create_task(bench.change(stop))
        await asyncio.sleep(seconds)
        stop.set()
        return await changing

    pipe.send("tell")
    pipe.recv()
    found, _ = asyncio.run(beside())
    results.add(f"point, {_PER_SECOND} events a second / idle: p99", f"{median(found) / alone:.2f}")
    pipe.send("tell")
    pipe.recv()
    began = bench.cpu()
    committed = asyncio.run(quiet(10))
    asyncio.run(asyncio.sleep(1))
    spent = bench.cpu() - began
    pipe.send("tell")
    arrived = pipe.recv()
    if len(arrived) != len(committed) * number:
        results.add("results that are missing", f"{len(committed) * number - len(arrived):,}")
    results.add("one result for one subscriber", f"{spent / len(arrived) * 1e6:.0f} µs of CPU")
    delays = sorted(
        at - max(each for each in committed if each <= at) for at in arrived if at > committed[0]
    )
    p95 = delays[int(len(delays) * 0.95)]
    results.add(
        "from the answer to the change to its arrival: p50 / p95",
        f"{median(delays) * 1000:.0f} / {p95 * 1000:.0f} ms",
    )


def measure_live(*, subscribers: int = 1_000, rounds: int = 3, scale: float = 0.1) -> None:
    """Measure what subscribers cost, and what others notice of them; print a table."""
    table = Table(f"{subscribers:,} subscribers, one worker", "", box=None, pad_edge=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_store(scale) as store,
        running(_SERVER, store, Path(folder)) as running_server,
    ):
        bench = _Bench(running_server, store, subscribers)
        for name, value in measure(bench, running_server, subscribers, rounds=rounds).rows:
            table.add_row(name, value)
    report.console().print(table)
