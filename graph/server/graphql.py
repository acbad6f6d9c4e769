"""GraphQL over HTTP: GET and POST, a negotiated media type, one JSON answer.

Follows the GraphQL-over-HTTP draft. What is no GraphQL request is a 4xx. A request that cannot be
executed is a 400 under `application/graphql-response+json`, whose clients trust the status, and a
200 under `application/json`, whose clients read the errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import ClientDisconnect, Request

from graph.errors import BadRequest, MethodNotAllowed, RequestError, UnsupportedMediaType
from graph.execution.execute import Request as GraphQLRequest
from graph.server.accept import HTML, JSON, negotiated
from graph.server.pages import graphiql_page
from graph.server.responses import json_response, refused
from graph.viewer import ANONYMOUS

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from graph.execution.execute import Execution


async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application at `/graphql`."""
    request = Request(scope, receive)
    try:
        response = await _response(request)
    except RequestError as error:
        allow = {"allow": "GET, POST"} if isinstance(error, MethodNotAllowed) else None
        response = refused(error, headers=allow)
    except ClientDisconnect:
        return
    await response(scope, receive, send)


async def _response(request: Request) -> Response:
    if request.method not in {"GET", "POST"}:
        raise MethodNotAllowed(f"Use POST, or GET for queries; not {request.method}.")
    accept = ",".join(request.headers.getlist("accept"))
    media_type = negotiated(accept, html=request.method == "GET")
    if media_type == HTML:
        return graphiql_page()
    asked = _from_url(request) if request.method == "GET" else await _from_body(request)
    execution: Execution = request.state.execution
    if request.method == "GET" and not execution.is_query(asked):
        raise MethodNotAllowed("Only queries may be sent by GET; use POST.")
    answer = await execution.answer(asked, ANONYMOUS)
    ok = media_type == JSON and answer.status == BadRequest.status
    return json_response(answer.body, status=200 if ok else answer.status, media_type=media_type)


def _from_url(request: Request) -> GraphQLRequest:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = _json(parameters[name].encode(), f"The parameter '{name}'")
        else:
            parameters.pop(name, None)
    return _graphql_request(parameters)


async def _from_body(request: Request) -> GraphQLRequest:
    given = request.headers.get("content-type", "")
    media_type, *options = (part.strip().lower() for part in given.split(";"))
    charsets = [option for option in options if option.startswith("charset=")]
    if media_type != JSON or charsets not in ([], ["charset=utf-8"], ['charset="utf-8"']):
        raise UnsupportedMediaType(given)
    return _graphql_request(_json(await request.body(), "The request body"))


def _json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{what} is not JSON: {error}.") from None


def _graphql_request(given: Any) -> GraphQLRequest:
    """Check the shape of a request (GraphQL over HTTP, section 5.1)."""
    if not isinstance(given, dict):
        raise BadRequest("A request is a JSON object with a 'query'.")
    query, variables = given.get("query"), given.get("variables")
    name, extensions = given.get("operationName"), given.get("extensions")
    if not isinstance(query, str) or not query.strip():
        raise BadRequest("'query' must be a string that holds a GraphQL document.")
    if not isinstance(variables, dict | None):
        raise BadRequest("'variables' must be an object.")
    if not isinstance(name, str | None):
        raise BadRequest("'operationName' must be a string.")
    if not isinstance(extensions, dict | None):
        raise BadRequest("'extensions' must be an object.")
    return GraphQLRequest(query, variables or {}, name or None)
