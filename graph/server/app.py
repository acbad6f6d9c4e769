"""The application: its routes, its middleware, and the lifespan that owns the database."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route
from starlette_compress import CompressMiddleware

from graph.database.engine import Database
from graph.database.replay import ReplayLimits
from graph.database.upkeep import Upkeep
from graph.errors import InvalidSetting, Unavailable, WrongRevision
from graph.execution.documents.document import Documents
from graph.execution.documents.limits import Limits
from graph.execution.documents.manifest import read_manifest
from graph.execution.documents.persisted import Persisted, by_hash, operation_names
from graph.execution.planning.cost import CostLimits
from graph.execution.running.charging import Charging
from graph.execution.running.concurrency import Limiters
from graph.execution.running.counts import CountedBuckets, OperationCounts
from graph.execution.running.execute import Execution
from graph.execution.running.limiter import Limiter
from graph.execution.running.mutations import IdempotencyPolicy
from graph.execution.running.rate_limit import DatabaseTokenBuckets, MemoryTokenBuckets
from graph.execution.tools import tools_of
from graph.server.authentication import Authenticator
from graph.server.client_key import ClientKeys
from graph.server.connection_limits import ConnectionLimits
from graph.server.cors import CrossOrigin, Origins
from graph.server.demo import demo_routes
from graph.server.drain import Drain
from graph.server.graphql import GraphQL
from graph.server.live_connections import LiveConnections, LiveLimits
from graph.server.metric_sources import Sources
from graph.server.middleware import AllowedHosts, ErrorMiddleware, FastPath, RequestLog
from graph.server.pages import graphiql_routes
from graph.server.responses import JsonResponse
from graph.server.schema_files import schema_routes
from graph.server.slow import SlowLog
from graph.server.sockets import Sockets
from graph.server.usage import UsageRecorder
from graph.server.webhooks.delivery import Deliverer
from graph.settings import Settings, TokenBucketMode
from graph.telemetry import start_logging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from graph.execution.running.rate_limit import TokenBuckets
    from graph.execution.tools import Tool
    from graph.schema.schema import Schema
    from graph.server.mcp import McpServer

logger = logging.getLogger(__name__)

# Connections that update token buckets at once; one serves thousands of requests per second.
_BUCKET_CONNECTIONS = 2


def build_app(
    schema: Schema,
    settings: Settings,
    roles: Mapping[str, frozenset[str]],
    *,
    keeps_order: bool = False,
) -> Starlette:
    """The ASGI application that serves a schema on the database that the settings name.

    `roles` are the permissions of each role, the least powerful first. With `keeps_order` it also
    does the upkeep of the database, in turn with other workers.
    """
    start_logging(settings.log_level, settings.log_format)
    manifest = settings.documents_manifest
    texts = read_manifest(manifest) if manifest else {}
    tools = _tools(schema, settings, texts)
    persisted = Persisted(settings.documents, texts | by_hash(tool.text for tool in tools))
    authenticator = Authenticator(settings, roles)
    origins = Origins(settings.cors_origins)
    client_keys = ClientKeys(settings.trusted_proxies)
    connections = LiveConnections(LiveLimits.of(settings), authenticator)
    mcp = _mcp(tools, settings, authenticator, client_keys, origins) if settings.mcp else None
    sockets = Sockets(
        max_variables_bytes=settings.max_variables_bytes,
        operation_timeout_seconds=settings.operation_timeout_seconds,
        authenticator=authenticator,
        client_keys=client_keys,
        connections=connections,
    )
    graphql = GraphQL(
        max_body_bytes=settings.max_body_bytes,
        max_variables_bytes=settings.max_variables_bytes,
        max_batch=settings.max_batch,
        graphiql=settings.graphiql,
        compress_from_bytes=settings.compress_from_bytes,
        body_timeout_seconds=settings.client_timeout_seconds,
        operation_timeout_seconds=settings.operation_timeout_seconds,
        authenticator=authenticator,
        client_keys=client_keys,
        origins=origins,
        connections=connections,
        ping_seconds=settings.ping_seconds,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        database = Database.connect(settings, max_temp_megabytes=settings.max_temp_megabytes)
        async with AsyncExitStack() as until_the_end:
            until_the_end.push_async_callback(database.close)
            if database.replicas is not None:
                await until_the_end.enter_async_context(database.replicas.watch.running())
            await until_the_end.enter_async_context(authenticator.running(database))
            upkeep = deliverer = None
            if keeps_order:
                upkeep = Upkeep(database, settings)
                await until_the_end.enter_async_context(upkeep.running())
                deliverer = Deliverer(schema, database, settings, roles)
                await until_the_end.enter_async_context(deliverer.running())
            metered = settings.metrics_port is not None
            counts = _counts(persisted) if metered else None
            buckets = _token_buckets(settings, database)
            counted = CountedBuckets(buckets) if metered and buckets is not None else None
            execution = _execution(
                schema,
                settings,
                database,
                persisted=persisted,
                token_buckets=counted or buckets,
                counts=counts,
            )
            await until_the_end.enter_async_context(execution.running())
            if counts is not None:
                sources = Sources(
                    database, execution, counts, connections, counted, upkeep, deliverer
                )
                until_the_end.enter_context(_serving_metrics(sources, settings))
            signals = await _signals(until_the_end, settings, database)
            connection_limits = ConnectionLimits.of(settings)
            drain = Drain(connection_limits, settings.drain_seconds)
            until_the_end.enter_context(drain.running())
            if mcp is not None:
                await until_the_end.enter_async_context(mcp.running())
            yield {
                "mcp": mcp,
                "database": database,
                "execution": execution,
                "connection_limits": connection_limits,
                "drain": drain,
                **signals,
                "live_connections": connections,
            }

    app = _Application(
        lifespan=lifespan,
        routes=[
            Route("/graphql", graphql),
            Route("/", lambda _: RedirectResponse("/graphql")),
            *(schema_routes(schema) if settings.introspection else []),
            *([Route("/mcp", mcp, methods=["POST"])] if mcp is not None else []),
            Route("/health/live", live),
            Route("/health/ready", ready),
            *(_graphiql(settings, roles, persisted) if settings.graphiql else []),
        ],
        middleware=[
            Middleware(RequestLog),
            *([Middleware(_opentelemetry().Tracing)] if settings.traces else []),
            *_hosts(settings.served_hosts),
            Middleware(
                CrossOrigin,
                origins=origins,
                credentials=settings.cors_credentials,
                exposed=settings.cors_exposed_headers,
            ),
            Middleware(ErrorMiddleware),
            Middleware(FastPath, path="/graphql", endpoint=graphql, sockets=sockets),
            *_compression(settings.compress_from_bytes),
        ],
    )
    # It would redirect to the host that the client names.
    app.router.redirect_slashes = False
    return app


class _Application(Starlette):
    """Starlette without its outermost middleware: `ErrorMiddleware` answers what fails."""

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        for cls, args, kwargs in reversed(self.user_middleware):
            app = cls(app, *args, **kwargs)
        return app


def _execution(
    schema: Schema,
    settings: Settings,
    database: Database,
    *,
    persisted: Persisted,
    token_buckets: TokenBuckets | None,
    counts: OperationCounts | None,
) -> Execution:
    return Execution(
        schema,
        database,
        settings.execution,
        Limits.of(settings),
        idempotency_policy=IdempotencyPolicy.of(settings),
        cost_limits=CostLimits(settings.max_cost, settings.scan_limit),
        charging=Charging(token_buckets, settings.cost_per_ms),
        persisted=persisted,
        replay=ReplayLimits.of(settings),
        limiters=Limiters(
            most=settings.max_in_flight,
            most_waiting=settings.max_waiting,
            most_wait_seconds=settings.max_wait_ms / 1000,
            most_unproven=settings.max_unproven,
            most_expensive=settings.expensive_places,
            expensive_from=settings.expensive_cost,
            expensive_after_seconds=settings.expensive_after_ms / 1000,
        ),
        counts=counts,
        explains=settings.explain,
    )


def _tools(schema: Schema, settings: Settings, texts: Mapping[str, str]) -> list[Tool]:
    """The operations of the manifest that are served as tools."""
    if not settings.mcp:
        return []
    inner = schema._schema  # noqa: SLF001  as Execution does
    return tools_of(inner, texts, Documents(inner, Limits.of(settings)))


def _mcp(
    tools: Sequence[Tool],
    settings: Settings,
    authenticator: Authenticator,
    client_keys: ClientKeys,
    origins: Origins,
) -> McpServer:
    # Where it is off, nothing of the protocol is loaded.
    try:
        from graph.server.mcp import McpServer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise InvalidSetting("GRAPH_MCP", f"install graph[mcp]: no {error.name}") from None
    return McpServer(tools, settings, authenticator, client_keys, origins)


def _counts(persisted: Persisted) -> OperationCounts:
    """The counts of operations; a manifest's names are the only ones where there is one."""
    return OperationCounts(operation_names({*persisted.trusted.values()}))


