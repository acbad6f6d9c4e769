"""The metrics of one worker, in Prometheus' format, on a port of their own.

The server counts in plain numbers; all of them are read when Prometheus asks. A thread answers, so
that the metrics of a busy worker arrive as well. Nothing else in graph knows Prometheus.
"""

from __future__ import annotations

import logging
import multiprocessing
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from graph.database.gauges import pool_gauges
from graph.database.outages import outages
from graph.database.replicas import Fallback
from graph.execution.running.counts import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client import Metric

    from graph.database.engine import Database
    from graph.database.replicas import Replicas
    from graph.database.upkeep import Upkeep
    from graph.execution.running.counts import CountedBuckets, Histogram, OperationCounts
    from graph.execution.running.execute import Execution
    from graph.server.live_connections import LiveConnections
    from graph.server.metric_sources import Sources
    from graph.server.webhooks.delivery import Deliverer

logger = logging.getLogger(__name__)

# Ports that workers may take, from the configured one on.
_MOST_WORKERS = 64
_OF_OPERATION = ("operation", "type")
_LINES = [*map(str, BOUNDS), "+Inf"]


class GraphCollector(Collector):
    """Reads all sources; called in a thread."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """All metrics at present."""
        sources = self._sources
        yield from _operations(sources.counts)
        yield from _cost(sources.counts, sources.buckets)
        yield from _load(sources.database, sources.execution)
        yield from _documents(sources.execution)
        yield from _live(sources.execution, sources.connections)
        if sources.upkeep is not None:
            yield from _upkeep(sources.upkeep)
        if sources.deliverer is not None:
            yield from _webhooks(sources.deliverer)


@contextmanager
def serving_metrics(sources: Sources, host: str, port: int) -> Iterator[None]:
    """Serve the metrics until the block ends.

    One of several workers takes the first free port from `port` on. A port that is in use is
    logged: the API is served without metrics then.
    """
    registry = CollectorRegistry()
    registry.register(GraphCollector(sources))
    ProcessCollector(registry=registry)
    ports = range(port, port + (_MOST_WORKERS if multiprocessing.parent_process() else 1))
    for each in ports:
        try:
            server, thread = start_http_server(each, host, registry)
        except (OSError, OverflowError) as error:
            problem = error
        else:
            break
    else:
        logger.error("metrics cannot be served at %s:%d: %s", host, port, problem)
        yield
        return
    logger.info("metrics are served at http://%s:%d/metrics", host, each)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _operations(counts: OperationCounts) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "graph_requests",
        "Requests by operation, and by the first code of the answer's errors",
        labels=(*_OF_OPERATION, "code"),
    )
    for labels, number in list(counts.requests.items()):
        requests.add_metric(labels, number)
    yield requests
    yield _histograms(
        "graph_request_duration_seconds", "Time until the answer", dict(counts.durations)
    )
    yield _histograms(
        "graph_sql_duration_seconds",
        "Time of an operation's statements",
        dict(counts.sql_durations),
    )
    yield _counter(
        "graph_idempotent_replays", "Mutations that a stored answer answered", counts.replays
    )


def _histograms(
    name: str, text: str, histograms: Mapping[tuple[str, str], Histogram]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=_OF_OPERATION)
    for labels, histogram in histograms.items():
        at_most = accumulate(list(histogram.buckets))
        family.add_metric(labels, list(zip(_LINES, at_most, strict=True)), histogram.sum)
    return family


def _cost(counts: OperationCounts, buckets: CountedBuckets | None) -> Iterator[Metric]:
    prices = CounterMetricFamily(
        "graph_operation_cost", "The price of operations", labels=_OF_OPERATION
    )
    for labels, cost in list(counts.costs.items()):
        prices.add_metric(labels, cost)
    yield prices
    if buckets is None:
        return
    yield _counter("graph_cost_charged", "Cost charged to clients' buckets", buckets.charged)
    yield _counter("graph_cost_refunded", "Cost refunded to clients' buckets", buckets.refunded)
    yield _counter("graph_cost_refused", "Cost that buckets did not hold", buckets.refused)


def _load(database: Database, execution: Execution) -> Iterator[Metric]:
    pool = pool_gauges(database)
    yield _gauge("graph_pool_size", "The most database connections", pool["size"])
    yield _gauge("graph_pool_in_use", "Database connections in use", pool["in_use"])
    yield _gauge("graph_pool_waiting", "Operations that wait for a connection", pool["waiting"])
    yield _gauge("graph_outages", "Outages of the database at present", outages.number)
    if database.replicas is not None:
        yield from _replicas(database.replicas)
    lines = execution.limiters.gauges
    for key, name, text in (
        ("places", "graph_places", "Operations that may run at once"),
        ("in_use", "graph_places_in_use", "Operations that run"),
        ("waiting", "graph_places_waiting", "Operations that wait for a place"),
    ):
        family = GaugeMetricFamily(name, text, labels=["line"])
        for line, gauges in lines.items():
            family.add_metric([line], gauges[key])
        yield family


def _replicas(replicas: Replicas) -> Iterator[Metric]:
    pools = {each.address: pool_gauges(each) for each in replicas.all}
    for key, text in (
        ("size", "The most connections to a replica"),
        ("in_use", "Connections to a replica in use"),
        ("waiting", "Operations that wait for a connection to a replica"),
    ):
        family = GaugeMetricFamily(f"graph_replica_pool_{key}", text, labels=["replica"])
        for address, pool in pools.items():
            family.add_metric([address], pool[key])
        yield family
    resting = GaugeMetricFamily(
        "graph_replica_resting", "Whether a replica is not read at present", labels=["replica"]
    )
    for each in replicas.all:
        resting.add_metric([each.address], not each.is_fit)
    yield resting
    if replicas.most_lag_seconds:
        text = "The time since the primary had what a replica has not replayed"
        lag = GaugeMetricFamily("graph_replica_lag_seconds", text, labels=["replica"])
        for each in replicas.all:
            lag.add_metric([each.address], each.lag_seconds)
        yield lag
    yield _counter("graph_replica_reads", "Statements that replicas answered", replicas.answered)
    fallbacks = CounterMetricFamily(
        "graph_replica_fallbacks", "Statements that went to the primary instead", labels=["reason"]
    )
    for reason in Fallback:
        fallbacks.add_metric([reason], replicas.fallbacks[reason])
    yield fallbacks


def _documents(execution: Execution) -> Iterator[Metric]:
    documents = execution.documents
    reads = CounterMetricFamily(
        "graph_document_reads",
        "Documents that were cached (hit), known but for literals (shared), or parsed (miss)",
        labels=["result"],
    )
    reads.add_metric(["hit"], documents.hits)
    reads.add_metric(["shared"], documents.shared_hits)
    reads.add_metric(["miss"], documents.misses)
    yield reads
    yield _gauge("graph_documents_cached", "Documents in the cache", len(documents))


def _live(execution: Execution, connections: LiveConnections) -> Iterator[Metric]:
    gauges = connections.gauges
    yield _gauge("graph_live_connections", "Connections that stay open", gauges["connections"])
    yield _gauge("graph_live_clients", "Clients of these", gauges["clients"])
    yield _gauge("graph_subscriptions", "Subscriptions", gauges["subscriptions"])
    yield _counter(
        "graph_subscription_results", "Results that subscriptions got", connections.results
    )
    if execution.hub is None:
        return
    log = execution.hub.gauges
    yield _gauge("graph_events_last", "The number of the last event", log["last"])
    yield _gauge("graph_events_settled", "The last settled number", log["settled"])
    yield _gauge(
        "graph_events_lag_seconds",
        "The time that a number has waited to settle",
        log["lag_seconds"],
    )
    groups = GaugeMetricFamily(
        "graph_subscription_groups", "Groups of equal subscriptions", labels=["kind"]
    )
    groups.add_metric(["events"], log["event_groups"])
    groups.add_metric(["query"], log["query_groups"])
    yield groups


def _upkeep(upkeep: Upkeep) -> Iterator[Metric]:
    pruned = CounterMetricFamily("graph_pruned_rows", "Rows that were removed", labels=["kind"])
    pruned.add_metric(["events"], upkeep.counts["events"])
    pruned.add_metric(["idempotency_keys"], upkeep.counts["keys"])
    yield pruned
    runs = CounterMetricFamily("graph_upkeep_runs", "Runs of the upkeep", labels=["result"])
    runs.add_metric(["done"], upkeep.counts["done"])
    runs.add_metric(["failed"], upkeep.counts["failed"])
    yield runs


def _webhooks(deliverer: Deliverer) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "graph_webhook_messages", "Attempts to deliver a message", labels=["result"]
    )
    messages.add_metric(["delivered"], deliverer.counts["delivered"])
    messages.add_metric(["failed"], deliverer.counts["failed"])
    yield messages
    yield _counter(
        "graph_webhooks_paused", "Webhooks that failed for too long", deliverer.counts["paused"]
    )
    yield _gauge("graph_webhook_messages_sending", "Messages under way", deliverer.under_way)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
