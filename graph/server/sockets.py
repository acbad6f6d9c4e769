"""GraphQL over WebSocket: the sub-protocol graphql-transport-ws.

Queries, mutations and subscriptions pass the same execution as those of HTTP, with the same limits.
An operation takes its next result when the last one was sent, so that nothing is queued for a slow
client.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from uvicorn.protocols.utils import ClientDisconnected

from graph.errors import (
    ErrorCode,
    InvalidToken,
    RequestError,
    TimedOut,
    TooManySubscriptions,
    Unavailable,
)
from graph.execution.running.observation import DISCONNECTED, Observation
from graph.server.deadlines import Deadlines
from graph.server.observing import (
    BEGIN_TRACE,
    end,
    log_operation,
    trace_context_in,
    with_trace_context,
    without_variables,
)
from graph.server.requests import check_size, request_of, with_headers
from graph.server.responses import described, error_response, logged
from graph.server.socket_messages import (
    FORBIDDEN,
    INITIALISATION_TIMEOUT,
    INTERNAL_ERROR,
    SUBPROTOCOL,
    SUBPROTOCOL_NOT_ACCEPTABLE,
    SUBSCRIBER_EXISTS,
    TOO_MANY_INITIALISATIONS,
    TRY_AGAIN_LATER,
    UNAUTHORIZED,
    Closed,
    authorization_in,
    complete_message,
    error_message,
    next_message,
    parsed,
    plain_message,
)
from graph.viewer import ANONYMOUS

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from graph.execution.running.execute import Execution
    from graph.execution.running.request import Answer, Request
    from graph.server.authentication import Authenticator
    from graph.server.client_key import ClientKeys
    from graph.server.live_connections import LiveConnections
    from graph.server.tracing import OperationTrace
# The longest time between the handshake and `connection_init`.
_INITIALISATION_SECONDS = 3.0
_NO_DATA = b'{"errors":'


class Sockets:
    """The ASGI application for WebSockets at `/graphql`."""

    def __init__(
        self,
        *,
        max_variables_bytes: int,
        operation_timeout_seconds: float,
        authenticator: Authenticator,
        client_keys: ClientKeys,
        connections: LiveConnections,
    ) -> None:
        self.max_variables_bytes = max_variables_bytes
        self.operation_timeout_seconds = operation_timeout_seconds
        self.authenticator = authenticator
        self.client_keys = client_keys
        self.connections = connections
        self.deadlines = Deadlines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await _close(
                send,
                Closed(SUBPROTOCOL_NOT_ACCEPTABLE, f"The sub-protocol must be {SUBPROTOCOL}"),
            )
            return
        with ExitStack() as held:
            try:
                held.enter_context(self.connections.opened())
            except TooManySubscriptions as error:
                await error_response(error)(scope, receive, send)
                return
            await _Socket(self, scope, receive, send, held).run()


class _Socket:
    """One connection; a `LiveConnection` once it is initialised. One task runs each operation."""

    __slots__ = (
        "_closed",
        "_endpoint",
        "_has_begun",
        "_held",
        "_is_acknowledged",
        "_operations",
        "_receive",
        "_send",
        "_task",
        "client",
        "scope",
        "viewer",
    )

    def __init__(
        self, endpoint: Sockets, scope: Scope, receive: Receive, send: Send, held: ExitStack
    ) -> None:
        self._endpoint = endpoint
        self._receive = receive
        self._send = send
        self._held = held
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._closed: Closed | None = None
        self._has_begun = self._is_acknowledged = False
        self.scope = scope
        self.viewer = ANONYMOUS  # until the connection is acknowledged
        self.client = ""

    async def run(self) -> None:
        await self._send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        loop = asyncio.get_running_loop()
        timer = loop.call_later(_INITIALISATION_SECONDS, self._end_uninitialised)
        closed: Closed | None = None
        try:
            await self._read()
        except Closed as error:
            closed = error
        except asyncio.CancelledError:
            closed = self._closed
            if closed is None or (self._task and self._task.uncancel()):
                raise
        except ClientDisconnected:
            pass
        except Exception as error:  # noqa: BLE001  it is masked, and logged
            error_id = logged(error)["extensions"]["errorId"]
            closed = Closed(INTERNAL_ERROR, f"internal error {error_id}")
        finally:
            timer.cancel()
            self._task = None
            await self._stop_operations()
        if closed is not None:
            await _close(self._send, closed)

    def end(self, error: InvalidToken | None) -> None:
        """End it because its sign-in has ended. At shutdown uvicorn closes all sockets (1012)."""
        if error is not None:
            self._end(Closed(FORBIDDEN, str(error)))

    def _end_uninitialised(self) -> None:
        if not self._has_begun:
            self._end(Closed(INITIALISATION_TIMEOUT, "Connection initialisation timeout"))

    def _end(self, closed: Closed) -> None:
        if self._closed is None and self._task is not None:
            self._closed = closed
            self._task.cancel()

    async def _stop_operations(self) -> None:
        operations = tuple(self._operations.values())
        self._operations.clear()
        for operation in operations:
            operation.cancel()
        await asyncio.gather(*operations, return_exceptions=True)

    async def _read(self) -> None:
        """Handle messages until the client disconnects."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            content = parsed(message)
            match content["type"]:
                case "subscribe":
                    await self._subscribe(content["id"], content["payload"])
                case "complete":
                    operation = self._operations.pop(content["id"], None)
                    if operation is not None:
                        operation.cancel()
                case "ping":
                    await self._send(plain_message("pong", content.get("payload")))
                case "connection_init":
                    await self._initialise(content.get("payload"))
            await asyncio.sleep(0)  # a flood of messages lets others have their turn

    async def _initialise(self, payload: dict[str, Any] | None) -> None:
        if self._has_begun:
            raise Closed(TOO_MANY_INITIALISATIONS, "Too many initialisation requests")
        self._has_begun = True
        self.scope = with_trace_context(self.scope, trace_context_in(payload))
        authorization = authorization_in(payload)
        if authorization is not None:
            self.scope = _authorized(self.scope, authorization)
        try:
            self.viewer = await self._endpoint.authenticator.viewer(self.scope)
            self.client = self._endpoint.client_keys.client_key(self.scope, self.viewer)
            self._held.enter_context(self._endpoint.connections.signed_in(self))
        except InvalidToken as error:
            raise Closed(FORBIDDEN, str(error)) from None
        except (Unavailable, TooManySubscriptions) as error:
            raise Closed(TRY_AGAIN_LATER, str(error)) from None
        self._is_acknowledged = True
        cursor = self._execution.live_cursor(self.viewer)
        await self._send(plain_message("connection_ack", {"cursor": cursor} if cursor else None))

    async def _subscribe(self, id_: str, payload: dict[str, Any]) -> None:
        if not self._is_acknowledged:
            raise Closed(UNAUTHORIZED, "Unauthorized")
        if id_ in self._operations:
            raise Closed(SUBSCRIBER_EXISTS, f"Subscriber for {id_} already exists")
        most = self._endpoint.connections.limits.subscriptions_of_connection
        if len(self._operations) >= most:
            error = TooManySubscriptions(f"A connection may hold {most} operations at once.")
            await self._send(error_message(id_, [described(error)]))
            return
        task = asyncio.create_task(self._operate(id_, payload))
        self._operations[id_] = task
        task.add_done_callback(lambda _: self._forget(id_, task))

    def _forget(self, id_: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(id_) is task:  # the id may be another operation's already
            del self._operations[id_]

    async def _operate(self, id_: str, payload: dict[str, Any]) -> None:
        """Send the results of an operation. Cancelled when the client does not want them."""
        observation = Observation()
        request = None
        scope, trace = self._traced(payload)
        try:
            with suppress(ClientDisconnected):
                try:
                    request = replace(self._request(payload), observation=observation)
                    answer = await self._answer(request)
                    request = without_variables(request)
                    last = await self._results(id_, answer)
                except (RequestError, TimedOut) as error:
                    end(scope, observation, error.code)
                    last = error_message(id_, [described(error)])
                except ClientDisconnected:
                    raise
                except Exception as error:  # noqa: BLE001  it is masked, and logged
                    end(scope, observation, ErrorCode.INTERNAL_SERVER_ERROR)
                    last = error_message(id_, [logged(error)])
                # The client may use the id again as soon as it has the last message.
                self._operations.pop(id_, None)
                await self._send(last)
        finally:
            end(scope, observation, DISCONNECTED)
            log_operation(scope, request, observation, self.viewer)
            if trace is not None:
                trace.end(request, observation)

    def _traced(self, payload: dict[str, Any]) -> tuple[Scope, OperationTrace | None]:
        """The scope of an operation, which belongs to a trace, and the trace if one is made."""
        scope = with_trace_context(self.scope, trace_context_in(payload.get("extensions")))
        begin = scope.get(BEGIN_TRACE)
        trace: OperationTrace | None = None if begin is None else begin(scope)
        return (scope if trace is None else trace.scope), trace

    async def _results(self, id_: str, answer: Answer) -> Any:
        """Send all results but an error; return the last message."""
        if answer.stream is None:
            return await self._send_result(id_, _body(answer)) or complete_message(id_)
        try:
            with self._endpoint.connections.subscription(self.client):
                while (result := await answer.stream.next()) is not None:
                    error = await self._send_result(id_, result.payload)
                    if error is not None:
                        return error
                    self._endpoint.connections.results += 1
                    await asyncio.sleep(0)  # the next result may be there already
        finally:
            await answer.stream.close()
        return complete_message(id_)

    async def _send_result(self, id_: str, body: bytes) -> Any:
        """Send a result; return the message instead if it is an error, which comes last."""
        if body.startswith(_NO_DATA):
            return error_message(id_, orjson.loads(body)["errors"])
        await self._send(next_message(id_, body))
        return None

    def _request(self, payload: dict[str, Any]) -> Request:
        content = dict(payload)
        payload.clear()  # a subscription lasts, and would keep all that came with it
        # Clients that name a document send an empty text.
        if not content.get("query"):
            content.pop("query", None)
        request = replace(request_of(content, self.client), takes_stream=True)
        check_size(request, self._endpoint.max_variables_bytes)
        return request

    async def _answer(self, request: Request) -> Answer:
        seconds = self._endpoint.operation_timeout_seconds
        with self._endpoint.deadlines.watch(seconds, TimedOut):
            return await self._execution.answer(request, self.viewer)

    @property
    def _execution(self) -> Execution:
        execution: Execution = self.scope["state"]["execution"]
        return execution


def _body(answer: Answer) -> bytes:
    """The body of an answer, which has no header for its token."""
    if answer.token is None:
        return answer.body
    result = orjson.loads(answer.body)
    extensions = result.get("extensions", {}) | {"consistencyToken": str(answer.token)}
    return orjson.dumps({**result, "extensions": extensions})


def _authorized(scope: Scope, authorization: bytes) -> Scope:
    """A handshake with this header Authorization in place of its own."""
    others = [header for header in scope["headers"] if header[0] != b"authorization"]
    return with_headers(scope, [*others, (b"authorization", authorization)])


async def _close(send: Send, closed: Closed) -> None:
    # uvicorn ends the connection of a client that does not read.
    with suppress(ClientDisconnected, TimeoutError):
        async with asyncio.timeout(1.0):
            await send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
