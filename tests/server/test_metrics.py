"""Metrics: a real server is scraped over loopback, and compared with what was sent."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from graph.app import create_app
from graph.execution.documents.persisted import operation_names
from graph.execution.running.counts import MOST_NAMES, OTHER, Histogram, OperationCounts
from graph.execution.running.observation import Observation
from tests.conftest import client_of, eventually, free_port, serving, settings_for
from tests.mutations import mutation
from tests.server.live import raw_socket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.engine import Database
    from graph.settings import Settings
    from tests.conftest import LiveServer

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboard.json"
JSON = {"content-type": "application/json"}
NAMES = re.compile(r"\b(?:graph|process)_\w+")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(port: int) -> Samples:
    """The value of each sample, by its name and labels."""
    page = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def requests(samples: Samples) -> dict[tuple[str, str, str], float]:
    """The number of requests by operation, type and code."""
    return {
        (labels["operation"], labels["type"], labels["code"]): number
        for (name, pairs), number in samples.items()
        if name == "graph_requests_total"
        for labels in [dict(pairs)]
    }


@contextmanager
def metered(url: str, *options: str, **environment: str) -> Iterator[tuple[LiveServer, int]]:
    port = free_port()
    with serving(
        *options, GRAPH_DATABASE_URL=url, GRAPH_METRICS_PORT=str(port), **environment
    ) as server:
        yield server, port


def post(server: LiveServer, query: str, **content: object) -> httpx.Response:
    return httpx.post(f"{server.url}/graphql", json={"query": query, **content})


CREATE = mutation("createItem", key=True).replace("mutation", "mutation Create", 1)
CHAIR = {"name": "Chair", "costPrice": "9.20", "sellingPrice": "10.80"}
TREE = "query Tree { customers(first: 100) { nodes { orders(first: 27) { nodes { id } } } } }"
LIMITED = {
    "GRAPH_MAX_COST": "3000",
    "GRAPH_COST_CAPACITY": "3000",
    "GRAPH_COST_PER_SECOND": "1",
}


def test_metrics_tell_what_was_sent(database_url: str) -> None:
    with metered(database_url, **LIMITED) as (server, port):
        codes = Counter([code_of(post(server, TREE))])
        for _ in range(3):
            post(server, "query Shelf { items { nodes { name } } }")
        post(server, "{ items(first: 2) { nodes { id } } }")
        post(server, "query Shelf { nothing }")
        httpx.post(f"{server.url}/graphql", content=b"{", headers=JSON)
        codes += Counter(code_of(post(server, TREE)) for _ in range(12))
        samples = scraped(port)

    assert codes["RATE_LIMITED"] > 0
    assert requests(samples) == {
        ("Shelf", "query", "OK"): 3,
        ("anonymous", "query", "OK"): 1,
        ("none", "none", "GRAPHQL_VALIDATION_FAILED"): 1,
        ("none", "none", "BAD_REQUEST"): 1,
    } | {("Tree", "query", code): number for code, number in codes.items() if number}
    shelf = {"operation": "Shelf", "type": "query"}
    assert value(samples, "graph_request_duration_seconds_count", **shelf) == 3
    assert value(samples, "graph_sql_duration_seconds_count", **shelf) == 3
    assert (
        0
        < value(samples, "graph_sql_duration_seconds_sum", **shelf)
        < value(samples, "graph_request_duration_seconds_sum", **shelf)
    )
    assert value(samples, "graph_document_reads_total", result="hit") >= 2
    assert value(samples, "graph_document_reads_total", result="miss") >= 3
    assert value(samples, "graph_operation_cost_total", **shelf) > 0
    assert value(samples, "graph_cost_charged_total") > value(samples, "graph_cost_refunded_total")
    assert value(samples, "graph_cost_refused_total") > 0
    assert value(samples, "graph_pool_size") == 10
    assert value(samples, "graph_pool_in_use") == 0
    assert value(samples, "graph_places", line="proven") == 64
    assert value(samples, "graph_places_in_use", line="proven") == 0


def code_of(response: httpx.Response) -> str:
    errors = response.json().get("errors")
    return errors[0]["extensions"]["code"] if errors else "OK"


async def test_metrics_tell_of_events_replays_and_live_connections(database_url: str) -> None:
    with metered(database_url) as (server, port):
        for key in ("a", "a", "b"):
            assert code_of(post(server, CREATE, variables={"input": CHAIR, "key": key})) == "OK"
        async with raw_socket(int(server.url.rsplit(":", 1)[1])) as live:
            live.subscribe("1", "subscription Watch { live { items { totalCount } } }")
            assert (await live.receive())["type"] == "next"
            live.subscribe("2", "subscription Bad { nothing }")
            assert (await live.receive())["type"] == "error"
            live.subscribe("3", "query Shelf { items { totalCount } }")
            assert [(await live.receive())["type"] for _ in "nc"] == ["next", "complete"]
            eventually(lambda: value(scraped(port), "graph_events_settled") == 2)
            samples = scraped(port)
        eventually(lambda: value(scraped(port), "graph_subscriptions") == 0)
        after = scraped(port)

    assert requests(samples) == {
        ("Create", "mutation", "OK"): 3,
        ("Watch", "subscription", "OK"): 1,
        ("none", "none", "GRAPHQL_VALIDATION_FAILED"): 1,
        ("Shelf", "query", "OK"): 1,
    }
    assert value(samples, "graph_idempotent_replays_total") == 1
    assert value(samples, "graph_events_last") == 2
    assert value(samples, "graph_live_connections") == value(samples, "graph_subscriptions") == 1
    assert value(samples, "graph_subscription_results_total") == 1
    assert value(samples, "graph_outages") == 0
    assert value(samples, "graph_places_in_use", line="reading") == 0
    assert value(samples, "graph_subscription_groups", kind="query") == 1
    assert value(samples, "graph_subscription_groups", kind="events") == 0
    assert value(after, "graph_live_connections") == 0
    assert value(after, "graph_upkeep_runs_total", result="done") == 1
    assert value(after, "graph_webhook_messages_total", result="delivered") == 0


async def test_a_timeout_is_counted_for_its_operation(database: Database) -> None:
    port, url = free_port(), database.engine.url.render_as_string(hide_password=False)
    settings = settings_for(
        url, metrics_port=port, operation_timeout_seconds=2, statement_timeout_seconds=2
    )
    async with client_of(create_app(settings)) as client, database.engine.begin() as other:
        await client("query Shelf { items { nodes { name } } }")
        await other.execute(text("LOCK TABLE items"))
        answer = await client.answer("query Shelf { items { nodes { name } } }")
        assert answer["errors"][0]["extensions"]["code"] == "TIMEOUT"
        samples = await asyncio.to_thread(scraped, port)

    assert requests(samples) == {
        ("Shelf", "query", "OK"): 1,
        ("Shelf", "query", "TIMEOUT"): 1,
    }


async def test_an_application_without_a_port_serves_no_metrics_and_loads_nothing() -> None:
    code = """
