"""Notes the requests of a connection's scope, ends those that got no answer, and logs them all."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from time import perf_counter
from typing import TYPE_CHECKING, Any

from graph.execution.documents.document import sha256_of
from graph.execution.running.observation import Observation
from graph.server.requests import header, headers_of, with_headers
from graph.telemetry import Fields, milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

    from graph.execution.running.execute import Execution
    from graph.execution.running.request import Request
    from graph.execution.running.usage import UsageCounts
    from graph.execution.running.work import Work
    from graph.server.requests import Headers
    from graph.server.slow import SlowLog
    from graph.viewer import Viewer

logger = logging.getLogger(__name__)

REQUESTS = "graph.requests"
VIEWER = "graph.viewer"
# The id of the trace that this server has begun.
TRACE = "graph.trace"
# In the scope of a WebSocket, where traces are on: the function that begins that of an operation.
BEGIN_TRACE = "graph.begin_trace"
_UNREAD = "graph.unread"
# A client's texts are cut off in the log.
_MOST_CHARS = 100
# Later versions may have more members than 00, of 55 characters; there is no version ff.
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_TRACE_CONTEXT = ("traceparent", "tracestate")
_CLIENT_NAMES = (b"apollographql-client-name", b"graphql-client-name")
_CLIENT_VERSIONS = (b"apollographql-client-version", b"graphql-client-version")
_CLIENT = frozenset({*_CLIENT_NAMES, *_CLIENT_VERSIONS})


def note(scope: Scope, request: Request, viewer: Viewer) -> None:
    """Note a request that is about to be executed; a batch has several."""
    kept = without_variables(request) if request.takes_stream else request
    scope.setdefault(REQUESTS, []).append(kept)
    scope[VIEWER] = viewer


def without_variables(request: Request) -> Request:
    """The request of a stream, as it is logged in the end: a stream lasts."""
    return replace(request, variables={})


def end_unanswered(scope: Scope, code: str) -> None:
    """Note the end of the requests that have no answer: refused, too slow, or left alone.

    A request that could not be read is one as well.
    """
    observations = [request.observation for request in scope.get(REQUESTS, ())]
    for observation in observations or [scope.setdefault(_UNREAD, Observation())]:
        end(scope, observation, code)


def end(scope: Scope, observation: Observation, code: str) -> None:
    """Note the end of one request, and count it; one that has ended keeps its codes."""
    if observation.seconds is not None:
        return
    execution: Execution = scope["state"]["execution"]
    observation.end((code,))
    if execution.counts is not None:
        execution.counts.add(observation)


def log_requests(scope: Scope, status: int) -> bool:
    """Log a line for each request that was noted; False if there was none."""
    requests, unread = scope.get(REQUESTS), scope.get(_UNREAD)
    if requests is None and unread is None:
        return False
    for request in requests or ():
        log_operation(scope, request, request.observation, scope[VIEWER], status)
    if unread is not None:
        log_operation(scope, None, unread, None, status)
    return True


def log_operation(
    scope: Scope,
    request: Request | None,
    observation: Observation,
    viewer: Viewer | None,
    status: int = 101,
) -> None:
    """Log a request that has ended, once more if it was slow, and count what it used.

    `request` is None if it could not be read.
    The time is that until the end of the answer. The status of a WebSocket is 101.
    """
    state = scope.get("state", {})
    client, version = _client(headers_of(scope))
    usage: UsageCounts | None = state.get("usage")
    if usage is not None and observation.work is not None:
        usage.add(observation.work.sent, client, version)
    slow: SlowLog | None = state.get("slow")
    is_slow = slow is not None and slow.is_slow(observation)
    is_logged = logger.isEnabledFor(logging.INFO)
    if not is_logged and not is_slow:
        return
    fields = Fields(
        method=scope.get("method", "WEBSOCKET"),
        path=scope["path"],
        status=status,
        ms=milliseconds(perf_counter() - observation.began),
        sql_ms=milliseconds(observation.sql_seconds),
        type=observation.operation_type,
        cost=observation.cost,
    )
    _add_operation(fields, request, observation)
    if viewer is not None:
        fields["role"] = viewer.role
        if viewer.subject is not None:
            fields["viewer"] = _pseudonym(viewer.subject)
    if trace := trace_id(scope):
        fields["trace_id"] = trace
    if client:
        fields["client"] = client[:_MOST_CHARS]
    if version:
        fields["client_version"] = version[:_MOST_CHARS]
    if is_logged:
        logger.info(fields)
    if slow is not None and is_slow and request is not None and viewer is not None:
        slow.add(fields, request, observation, viewer)


def _add_operation(fields: Fields, request: Request | None, observation: Observation) -> None:
    """Add what is known of the operation and of its statements."""
    name = request.operation_name if request is not None else None
    if observation.work is not None:
        name = observation.work.operation.name
    if observation.place is not None:
        fields["statements"] = observation.place.statements
        fields["rows"] = observation.place.rows
    if name:
        fields["operation"] = name[:_MOST_CHARS]
    if request is not None:
        fields["document"] = _document(request, observation.work)
    if observation.codes:
        fields["codes"] = observation.codes[:10]
    if observation.replayed:
        fields["replayed"] = observation.replayed


def _client(headers: Headers) -> tuple[str, str]:
    """The name and the version of the client, "" where it gives none."""
    if _CLIENT.isdisjoint(headers):
        return "", ""
    first, second = _CLIENT_NAMES
    name = headers.text(first) or headers.text(second)
    first, second = _CLIENT_VERSIONS
    return name, headers.text(first) or headers.text(second)


def trace_id(scope: Scope) -> str:
    """The trace that the request belongs to; "" if to none."""
    if TRACE in scope:
        return scope[TRACE]  # type: ignore[no-any-return]
    found = traceparent(scope)
    return found[0] if found else ""


def trace_context_in(members: Mapping[str, Any] | None) -> list[tuple[bytes, bytes]]:
    """The headers `traceparent` and `tracestate` among the members of a message.

    OpenTelemetry's propagators write them into any object, as they do into headers. An object
    `headers` among the members may hold them, too.
    """
    members = members or {}
    headers = members.get("headers")
    for each in (members, headers if isinstance(headers, dict) else {}):
        found = {name.lower(): value for name, value in each.items() if isinstance(value, str)}
        if "traceparent" in found:
            names = [name for name in _TRACE_CONTEXT if name in found]
            return [(name.encode(), found[name].encode("latin-1", "replace")) for name in names]
    return []


def with_trace_context(scope: Scope, context: list[tuple[bytes, bytes]]) -> Scope:
    """A scope with the headers of another trace context, in place of its own; the same without."""
    if not context:
        return scope
    names = [name.encode() for name in _TRACE_CONTEXT]
    others = [header for header in scope["headers"] if header[0] not in names]
    return with_headers(scope, [*others, *context])


def traceparent(scope: Scope) -> tuple[str, str, str] | None:
    """The client's trace, span and flags (W3C Trace Context, section 3.2); None if malformed."""
    found = _TRACEPARENT.fullmatch(text) if (text := header(scope, b"traceparent")) else None
    if found is None or not (found[1].strip("0") and found[2].strip("0")):
        return None
    return found[1], found[2], found[3]


@lru_cache(maxsize=1_000)
def _pseudonym(subject: str) -> str:
    """Tells viewers apart without naming them."""
    return sha256(subject.encode(errors="surrogatepass")).hexdigest()[:16]


def _document(request: Request, work: Work | None) -> str:
    """The SHA-256 of a document's text; the name of one that was not sent."""
    if request.query is None:
        return (request.document or "")[:_MOST_CHARS]
    known = work.sent.sha256 if work is not None else None
    return known or sha256_of(request.query)
