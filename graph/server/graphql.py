"""GraphQL over HTTP: GET and POST, a negotiated media type, one JSON answer.

Implements the GraphQL-over-HTTP draft. A malformed request is answered with 4xx. A request that
cannot be executed is answered with 400 under `application/graphql-response+json`, whose clients
trust the status, and with 200 under `application/json`, whose clients read the errors.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeGuard

from starlette.requests import ClientDisconnect
from starlette_compress import CompressMiddleware

from graph.errors import (
    BadRequest,
    BatchTooLarge,
    BodyTooSlow,
    ErrorCode,
    InvalidKey,
    InvalidToken,
    MethodNotAllowed,
    Overloaded,
    RequestError,
    TimedOut,
    Unavailable,
    UnsupportedEncoding,
)
from graph.execution.running.observation import DISCONNECTED
from graph.server.accept import HTML, negotiated
from graph.server.csrf import check_preflight
from graph.server.deadlines import Deadlines
from graph.server.observing import end_unanswered, note
from graph.server.pages import graphiql_page
from graph.server.protocol import SHED
from graph.server.requests import (
    check_body_format,
    check_size,
    header,
    headers_of,
    idempotency_key,
    json_of,
    read_body,
    request_of,
    request_of_url,
    with_token,
)
from graph.server.responses import (
    JsonResponse,
    answer_response,
    batch_response,
    cacheable_response,
    error_response,
)
from graph.server.streams import WIRES, send_parts
from graph.server.subscriptions import SubscriptionResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from graph.execution.running.execute import Execution
    from graph.execution.running.request import Answer, Request
    from graph.server.accept import Accepted
    from graph.server.authentication import Authenticator
    from graph.server.client_key import ClientKeys
    from graph.server.cors import Origins
    from graph.server.live_connections import LiveConnections
    from graph.server.streams import Wire
    from graph.viewer import Viewer

# The headers of a refused request.
_HEADERS: dict[type[Exception], tuple[tuple[bytes, bytes], ...]] = {
    MethodNotAllowed: ((b"allow", b"GET, POST"),),
    BodyTooSlow: ((b"connection", b"close"),),
    UnsupportedEncoding: ((b"accept-encoding", b"identity"),),
    InvalidToken: ((b"www-authenticate", b'Bearer error="invalid_token"'),),
}


# A larger answer takes some milliseconds to compress.
_LARGE_BYTES = 100_000


class GraphQL:
    """The ASGI application at `/graphql`."""

    def __init__(
        self,
        *,
        max_body_bytes: int,
        max_variables_bytes: int,
        max_batch: int,
        body_timeout_seconds: float,
        operation_timeout_seconds: float,
        compress_from_bytes: int,
        graphiql: bool,
        authenticator: Authenticator,
        client_keys: ClientKeys,
        origins: Origins,
        connections: LiveConnections,
        ping_seconds: float,
    ) -> None:
        self._max_body_bytes = max_body_bytes
        self._max_variables_bytes = max_variables_bytes
        self._max_batch = max_batch
        self._body_timeout_seconds = body_timeout_seconds
        self._operation_timeout_seconds = operation_timeout_seconds
        self._authenticator = authenticator
        self._client_keys = client_keys
        self._origins = origins
        self._connections = connections
        self._ping_seconds = ping_seconds
        self._graphiql = graphiql
        self._deadlines = Deadlines()
        self._too_slow = partial(BodyTooSlow, body_timeout_seconds)
        self._compress_from_bytes = compress_from_bytes
        self._compressing = CompressMiddleware(_respond, minimum_size=compress_from_bytes)
        # In a thread, and so one at a time: the encoders are not for several threads.
        self._compressing_large = CompressMiddleware(_respond, minimum_size=compress_from_bytes)
        self._large = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._response(scope, receive)
        except (RequestError, TimedOut) as error:
            end_unanswered(scope, error.code)
            response = error_response(error, _HEADERS.get(type(error), ()))
        except ClientDisconnect:
            end_unanswered(scope, DISCONNECTED)
            return
        except Exception:
            end_unanswered(scope, ErrorCode.INTERNAL_SERVER_ERROR)
            raise
        if self._may_compress(response, scope):
            scope["graph.response"] = response
            if response.size_bytes < _LARGE_BYTES:
                await self._compressing(scope, receive, send)
            else:
                await self._send_large(scope, receive, send)
        else:
            await response(scope, receive, send)

    async def _send_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress in a thread: it would take this process more than a few milliseconds."""
        async with self._large:
            messages = await asyncio.to_thread(self._compressed, scope, receive)
        for message in messages:
            await send(message)

    def _compressed(self, scope: Scope, receive: Receive) -> list[Message]:
        """The messages of a compressed response."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        compressing = self._compressing_large(scope, receive, collect)
        with suppress(StopIteration):  # nothing in it waits: its first step is its last
            compressing.send(None)
        return messages

    def _may_compress(self, response: ASGIApp, scope: Scope) -> TypeGuard[JsonResponse]:
        """Whether to compress; every large answer to a GET needs `Vary: Accept-Encoding`."""
        least = self._compress_from_bytes
        if not least or not isinstance(response, JsonResponse) or response.size_bytes < least:
            return False
        return scope["method"] == "GET" or bool(header(scope, b"accept-encoding"))

    async def _response(self, scope: Scope, receive: Receive) -> ASGIApp:
        method = scope["method"]
        if method not in {"GET", "POST"}:
            raise MethodNotAllowed(f"Use POST, or GET for queries; not {method}.{_hint(method)}")
        accepted = negotiated(header(scope, b"accept"), html=self._graphiql and method == "GET")
        if accepted.whole == HTML:
            return graphiql_page()
        try:
            viewer = self._authenticator.known(scope) or await self._authenticator.identify(scope)
            client = self._client_keys.client_key(scope, viewer)
            execution: Execution = scope["state"]["execution"]
            execution.limiters.check(client)
        except (InvalidToken, Unavailable) as error:
            scope[SHED] = isinstance(error, Overloaded)
            end_unanswered(scope, error.code)
            return error_response(error, _HEADERS.get(type(error), ()), accepted.whole)
        if method == "GET":
            return await self._get(scope, receive, accepted, viewer, client)
        return await self._post(scope, receive, accepted, viewer, client)

    async def _post(
        self, scope: Scope, receive: Receive, accepted: Accepted, viewer: Viewer, client: str
    ) -> ASGIApp:
        headers = headers_of(scope)
        check_body_format(headers)
        key = idempotency_key(scope)
        with self._deadlines.watch(self._body_timeout_seconds, self._too_slow) as deadline:
            body = await read_body(headers, receive, max_bytes=self._max_body_bytes)
            deadline.reschedule(self._operation_timeout_seconds, TimedOut, receive)
            began = perf_counter()
            content = json_of(body, "The request body")
            if isinstance(content, list):
                if key:
                    raise InvalidKey(
                        "The header Idempotency-Key applies to a single mutation only."
                    )
                return await self._batch(scope, content, accepted.whole, viewer, client)
            request = with_token(request_of(content, client), headers)
            if key:
                request = replace(request, idempotency_key=key)
            # The variables are smaller than the body that holds them.
            if len(body) > self._max_variables_bytes:
                check_size(request, self._max_variables_bytes)
            request = _taking(request, accepted, scope)
            answer = await _answer(scope, request, viewer)
        scope[SHED] = is_shed(answer)
        return self._streaming(answer, accepted, viewer, client, began) or answer_response(
            answer, accepted.whole
        )

    def _streaming(
        self, answer: Answer, accepted: Accepted, viewer: Viewer, client: str, began: float
    ) -> ASGIApp | None:
        """The response for an answer that has not ended."""
        if answer.parts is None and answer.stream is None:
            return None
        return self._in_parts(answer, accepted, began) or self._as_stream(
            answer, accepted, viewer, client
        )

    def _as_stream(
        self, answer: Answer, accepted: Accepted, viewer: Viewer, client: str
    ) -> ASGIApp | None:
        """The response for the results of a subscription; it has no timeout."""
        if answer.stream is None or accepted.stream is None:
            return None
        return SubscriptionResponse(
            answer.stream,
            WIRES[accepted.stream],
            connections=self._connections,
            viewer=viewer,
            client=client,
            ping_seconds=self._ping_seconds,
        )

    def _in_parts(self, answer: Answer, accepted: Accepted, began: float) -> ASGIApp | None:
        """The response for an answer in parts; all parts share the timeout of one operation."""
        if answer.parts is None or accepted.parts is None:
            return None
        left_seconds = self._operation_timeout_seconds - (perf_counter() - began)
        return partial(self._send_parts, answer, WIRES[accepted.parts], left_seconds)

    async def _send_parts(
        self,
        answer: Answer,
        wire: Wire,
        seconds: float,
        _scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        parts = answer.parts
        assert parts is not None  # noqa: S101  it is why this runs
        # The queue is unbounded, so a slow client does not hold a database connection.
        queue = asyncio.Queue[tuple[bytes, bool]]()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(send_parts(answer.body, queue, wire, send))
            try:
                with self._deadlines.watch(seconds, TimedOut, receive):
                    async for part in parts:
                        queue.put_nowait(part)
            except ClientDisconnect:
                sending.cancel()
            except Exception as error:  # noqa: BLE001  the last part reports it, or masks it
                queue.put_nowait((parts.broken_off(error), False))
            finally:
                await parts.close()

    async def _get(
        self, scope: Scope, receive: Receive, accepted: Accepted, viewer: Viewer, client: str
    ) -> ASGIApp:
        check_preflight(scope, self._origins)
        request = request_of_url(scope["query_string"], client)
        request = with_token(replace(request, only_query=True), headers_of(scope))
        request = _taking(request, accepted, scope)
        began = perf_counter()
        with self._deadlines.watch(self._operation_timeout_seconds, TimedOut, receive):
            answer = await _answer(scope, request, viewer)
        scope[SHED] = is_shed(answer)
        response = self._streaming(answer, accepted, viewer, client, began)
        etags = header(scope, b"if-none-match")
        is_shared = viewer.subject is None
        return response or cacheable_response(answer, accepted.whole, etags, is_shared=is_shared)

    async def _batch(
        self, scope: Scope, content: list[Any], media_type: str, viewer: Viewer, client: str
    ) -> JsonResponse:
        """One answer per request, in the same order; each request fails or succeeds by itself."""
        if len(content) > self._max_batch:
            raise BatchTooLarge(self._max_batch)
        if not content:
            raise BadRequest("A batch must hold at least one request.")
        headers = headers_of(scope)
        requests = [with_token(request_of(each, client), headers) for each in content]
        for request in requests:
            check_size(request, self._max_variables_bytes)
        answers = await asyncio.gather(*(_answer(scope, request, viewer) for request in requests))
        return batch_response(answers, media_type)


def is_shed(answer: Answer) -> bool:
    """Whether an operation was refused, as the worker has too many; an outage is no such reason."""
    return answer.status == Overloaded.status and answer.codes == (ErrorCode.OVERLOADED,)


def _answer(scope: Scope, request: Request, viewer: Viewer) -> Awaitable[Answer]:
    note(scope, request, viewer)
    execution: Execution = scope["state"]["execution"]
    return execution.answer(request, viewer)


def _taking(request: Request, accepted: Accepted, scope: Scope) -> Request:
    """The request, with what its client takes beside a whole answer."""
    if accepted.parts is None and accepted.stream is None:
        return request
    return replace(
        request,
        takes_parts=accepted.parts is not None and request.explain is None,
        takes_stream=accepted.stream is not None,
        last_event_id=header(scope, b"last-event-id") or None,
    )


def _hint(method: str) -> str:
    """Why a browser's preflight arrives here: no origin is allowed."""
    hint = " The operator of this API can allow pages of other origins with GRAPH_CORS_ORIGINS."
    return hint if method == "OPTIONS" else ""


async def _respond(scope: Scope, receive: Receive, send: Send) -> None:
    await scope["graph.response"](scope, receive, send)