import asyncio, sys
from graph.app import create_app
from tests.conftest import client_of, settings_for
async def main():
    app = create_app(settings_for("postgresql://nobody@127.0.0.1:1/none"))
    async with client_of(app) as client:
        assert (await client.http.get("/health/live")).status_code == 200
        assert (await client.http.get("/metrics")).status_code == 404
        assert "prometheus_client" not in sys.modules
        assert client.execution.counts is None
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def test_the_public_port_has_no_metrics(settings: Settings) -> None:
    port = free_port()
    app = create_app(settings.model_copy(update={"metrics_port": port}))
    async with client_of(app) as client:
        assert (await client.http.get("/metrics")).status_code == 404
        await asyncio.to_thread(scraped, port)
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(scraped, port)


async def test_a_port_in_use_is_logged_and_the_api_is_served(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        app = create_app(settings.model_copy(update={"metrics_port": port}))
        async with client_of(app) as client:
            assert await client("{ __typename }") == {"__typename": "Query"}
    assert f"metrics cannot be served at 127.0.0.1:{port}: " in capsys.readouterr().err


def test_each_worker_has_a_port_of_its_own(database_url: str) -> None:
    with metered(database_url, "--workers", "2") as (server, port):
        eventually(lambda: is_scraped(port + 1), seconds=30)
        for _ in range(10):
            post(server, "query Shelf { items { nodes { name } } }")
        numbers = [requests(scraped(each)) for each in (port, port + 1)]

    assert sum(each.get(("Shelf", "query", "OK"), 0) for each in numbers) == 10


def is_scraped(port: int) -> bool:
    try:
        return bool(scraped(port))
    except httpx.TransportError:
        return False


# Names are bounded


def counted(name: str | None, *, counts: OperationCounts, codes: tuple[str, ...] = ()) -> None:
    observation = Observation()
    operation = SimpleNamespace(name=name, type="query")
    observation.work = cast("Any", SimpleNamespace(operation=operation, source=None))
    observation.place = cast("Any", SimpleNamespace(statement_seconds=0.0))
    observation.end(codes)
    counts.add(observation)


def test_the_names_of_clients_are_bounded() -> None:
    counts = OperationCounts()
    counted("Refused", counts=counts, codes=("FORBIDDEN",))
    for number in range(MOST_NAMES + 50):
        counted(f"Name{number}", counts=counts)
    counted("Name0", counts=counts)
    counted(None, counts=counts)

    assert len(counts.requests) == MOST_NAMES + 3
    assert counts.requests["Name0", "query", "OK"] == 2
    assert counts.requests[OTHER, "query", "OK"] == 50
    assert counts.requests[OTHER, "query", "FORBIDDEN"] == 1
    assert counts.requests["anonymous", "query", "OK"] == 1


def test_with_a_manifest_only_its_names_are_counted_apart() -> None:
    names = operation_names(["query A { x } mutation B { y }", "{ anonymous }", "no GraphQL {"])
    assert names == {"A", "B"}
    counts = OperationCounts(names)
    for name in ("A", "B", "C"):
        counted(name, counts=counts)

    assert {name for name, _, _ in counts.requests} == {"A", "B", OTHER}


def test_a_histogram_counts_each_time_in_the_first_bucket_that_holds_it() -> None:
    histogram = Histogram()
    for seconds in (0.0, 0.001, 0.0011, 10.0, 11.0):
        histogram.add(seconds)

    assert [number for number in histogram.buckets if number] == [2, 1, 1, 1]
    assert histogram.buckets[0] == 2
    assert histogram.buckets[-1] == 1


# The dashboard


async def test_the_dashboard_shows_each_metric_and_no_other(settings: Settings) -> None:
    port = free_port()
    more = {
        "metrics_port": port,
        "cost_capacity": 100_000,
        "replica_urls": (settings.database_url,),
    }
    app = create_app(settings.model_copy(update=more), keeps_order=True)
    async with client_of(app) as client:
        await client("{ items { nodes { name } } }")
        samples = await asyncio.to_thread(scraped, port)
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
    ]
    shown = {name for query in queries for name in NAMES.findall(query)}
    exported = {name for name, _ in samples if not name.endswith("_created")}

    assert shown <= exported
    assert {family(name) for name in exported} == {family(name) for name in shown}
    labels = {label for query in queries for label in re.findall(r"sum by \(([^)]*)\)", query)}
    known = {label for _, pairs in samples for label, _ in pairs} | {"instance", "job"}
    assert {part for label in labels for part in label.split(", ")} <= known


def family(name: str) -> str:
    return re.sub(r"_(?:bucket|count|sum)$", "", name)
