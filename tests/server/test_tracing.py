"""Traces have a span for each request, operation and step, and no value of a client."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from graph.app import create_app
from graph.errors import InvalidSetting
from graph.server import tracing
from graph.settings import ExecutionMode, LogFormat, LogLevel
from tests.conftest import client_of
from tests.rows import fill
from tests.server.live import raw_socket, streaming_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.settings import Settings
    from tests.conftest import Client
    from tests.server.live import RawSocket

QUERY = 'query Shelf($n: Int) { items(first: $n, where: {name: {eq: "secret"}}) { totalCount } }'
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHERS = [(f"{nth:032x}", f"{nth:016x}") for nth in (1, 2)]


@asynccontextmanager
async def traced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> AsyncIterator[tuple[Client, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "OTLPSpanExporter", lambda: exporter)
    app = create_app(settings.model_copy(update={"traces": True} | more))
    async with client_of(app) as client:
        yield client, exporter


@asynccontextmanager
async def traced_socket(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    *,
    headers: dict[str, str] | None = None,
    payload: dict[str, Any] | None = None,
    **more: Any,
) -> AsyncIterator[tuple[RawSocket, InMemorySpanExporter]]:
    """A socket whose spans are exported when the block has ended."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "OTLPSpanExporter", lambda: exporter)
    traced = settings.model_copy(update={"traces": True} | more)
    async with (
        streaming_server(traced, counts=False) as server,
        raw_socket(server.port, initialised=False, headers=headers) as socket,
    ):
        await socket.initialised(payload)
        yield socket, exporter


