"""The end of a server, as its clients and its balancer see it."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conftest import serving

if TYPE_CHECKING:
    from tests.conftest import LiveServer

CLIENTS = 8
# Longer than the balancer needs for a look, on a busy machine too.
DRAIN_SECONDS = 3
DELAY = 1.5
QUERY = {"query": "{ customers { totalCount } }"}
ANSWER = {"data": {"customers": {"totalCount": 0}}}


@dataclass
class Balancer:
    """Sends each request to the next instance that was ready when it looked last."""

    ready: list[str] = field(default_factory=list)
    answered: int = 0
    ended: int = 0
    lost: list[str] = field(default_factory=list)

    async def look(self, servers: list[LiveServer]) -> None:
        while True:
            async with httpx.AsyncClient() as http:
                self.ready = [each.url for each in tuple(servers) if await is_ready(http, each)]
            await asyncio.sleep(0.05)

    async def send(self, http: httpx.AsyncClient) -> None:
        while True:
            for url in tuple(self.ready):
                try:
                    response = await http.post(f"{url}/graphql", json=QUERY)
                except httpx.TransportError as error:
                    self.lost.append(repr(error))
                else:
                    self.ended += response.headers.get("connection") == "close"
                    self.answered += 1
                    assert response.json() == ANSWER
            await asyncio.sleep(0.01)


async def is_ready(http: httpx.AsyncClient, server: LiveServer) -> bool:
    try:
        return (await http.get(f"{server.url}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_rolling_restart_loses_no_request(database_url: str) -> None:
    settings = {"GRAPH_DATABASE_URL": database_url, "GRAPH_DRAIN_SECONDS": str(DRAIN_SECONDS)}
    balancer = Balancer()
    with ExitStack() as stack:
        first, second = (stack.enter_context(serving(**settings)) for _ in range(2))
        servers = [first, second]
        async with asyncio.TaskGroup() as group, httpx.AsyncClient(timeout=30) as http:
            tasks = [group.create_task(balancer.look(servers))]
            tasks += [group.create_task(balancer.send(http)) for _ in range(CLIENTS)]
            await asyncio.sleep(0.5)
            for old in (first, second):
                servers.append(await asyncio.to_thread(stack.enter_context, serving(**settings)))
                old.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(old.process.wait, 30) == 0
                assert len(balancer.ready) == 2
            answered = balancer.answered
            await asyncio.sleep(0.3)
            for task in tasks:
                task.cancel()

    assert balancer.lost == []
    assert balancer.answered > answered > 100


@pytest.mark.parametrize("workers", [1, 2])
def test_readiness_ends_first_then_connections_and_then_the_server(
    database_url: str, workers: int
) -> None:
    settings = {"GRAPH_DATABASE_URL": database_url, "GRAPH_DRAIN_SECONDS": str(DELAY)}
    with serving("--workers", str(workers), **settings) as server, httpx.Client() as http:
        before = http.post(f"{server.url}/graphql", json=QUERY)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        seen: list[tuple[float, int, bool]] = []
        while server.process.poll() is None and time.monotonic() - began < 20:
            try:
                ready = http.get(f"{server.url}/health/ready")
                response = http.post(f"{server.url}/graphql", json=QUERY)
            except httpx.TransportError:
                break
            assert response.json() == ANSWER
            ended = response.headers.get("connection") == "close"
            seen.append((time.monotonic() - began, ready.status_code, ended))
            time.sleep(0.02)
        assert server.process.wait(30) == 0

    assert "connection" not in before.headers
    readiness = [ready for _, ready, _ in seen]
    not_ready = readiness.index(503)
    assert set(readiness[not_ready:]) == {503}
    assert seen[not_ready][2] is False
    assert seen[-1][2] is True
    assert all(at >= DELAY for at, _, ended in seen if ended)


def test_ctrl_c_does_not_wait(database_url: str) -> None:
    settings = {"GRAPH_DATABASE_URL": database_url, "GRAPH_DRAIN_SECONDS": "60"}
    with serving(**settings) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0


def test_a_second_sigterm_does_not_wait(database_url: str) -> None:
    settings = {"GRAPH_DATABASE_URL": database_url, "GRAPH_DRAIN_SECONDS": "60"}
    with serving(**settings) as server:
        server.process.send_signal(signal.SIGTERM)
        while httpx.get(f"{server.url}/health/ready").status_code == 200:
            time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
