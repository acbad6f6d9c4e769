"""GraphQL over HTTP: GET and POST, a negotiated media type, one JSON answer.

Follows the GraphQL-over-HTTP draft. What is no GraphQL request is a 4xx. A request that cannot be
executed is a 400 under `application/graphql-response+json`, whose clients trust the status, and a
200 under `application/json`, whose clients read the errors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect

from graph.errors import (
    BadRequest,
    MethodNotAllowed,
    RequestError,
    UnsupportedMediaType,
    VariablesTooLarge,
)
from graph.execution.execute import Request
from graph.server.accept import HTML, JSON, negotiated
from graph.server.pages import graphiql_page
from graph.server.requests import header, read_body
from graph.server.responses import JsonResponse, refused
from graph.viewer import ANONYMOUS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from graph.execution.execute import Execution
    from graph.server.payers import Payers


class GraphQL:
    """The ASGI application at `/graphql`."""

    def __init__(
        self, *, max_body_bytes: int, max_variables_bytes: int, payers: Payers | None
    ) -> None:
        self._payers = payers
        self._max_body_bytes = max_body_bytes
        self._max_variables_bytes = max_variables_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._response(scope, receive)
        except MethodNotAllowed as error:
            response = refused(error, headers=((b"allow", b"GET, POST"),))
        except RequestError as error:
            response = refused(error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> ASGIApp:
        method, execution = scope["method"], scope["state"]["execution"]
        if method not in {"GET", "POST"}:
            raise MethodNotAllowed(f"Use POST, or GET for queries; not {method}.")
        media_type = negotiated(header(scope, b"accept"), html=method == "GET")
        if media_type == HTML:
            return graphiql_page()
        if method == "POST":
            request = await self._from_body(scope, receive)
        else:
            request = _from_url(scope, execution)
        if self._payers:
            request = replace(request, client=self._payers.payer(scope, ANONYMOUS))
        answer = await execution.answer(request, ANONYMOUS)
        ok = media_type == JSON and answer.status == BadRequest.status
        status, wait = 200 if ok else answer.status, answer.retry_after_seconds
        headers = () if wait is None else ((b"retry-after", b"%d" % wait),)
        return JsonResponse(answer.body, status=status, media_type=media_type, headers=headers)

    async def _from_body(self, scope: Scope, receive: Receive) -> Request:
        _check_media_type(header(scope, b"content-type"))
        body = await read_body(scope, receive, max_bytes=self._max_body_bytes)
        request = _request(_json(body, "The request body"))
        # Only a body that is larger can hold variables that are.
        if len(body) > self._max_variables_bytes:
            self._check_size(request.variables)
        return request

    def _check_size(self, variables: dict[str, Any]) -> None:
        if len(orjson.dumps(variables)) > self._max_variables_bytes:
            raise VariablesTooLarge(self._max_variables_bytes)


def _from_url(scope: Scope, execution: Execution) -> Request:
    parameters: dict[str, Any] = dict(QueryParams(scope["query_string"]))
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = _json(parameters[name].encode(), f"The parameter '{name}'")
        else:
            parameters.pop(name, None)
    request = _request(parameters)
    if not execution.is_query(request):
        raise MethodNotAllowed("Only queries may be sent by GET; use POST.")
    return request


def _check_media_type(given: str) -> None:
    if given == JSON:
        return
    media_type, *options = (part.strip().lower() for part in given.split(";"))
    charsets = [option for option in options if option.startswith("charset=")]
    if media_type != JSON or charsets not in ([], ["charset=utf-8"], ['charset="utf-8"']):
        raise UnsupportedMediaType(given)


def _json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{what} is not JSON: {error}.") from None


def _request(given: Any) -> Request:
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
    wants_cost = extensions is not None and extensions.get("cost") is True
    return Request(query, variables or {}, name or None, wants_cost=wants_cost)