def context_of(ids: tuple[str, str], flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{ids[0]}-{ids[1]}-{flags}", "tracestate": "vendor=x"}


async def run(socket: RawSocket, query: str, **payload: Any) -> dict[str, Any]:
    """Run an operation to its end; return its first message."""
    socket.send(id="a", type="subscribe", payload={"query": query, **payload})
    first = last = await socket.receive()
    while last["type"] == "next":
        last = await socket.receive()
    return first


def by_name(exporter: InMemorySpanExporter) -> dict[str, Any]:
    return {span.name: span for span in exporter.get_finished_spans()}


def parent_of(span: Any) -> str:
    return format_span_id(span.parent.span_id) if span.parent else ""


def id_of(span: Any) -> str:
    return format_span_id(span.get_span_context().span_id)


async def test_a_request_its_operation_and_its_steps_are_spans(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"query": QUERY, "variables": {"n": 77}}
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=x"}
    async with traced(settings, monkeypatch) as (client, exporter):
        await client.http.post("/graphql", json=body, headers=headers)
        await client.http.get("/health/live")
    spans = by_name(exporter)

    steps = {"graphql.parse", "graphql.validate", "graphql.compile", "SELECT"}
    assert set(spans) == {"POST /graphql", "query"} | steps
    request, operation = spans["POST /graphql"], spans["query"]
    assert parent_of(request) == PARENT
    assert parent_of(operation) == id_of(request)
    assert {parent_of(spans[name]) for name in steps} == {id_of(operation)}
    check_spans(spans, within=request)
    assert request.kind is operation.kind is SpanKind.SERVER
    assert spans["SELECT"].kind is SpanKind.CLIENT
    assert request.attributes["http.request.method"] == "POST"
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["http.route"] == "/graphql"
    assert operation.attributes["graphql.operation.name"] == "Shelf"
    assert operation.attributes["graphql.operation.type"] == "query"
    assert "{name: {eq: ?}}" in operation.attributes["graphql.document"]
    assert spans["SELECT"].attributes["db.system.name"] == "postgresql"
    assert "$1" in spans["SELECT"].attributes["db.query.text"]
    assert request.resource.attributes["service.name"] == "graph"


def check_spans(spans: dict[str, Any], *, within: Any) -> None:
    """They are of the client's trace, within the outermost one, and hold no value of a client."""
    for span in spans.values():
        context = span.get_span_context()
        assert format_trace_id(context.trace_id) == TRACE
        assert context.trace_state.get("vendor") == "x"
        assert within.start_time <= span.start_time <= span.end_time <= within.end_time
    everything = " ".join(span.to_json() for span in spans.values())
    assert "secret" not in everything
    assert "77" not in json.dumps([dict(span.attributes) for span in spans.values()])


async def test_an_operation_over_a_websocket_and_its_steps_are_spans(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with traced_socket(settings, monkeypatch, headers=context_of((TRACE, PARENT))) as (
        socket,
        exporter,
    ):
        assert (await run(socket, QUERY, variables={"n": 77}))["type"] == "next"
    spans = by_name(exporter)

    steps = {"graphql.parse", "graphql.validate", "graphql.compile", "SELECT"}
    assert set(spans) == {"query"} | steps
    operation = spans["query"]
    assert parent_of(operation) == PARENT
    assert {parent_of(spans[name]) for name in steps} == {id_of(operation)}
    check_spans(spans, within=operation)
    assert operation.kind is SpanKind.SERVER
    assert operation.attributes["network.protocol.name"] == "websocket"
    assert operation.attributes["graphql.operation.name"] == "Shelf"
    assert "{name: {eq: ?}}" in operation.attributes["graphql.document"]


async def test_the_trace_of_an_operation_is_its_own_or_else_that_of_its_connection(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging = {"log_level": LogLevel.INFO, "log_format": LogFormat.JSON}
    headers, payload = context_of((TRACE, PARENT)), {"headers": context_of(OTHERS[0])}
    async with traced_socket(
        settings, monkeypatch, headers=headers, payload=payload, **logging
    ) as (socket, exporter):
        for extensions in (
            {},
            {"traceparent": context_of(OTHERS[1])["traceparent"]},
            {"traceparent": 1},
            {"traceparent": "malformed"},
        ):
            assert (await run(socket, QUERY, extensions=extensions))["type"] == "next"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "Shelf" in line]

    found: list[Any] = [span for span in exporter.get_finished_spans() if span.name == "query"]
    assert [parent_of(span) for span in found] == [OTHERS[0][1], OTHERS[1][1], OTHERS[0][1], ""]
    contexts = [span.get_span_context() for span in found]
    assert [line["trace_id"] for line in lines] == [format_trace_id(c.trace_id) for c in contexts]
    assert [context.trace_state.get("vendor") for context in contexts] == ["x", None, "x", None]


async def test_a_subscription_is_a_span_that_ends_with_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = "subscription Shelf { live { items { totalCount } } }"
    async with traced_socket(settings, monkeypatch) as (socket, exporter):
        socket.subscribe("b", live)
        assert (await socket.receive())["type"] == "next"
        socket.send(id="b", type="complete")
        assert (await run(socket, "{ nothing }"))["type"] == "error"
        assert (await run(socket, " "))["type"] == "error"
    found: list[Any] = list(exporter.get_finished_spans())

    operations = {span.name: span for span in found if span.kind is SpanKind.SERVER}
    assert set(operations) == {"subscription", "GraphQL Operation"}
    subscription = operations["subscription"]
    assert subscription.attributes["graphql.operation.name"] == "Shelf"
    assert "error.type" not in subscription.attributes
    steps = [span for span in found if parent_of(span) == id_of(subscription)]
    names = {step.name for step in steps}
    assert names == {"graphql.parse", "graphql.validate", "graphql.compile"}
    assert all(step.end_time <= subscription.end_time for step in steps)
    refused = [span for span in found if span.name == "GraphQL Operation"]
    codes = [span.attributes["error.type"] for span in refused]
    assert codes == ["GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST"]
    assert {span.status.status_code for span in refused} == {StatusCode.ERROR}


async def test_operations_over_a_websocket_are_sampled_one_by_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with traced_socket(settings, monkeypatch) as (socket, exporter):
        for extensions in ({}, context_of(OTHERS[0], "00"), context_of(OTHERS[1], "01"), {}):
            await run(socket, QUERY, extensions=extensions)

    servers: list[Any] = [
        span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER
    ]
    assert [parent_of(span) for span in servers] == [OTHERS[1][1]]


async def test_a_tracestate_that_is_too_long_or_malformed_is_dropped_in_silence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = f"00-{TRACE}-{PARENT}-01"
    async with traced(settings, monkeypatch) as (client, exporter):
        for state in ("a=b, c" + " " * 300 + "d", "a=" + "b" * 600):
            headers = {"traceparent": parent, "tracestate": state}
            await client.http.post("/graphql", json={"query": QUERY}, headers=headers)

    requests: list[Any] = [s for s in exporter.get_finished_spans() if s.name == "POST /graphql"]
    assert [parent_of(span) for span in requests] == [PARENT, PARENT]
    assert [dict(span.get_span_context().trace_state) for span in requests] == [{}, {}]
    assert "w3c" not in capsys.readouterr().err


async def test_a_path_is_cut_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with traced(settings, monkeypatch) as (client, exporter):
        await client.http.get(f"/{'x' * 10_000}")

    (request,) = by_name(exporter).values()
    assert request.attributes["url.path"] == f"/{'x' * 199}"


async def test_a_known_document_has_its_statement_only(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with traced(settings, monkeypatch) as (client, exporter):
        for _ in range(2):
            await client.http.post("/graphql", json={"query": QUERY})
    spans = by_name(exporter)
    last = [span.name for span in exporter.get_finished_spans()][-3:]

    assert set(last) == {"POST /graphql", "query", "SELECT"}
    assert len({format_trace_id(s.get_span_context().trace_id) for s in spans.values()}) == 2


async def test_statements_of_loaders_and_errors_are_spans(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = ExecutionMode.RESOLVERS
    async with traced(settings, monkeypatch, execution=mode) as (client, exporter):
        await fill(client.database, customers=2, orders=1, lines=1, items=1)
        await client("{ customers { nodes { orders { nodes { id } } } } }")
        await client.http.post("/graphql", json={"query": "{ nothing }"})
    found: list[Any] = list(exporter.get_finished_spans())

    texts = [s.attributes["db.query.text"] for s in found if s.kind is SpanKind.CLIENT]
    assert len(texts) >= 2
    assert all(text.lstrip().startswith(("SELECT", "WITH")) for text in texts)
    refused = [s for s in found if s.name == "GraphQL Operation"]
    assert [s.status.status_code for s in refused] == [StatusCode.ERROR]
    assert refused[0].attributes["error.type"] == "GRAPHQL_VALIDATION_FAILED"


async def test_sampling_is_that_of_the_environment_and_of_the_client(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with traced(settings, monkeypatch) as (client, exporter):
        for flags in ("", "00", "01"):
            parent = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"} if flags else {}
            await client.http.post("/graphql", json={"query": QUERY}, headers=parent)

    requests = [s for s in exporter.get_finished_spans() if s.name == "POST /graphql"]
    assert [parent_of(span) for span in requests] == [PARENT]


async def test_the_log_has_the_id_of_a_trace_that_begins_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logging = {"log_level": LogLevel.INFO, "log_format": LogFormat.JSON}
    async with traced(settings, monkeypatch, **logging) as (client, exporter):
        await client.http.post("/graphql", json={"query": QUERY})
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "Shelf" in line]

    context = by_name(exporter)["query"].get_span_context()
    assert line["trace_id"] == format_trace_id(context.trace_id)


def test_traces_without_the_package_are_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "graph.server.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    with pytest.raises(InvalidSetting, match=r"GRAPH_TRACES .*install graph\[otel\]"):
        create_app(settings.model_copy(update={"traces": True}))
