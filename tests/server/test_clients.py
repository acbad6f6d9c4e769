"""Apollo Client, urql and graphql-request, unmodified, against a live server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from tests.conftest import serving
from tests.node import run_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.embedded import Cluster
    from tests.conftest import LiveServer


@pytest.fixture(scope="module")
def batching(live_server: LiveServer, cluster: Cluster) -> Iterator[LiveServer]:
    assert live_server.url  # its store is the one
    with serving(GRAPH_DATABASE_URL=cluster.url("live_store"), GRAPH_MAX_BATCH="5") as server:
        yield server


def test_clients_are_answered_in_every_way_they_ask(batching: LiveServer, cluster: Cluster) -> None:
    query = {"query": "{ customers(first: 2) { nodes { firstName } } }"}
    nodes = httpx.post(f"{batching.url}/graphql", json=query).json()["data"]["customers"]["nodes"]
    names = [node["firstName"] for node in nodes]

    results: dict[str, Any] = run_client("clients.mjs", f"{batching.url}/graphql")

    assert results == {
        "apollo": {"data": names, "sent": ["POST query"]},
        "apollo, first by hash": {"data": names, "sent": ["POST hash", "POST query"]},
        "apollo, again by hash": {"data": names, "sent": ["POST hash"]},
        "apollo, by hash and GET": {"data": names, "sent": ["GET hash"]},
        "apollo, in a batch": {"data": [*names, 1], "sent": ["POST batch of 2"]},
        "apollo, an error": {"data": "GRAPHQL_VALIDATION_FAILED", "sent": ["POST query"]},
        "apollo, a mutation": {"data": ["CustomerSaved", "apollo"], "sent": ["POST query"]},
        "apollo, a mutation that is refused": {
            "data": ["ValidationFailed", ["input.username TAKEN", "input.email TAKEN"]],
            "sent": ["POST query"],
        },
        "apollo, in parts": {"data": [True, names], "sent": ["POST query"]},
        "urql": {"data": names, "sent": ["POST query"]},
        "urql, first by hash": {"data": names, "sent": ["GET hash", "GET query"]},
        "urql, again by hash": {"data": names, "sent": ["GET hash"]},
        "urql, in parts": {"data": [True, names], "sent": ["POST query"]},
        "urql, a mutation": {"data": ["CustomerSaved", "urql"], "sent": ["POST query"]},
        "graphql-request": {"data": names, "sent": ["POST query"]},
        "graphql-request, a mutation": {
            "data": ["CustomerSaved", "request"],
            "sent": ["POST query"],
        },
        "graphql-request, in a batch": {"data": [*names, 1], "sent": ["POST batch of 2"]},
    }
    assert stored(cluster.url("live_store")) == [
        (name, "A", "B", f"{name}@x.example", "C", "D") for name in ("apollo", "request", "urql")
    ]


def stored(url: str) -> list[tuple[str, ...]]:
    """The customers that the clients have made, as they are in their table."""

    async def read() -> list[tuple[str, ...]]:
        connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
        try:
            rows = await connection.fetch(
                "SELECT username, first_name, last_name, email, address, town FROM customers"
                " WHERE email LIKE '%@x.example' ORDER BY username"
            )
        finally:
            await connection.close()
        return [tuple(row) for row in rows]

    return asyncio.run(read())


def test_clients_of_subscriptions_get_answers_as_they_change(live_server: LiveServer) -> None:
    results: dict[str, Any] = run_client("subscriptions.mjs", f"{live_server.url}/graphql")

    towns = ["Town 1", "Town 2", "Town 3"]
    assert set(results) == {
        "graphql-ws",
        "graphql-sse",
        "apollo, socket",
        "apollo, multipart",
        "urql, socket",
        "urql, events",
        "relay",
    }
    for name, result in results.items():
        assert result == {"towns": towns, "refused": "GRAPHQL_VALIDATION_FAILED"}, name
