"""What is read of an HTTP request, from the ASGI messages themselves.

Every request pays for what stands here, and Starlette's `Request` costs more than a look-up by key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect

from graph.errors import BadRequest, BodyTooLarge, VariablesTooLarge
from graph.execution.documents.persisted import names_document
from graph.execution.running.request import Request

if TYPE_CHECKING:
    from starlette.types import Receive, Scope


def header(scope: Scope, name: bytes) -> str:
    """A header's value, "" without one; what comes several times is one list (RFC 9110, 5.2)."""
    values = [value for key, value in scope["headers"] if key == name]
    return b",".join(values).decode("latin-1")


async def read_body(scope: Scope, receive: Receive, *, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: by its announced length, or as soon as it is over.
        ClientDisconnect: nobody waits for an answer.
    """
    for key, value in scope["headers"]:
        if key == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise BodyTooLarge(max_bytes)
    chunks, size_bytes = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise BodyTooLarge(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def json_of(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{what} is not JSON: {error}.") from None


def request_of(given: Any, client: str) -> Request:
    """Check the shape of a request (GraphQL over HTTP, section 5.1)."""
    if not isinstance(given, dict):
        raise BadRequest("A request is a JSON object with a 'query'.")
    query, variables = given.get("query"), given.get("variables")
    name, extensions = given.get("operationName"), given.get("extensions")
    if not isinstance(variables, dict | None):
        raise BadRequest("'variables' must be an object.")
    if not isinstance(name, str | None):
        raise BadRequest("'operationName' must be a string.")
    if not isinstance(extensions, dict | None):
        raise BadRequest("'extensions' must be an object.")
    if extensions or "documentId" in given:
        return _extended_request(given, extensions or {}, client)
    _check_query(query)
    return Request(query, variables or {}, name or None, client=client)


def request_of_url(query_string: bytes, client: str) -> Request:
    parameters: dict[str, Any] = dict(QueryParams(query_string))
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = json_of(parameters[name].encode(), f"The parameter '{name}'")
        else:
            parameters.pop(name, None)
    return request_of(parameters, client)


def check_size(request: Request, max_variables_bytes: int) -> None:
    if len(orjson.dumps(request.variables)) > max_variables_bytes:
        raise VariablesTooLarge(max_variables_bytes)


def _extended_request(given: dict[str, Any], extensions: dict[str, Any], client: str) -> Request:
    document, is_hash = names_document(given.get("documentId"), extensions.get("persistedQuery"))
    query = given.get("query")
    if document is None or query is not None:
        _check_query(query)
    return Request(
        query,
        given.get("variables") or {},
        given.get("operationName") or None,
        document=document,
        document_is_hash=is_hash,
        client=client,
        wants_cost=extensions.get("cost") is True,
    )


def _check_query(query: Any) -> None:
    if not isinstance(query, str) or not query.strip():
        raise BadRequest("'query' must be a string that holds a GraphQL document.")