async def _signals(
    until_the_end: AsyncExitStack, settings: Settings, database: Database
) -> dict[str, Any]:
    """What requests are observed with, where that is wanted."""
    signals: dict[str, Any] = {}
    if settings.usage_seconds:
        recorder = UsageRecorder(database, settings.usage_seconds)
        signals["usage"] = await until_the_end.enter_async_context(recorder.running())
    if settings.slow_ms:
        slow = SlowLog(
            database,
            ms=settings.slow_ms,
            plans_per_minute=settings.slow_plans_per_minute,
            cost_per_ms=settings.cost_per_ms,
        )
        until_the_end.push_async_callback(slow.close)
        signals["slow"] = slow
    if settings.traces:
        tracer = await until_the_end.enter_async_context(_opentelemetry().tracing())
        signals["tracer"] = tracer
    return signals


def _opentelemetry() -> ModuleType:
    """The module of traces, which is loaded where they are on.

    Raises:
        InvalidSetting: OpenTelemetry is not installed.
    """
    try:
        return import_module("graph.server.tracing")
    except ModuleNotFoundError as error:
        raise InvalidSetting("GRAPH_TRACES", f"install graph[otel]: no {error.name}") from None


def _serving_metrics(sources: Sources, settings: Settings) -> AbstractContextManager[None]:
    # Where metrics are off, nothing of Prometheus is loaded.
    from graph.server.metrics import serving_metrics  # noqa: PLC0415

    assert settings.metrics_port is not None  # noqa: S101  it is why this runs
    return serving_metrics(sources, settings.metrics_host, settings.metrics_port)


