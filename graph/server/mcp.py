"""The Model Context Protocol: the operations of the manifest as tools, at /mcp and over stdio.

A call is a request as any other: it has a viewer, limits, a price and a timeout. Over HTTP each
request stands alone, so that any worker can answer it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import mcp_types as types
import orjson
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import ClientDisconnect

from graph.errors import (
    BodyTooSlow,
    InvalidToken,
    OriginNotAllowed,
    Overloaded,
    RequestError,
    TimedOut,
    Unavailable,
)
from graph.execution.running.request import Request
from graph.execution.tools import DRY_RUN
from graph.server.cors import is_same_origin
from graph.server.graphql import is_shed
from graph.server.observing import end_unanswered, note
from graph.server.protocol import SHED
from graph.server.requests import check_size, headers_of, read_body
from graph.server.responses import described, error_response, logged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from mcp.server import ServerRequestContext
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from graph.execution.running.execute import Execution
    from graph.execution.tools import Tool
    from graph.server.authentication import Authenticator
    from graph.server.client_key import ClientKeys
    from graph.server.cors import Origins
    from graph.settings import Settings

_INSTRUCTIONS = (
    "Tools run GraphQL operations of a store. A tool that changes data is a dry run unless"
    " 'dryRun' is false: it returns the result that the change would have."
)
_WAS_DRY_RUN = "This was a dry run: nothing has changed."
_HOW_TO_CHANGE = " With 'dryRun': false the change is made."
_CHALLENGE = ((b"www-authenticate", b'Bearer error="invalid_token"'),)
_CLOSE = ((b"connection", b"close"),)


class McpServer:
    """The tools of one application, for clients over HTTP (it is an ASGI application) and stdio."""

    def __init__(
        self,
        tools: Sequence[Tool],
        settings: Settings,
        authenticator: Authenticator,
        client_keys: ClientKeys,
        origins: Origins,
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._authenticator = authenticator
        self._client_keys = client_keys
        self._origins = origins
        self._max_body_bytes = settings.max_body_bytes
        self._body_timeout_seconds = settings.client_timeout_seconds
        self._max_variables_bytes = settings.max_variables_bytes
        self._timeout_seconds = settings.operation_timeout_seconds
        token = settings.mcp_token.get_secret_value() if settings.mcp_token else ""
        self._authorization = [(b"authorization", f"Bearer {token}".encode())] if token else []
        # What stands for the request of a client over stdio.
        self._local: Scope = {}
        self._server = Server(
            "graph",
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )
        self._sessions = StreamableHTTPSessionManager(
            self._server,
            json_response=True,
            stateless=True,
            max_request_body_size=settings.max_body_bytes,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer requests over HTTP meanwhile."""
        async with self._sessions.run():
            yield

    async def run_stdio(self, state: Mapping[str, Any]) -> None:
        """Serve the client at the other end of stdin and stdout, until it closes them.

        `state` is that of the application's lifespan.
        """
        self._local = {"headers": self._authorization, "state": state}
        async with stdio_server() as (incoming, outgoing):
            options = self._server.create_initialization_options()
            await self._server.run(incoming, outgoing, options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._response(scope, receive)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> ASGIApp:
        """The protocol's response, or the refusal of the origin, the sign-in or the body.

        As at /graphql, a request that is too many is refused before its body is read.
        """
        headers = headers_of(scope)
        origin = headers.text(b"origin")
        if origin and not self._origins.allow(origin) and not is_same_origin(scope, origin):
            return error_response(OriginNotAllowed(origin))
        try:
            viewer = await self._authenticator.viewer(scope)
            execution: Execution = scope["state"]["execution"]
            execution.limiters.check(self._client_keys.client_key(scope, viewer))
            async with asyncio.timeout(self._body_timeout_seconds):
                body = await read_body(headers, receive, max_bytes=self._max_body_bytes)
        except InvalidToken as error:
            return error_response(error, _CHALLENGE)
        except TimeoutError:
            return error_response(BodyTooSlow(self._body_timeout_seconds), _CLOSE)
        except (RequestError, Unavailable) as error:
            if isinstance(error, Overloaded):
                scope[SHED] = True
                end_unanswered(scope, error.code)
            return error_response(error)
        return partial(self._respond, body)

    async def _respond(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the protocol, with its body, which has been read."""
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        await self._sessions.handle_request(scope, again, send)

    async def _list(
        self, _context: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_shown(tool) for tool in self._tools.values()])

    async def _call(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            return _failed([{"message": f"There is no tool named '{params.name}'."}])
        arguments = params.arguments or {}
        unknown = arguments.keys() - tool.input_schema["properties"].keys()
        if unknown:
            return _failed([{"message": f"{tool.name} has no argument '{min(unknown)}'."}])
        # Each call notes its request in the scope; a client over stdio makes many.
        scope = context.request.scope if context.request else dict(self._local)
        try:
            answer = await self._run(tool, arguments, scope)
        except (RequestError, Unavailable) as error:
            return _failed([described(error)])
        except Exception as error:  # noqa: BLE001  it is masked, and logged with its cause
            return _failed([logged(error)])
        return _result(answer, note=_note(tool, arguments))

    async def _run(self, tool: Tool, arguments: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """The response map of an operation.

        Raises:
            RequestError, Unavailable: the sign-in, the size or the time of the request.
        """
        viewer = await self._authenticator.viewer(scope)
        client = self._client_keys.client_key(scope, viewer)
        request = Request(tool.text, arguments, tool.name, client=client)
        check_size(request, self._max_variables_bytes)
        note(scope, request, viewer)
        execution: Execution = scope["state"]["execution"]
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await execution.answer(request, viewer)
        except TimeoutError:
            error = TimedOut()
            end_unanswered(scope, error.code)
            raise error from None
        scope[SHED] = is_shed(answer)
        response: dict[str, Any] = orjson.loads(answer.body)
        return response


def _shown(tool: Tool) -> types.Tool:
    annotations = types.ToolAnnotations(
        read_only_hint=not tool.is_mutation,
        destructive_hint=tool.is_mutation,
        idempotent_hint=tool.is_idempotent or not tool.is_mutation,
        open_world_hint=False,
    )
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=annotations,
    )


def _note(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """What a model must know of a result that shows a change; "" if the change was made."""
    if not tool.is_mutation or arguments.get(DRY_RUN) is False:
        return ""
    has_choice = DRY_RUN in tool.input_schema["properties"]
    return _WAS_DRY_RUN + (_HOW_TO_CHANGE if has_choice else "")


def _result(answer: dict[str, Any], *, note: str) -> types.CallToolResult:
    if "errors" in answer:
        return _failed(answer["errors"], answer.get("data"))
    texts = [orjson.dumps(answer["data"]).decode(), *([note] if note else [])]
    return types.CallToolResult(
        content=[types.TextContent(text=text) for text in texts],
        structured_content=answer["data"],
    )


def _failed(errors: list[dict[str, Any]], data: Any = None) -> types.CallToolResult:
    """A tool's error: the code and the message of each, and what the answer has beside them."""
    lines = [
        f"{error['extensions']['code']}: {error['message']}"
        if "extensions" in error
        else error["message"]
        for error in errors
    ]
    return types.CallToolResult(
        content=[types.TextContent(text="\n".join(lines))],
        structured_content={"errors": errors, **({"data": data} if data else {})},
        is_error=True,
    )
