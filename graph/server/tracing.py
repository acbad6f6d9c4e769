"""Traces by OpenTelemetry: a span for each request, its operations, and their steps.

The names are those of the semantic conventions for HTTP, GraphQL and databases. An operation over a
WebSocket has no request of its own, so its span is the first one. Spans of operations and steps are
made when the request has ended, from what was noted meanwhile, and only for a request that is
sampled: nothing else of graph knows OpenTelemetry, and another request costs one span that records
nothing. No value of a client is in a span: literals of documents are left out, and
statements have parameters.

The environment says where traces are sent and which are (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME` and so on, as OpenTelemetry's SDK reads them).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import time_ns
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    format_trace_id,
    set_span_in_context,
)

from graph.execution.documents.literals import without_literals
from graph.server.observing import BEGIN_TRACE, REQUESTS, TRACE, traceparent
from graph.server.requests import header
from graph.telemetry import STATEMENT, steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from opentelemetry.trace import Span, Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from graph.execution.running.observation import Observation
    from graph.execution.running.request import Request
    from graph.telemetry import Step

# In the state of the application.
TRACER = "tracer"
_MOST_DOCUMENT_CHARS = 4_000
_MOST_PATH_CHARS = 200
# W3C Trace Context, section 3.3.1.5: so many are passed on; of more, none.
_MOST_STATE_CHARS = 512
_FROM_SERVER_ERRORS = 500
# Any other path is a client's text, of which there are many.
_ROUTE = "/graphql"
_UNREAD = "GraphQL Operation"


@asynccontextmanager
async def tracing() -> AsyncIterator[Tracer]:
    """The tracer of a worker; what it has traced is sent at the end, too."""
    resource = Resource({"service.name": "graph"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield provider.get_tracer("graph")
    finally:
        await asyncio.to_thread(provider.shutdown)


class Tracing:
    """Traces each request over HTTP but checks of health, and lets WebSockets trace operations."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope[BEGIN_TRACE] = OperationTrace.begin
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self._app(scope, receive, send)
            return
        tracer: Tracer = scope["state"][TRACER]
        route = f" {_ROUTE}" if scope["path"] == _ROUTE else ""
        span = tracer.start_span(f"{scope['method']}{route}", _parent(scope), SpanKind.SERVER)
        if span.is_recording():
            await self._traced(tracer, span, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _traced(
        self, tracer: Tracer, span: Span, scope: Scope, receive: Receive, send: Send
    ) -> None:
        status, recorded = 0, list["Step"]()
        scope[TRACE] = format_trace_id(span.get_span_context().trace_id)
        token = steps.set(recorded)

        async def send_noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            steps.reset(token)
            _end(tracer, span, scope, status, recorded)


class OperationTrace:
    """The trace of one operation over a WebSocket, whose steps the current task notes.

    `scope` is that of the connection, with the id of this trace.
    """

    def __init__(self, tracer: Tracer, span: Span, scope: Scope) -> None:
        trace = format_trace_id(span.get_span_context().trace_id)
        self.scope = {**scope, TRACE: trace}
        self._tracer = tracer
        self._span = span
        self._recorded = list["Step"]()
        steps.set(self._recorded)

    @classmethod
    def begin(cls, scope: Scope) -> Self | None:
        """Begin a trace; None if it is not sampled."""
        tracer: Tracer = scope["state"][TRACER]
        span = tracer.start_span(_UNREAD, _parent(scope), SpanKind.SERVER)
        return cls(tracer, span, scope) if span.is_recording() else None

    def end(self, request: Request | None, observation: Observation) -> None:
        """End it; `request` is None if it could not be read."""
        self._span.update_name(_operation_name(observation))
        self._span.set_attributes({"network.protocol.name": "websocket", "url.path": _ROUTE})
        _describe(self._span, request, observation)
        _add_steps(self._tracer, self._span, self._recorded)
        self._span.end()


def _parent(scope: Scope) -> Context:
    """The context with the client's span (W3C Trace Context); an empty one without it."""
    found = traceparent(scope)
    if found is None:
        return Context()
    trace, parent, flags = (int(part, 16) for part in found)
    vendors = header(scope, b"tracestate")
    state = TraceState.from_header([vendors] if len(vendors) <= _MOST_STATE_CHARS else [])
    remote = SpanContext(trace, parent, True, TraceFlags(flags), state)  # noqa: FBT003  is remote
    return set_span_in_context(NonRecordingSpan(remote), Context())


def _end(tracer: Tracer, span: Span, scope: Scope, status: int, recorded: Sequence[Step]) -> None:
    requests: list[Request] = scope.get(REQUESTS, [])
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.response.status_code": status,
            "url.path": scope["path"][:_MOST_PATH_CHARS],
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", "1.1"),
        }
    )
    if scope["path"] == _ROUTE:
        span.set_attribute("http.route", _ROUTE)
    if status >= _FROM_SERVER_ERRORS or not status:
        span.set_status(Status(StatusCode.ERROR))
        span.set_attribute("error.type", str(status or "disconnected"))
    now = time_ns()
    parents = [_operation(tracer, span, request, now) for request in requests]
    # Operations of a batch run beside each other; their steps are the request's.
    _add_steps(tracer, parents[0] if len(parents) == 1 else span, recorded)
    for each in parents:
        each.end(now)
    span.end(now)


def _add_steps(tracer: Tracer, parent: Span, recorded: Sequence[Step]) -> None:
    context = set_span_in_context(parent, Context())
    for step in recorded:
        kind = SpanKind.CLIENT if step.name == STATEMENT else SpanKind.INTERNAL
        child = tracer.start_span(
            _name(step), context, kind, attributes=step.attributes, start_time=step.began
        )
        if error := step.attributes.get("error.type"):
            child.set_status(Status(StatusCode.ERROR, str(error)))
        child.end(step.ended)


def _operation(tracer: Tracer, span: Span, request: Request, now: int) -> Span:
    """The span of an operation, which ends with its request."""
    observation = request.observation
    operation = tracer.start_span(
        _operation_name(observation),
        set_span_in_context(span, Context()),
        SpanKind.SERVER,
        start_time=now - observation.age_ns,
    )
    _describe(operation, request, observation)
    return operation


def _operation_name(observation: Observation) -> str:
    return _UNREAD if observation.work is None else observation.operation_type


def _describe(operation: Span, request: Request | None, observation: Observation) -> None:
    """Note on its span what is known of an operation."""
    attributes: dict[str, Any] = {"graph.cost": observation.cost}
    if observation.work is not None:
        attributes["graphql.operation.type"] = observation.operation_type
        if observation.work.sent.name:
            attributes["graphql.operation.name"] = observation.work.sent.name
    if request is not None and request.query is not None:
        attributes["graphql.document"] = without_literals(request.query[:_MOST_DOCUMENT_CHARS])
    if observation.codes:
        operation.set_status(Status(StatusCode.ERROR))
        attributes["error.type"] = observation.codes[0]
    operation.set_attributes(attributes)


def _name(step: Step) -> str:
    """The name of a step's span: of a statement, its first word."""
    text = step.attributes.get("db.query.text")
    return str(text).split(None, 1)[0].upper() if text else step.name