def _graphiql(
    settings: Settings, roles: Mapping[str, frozenset[str]], persisted: Persisted
) -> list[BaseRoute]:
    return [*graphiql_routes(persisted), *demo_routes(settings, roles)]


def _hosts(names: frozenset[str] | None) -> list[Middleware]:
    return [] if names is None else [Middleware(AllowedHosts, hosts=names)]


def _compression(from_bytes: int) -> list[Middleware]:
    """Compression of all responses but the endpoint's own, which knows their size beforehand."""
    return [Middleware(CompressMiddleware, minimum_size=from_bytes)] if from_bytes else []


def _token_buckets(settings: Settings, database: Database) -> TokenBuckets | None:
    capacity, per_second = settings.cost_capacity, settings.cost_per_second
    if capacity is None:
        return None
    if settings.token_buckets is TokenBucketMode.MEMORY:
        return MemoryTokenBuckets(capacity, per_second)
    # As many as the operations' limiters admit, so this limiter never refuses one of them.
    waiting = settings.max_in_flight + settings.max_waiting
    limiter = Limiter(_BUCKET_CONNECTIONS, waiting)
    return DatabaseTokenBuckets(database, capacity, per_second, limiter)


async def live(_request: Request) -> JsonResponse:
    """200 while the process runs."""
    return JsonResponse({"status": "ok"})


async def ready(request: Request) -> JsonResponse:
    """200 if the database can be reached, is migrated and no standby; 503 if not, or at the end.

    While the primary cannot be reached but replicas can, it is 200 as well, since queries go on.
    """
    if request.state.drain.has_begun:
        return _not_ready("draining")
    database: Database = request.state.database
    try:
        await database.check_ready()
    except Exception as error:  # noqa: BLE001  any failure means that nothing can be changed
        if not isinstance(error, Unavailable):
            logger.warning("not ready: %s", error)
        elif not isinstance(error, WrongRevision) and database.can_read_elsewhere:
            return JsonResponse({"status": "read-only"})
        return _not_ready("unavailable")
    return JsonResponse({"status": "ok"})


def _not_ready(status: str) -> JsonResponse:
    return JsonResponse({"status": status}, status=503, headers=((b"retry-after", b"1"),))
