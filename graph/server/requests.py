"""Reads GraphQL requests from ASGI messages.

Starlette's `Request` is not used: it costs more than a look-up by key.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect

from graph.database.consistency import ConsistencyToken
from graph.errors import (
    BadRequest,
    BodyTooLarge,
    InvalidKey,
    UnsupportedEncoding,
    UnsupportedMediaType,
    VariablesTooLarge,
)
from graph.execution.documents.persisted import names_document
from graph.execution.running.request import ExplainMode, Request
from graph.server.accept import JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope

# A string of RFC 9651, or a bare value as most clients send it. A comma would join two headers.
_IDEMPOTENCY_KEY = re.compile(r'"(?P<quoted>(?:[^"\\]|\\["\\])+)"|(?P<bare>[^",]+)')
_KEPT = "graph.headers"
# Where Relay's and other clients' examples send the id of a document.
_OTHER_IDS = frozenset({"doc_id", "docId", "id", "queryId"})
_JSON = JSON.encode()
_ESCAPED = re.compile(r'\\(["\\])')


class Headers(dict[bytes, bytes]):
    """The headers of a request by name; repeated ones are joined (RFC 9110, section 5.2)."""

    __slots__ = ()

    def text(self, name: bytes) -> str:
        """A header's value, or ""."""
        value = self.get(name)
        return value.decode("latin-1") if value else ""


def header(scope: Scope, name: bytes) -> str:
    """A header's value, or ""."""
    value = (scope.get(_KEPT) or headers_of(scope)).get(name)
    return value.decode("latin-1") if value else ""


def headers_of(scope: Scope) -> Headers:
    """The headers of a scope, which keeps them."""
    found: Headers | None = scope.get(_KEPT)
    if found is None:
        found = scope[_KEPT] = _read(scope["headers"])
    return found


def with_headers(scope: Scope, headers: Sequence[tuple[bytes, bytes]]) -> Scope:
    """A copy of a scope, with other headers."""
    return {**scope, "headers": headers, _KEPT: _read(headers)}


def _read(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    found = Headers(headers)
    if len(found) < len(headers):
        for name in found:
            found[name] = b",".join(value for key, value in headers if key == name)
    return found


def check_body_format(headers: Headers) -> None:
    """Check that a body is JSON in UTF-8, and not compressed.

    Raises:
        UnsupportedMediaType: its Content-Type is missing, or another.
        UnsupportedEncoding: it has a Content-Encoding.
    """
    if headers.get(b"content-type") != _JSON:
        content_type = headers.text(b"content-type")
        media_type, *options = (part.strip().lower() for part in content_type.split(";"))
        charsets = [option for option in options if option.startswith("charset=")]
        if media_type != JSON or charsets not in ([], ["charset=utf-8"], ['charset="utf-8"']):
            raise UnsupportedMediaType(content_type)
    if b"content-encoding" in headers:
        encoding = headers.text(b"content-encoding")
        if encoding.strip().lower() not in {"", "identity"}:
            raise UnsupportedEncoding(encoding)


def idempotency_key(scope: Scope) -> str | None:
    """The key in the header Idempotency-Key (a quoted string, or a bare one); None without one.

    Raises:
        InvalidKey: it is empty or malformed, or there is more than one.
    """
    if b"idempotency-key" not in headers_of(scope):
        return None
    values = [value for name, value in scope["headers"] if name == b"idempotency-key"]
    if len(values) > 1:
        raise InvalidKey("A request must have one header Idempotency-Key.")
    found = _IDEMPOTENCY_KEY.fullmatch(values[0].decode("latin-1").strip())
    if found is None:
        raise InvalidKey("The header Idempotency-Key must hold one key: a quoted string.")
    return found["bare"] or _ESCAPED.sub(r"\1", found["quoted"])


def with_token(request: Request, headers: Headers) -> Request:
    """The request with the token in the header X-Consistency-Token, if there is one.

    Raises:
        InvalidConsistencyToken: it is malformed, or there is more than one.
    """
    token = headers.text(b"x-consistency-token")
    return replace(request, token=ConsistencyToken.parse(token)) if token else request


async def read_body(headers: Headers, receive: Receive, *, max_bytes: int) -> bytes:
    """Read the whole body.

    Raises:
        BodyTooLarge: its Content-Length, or the bytes received so far, exceed `max_bytes`.
        ClientDisconnect: the client disconnected before the end.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > max_bytes:
        raise BodyTooLarge(max_bytes)
    chunks: list[bytes] = []
    left_bytes = max_bytes
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        left_bytes -= len(chunk)
        if left_bytes < 0:
            raise BodyTooLarge(max_bytes)
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def json_of(text: bytes, subject: str) -> Any:
    """Parse JSON.

    Raises:
        BadRequest: the text is not JSON; the message begins with `subject`.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{subject} is not valid JSON: {error}.") from None


def request_of(content: Any, client: str) -> Request:
    """The request in the parsed JSON of a body (GraphQL over HTTP, section 5.1).

    Raises:
        BadRequest: a member has the wrong type, or there is no query.
        InvalidConsistencyToken: its extension `consistencyToken` is malformed.
    """
    if not isinstance(content, dict):
        raise BadRequest("A request must be a JSON object with a 'query'.")
    query, variables = content.get("query"), content.get("variables")
    name, extensions = content.get("operationName"), content.get("extensions")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest("'variables' must be an object.")
    if name is not None and not isinstance(name, str):
        raise BadRequest("'operationName' must be a string.")
    if extensions is not None and not isinstance(extensions, dict):
        raise BadRequest("'extensions' must be an object.")
    if extensions or "documentId" in content:
        return _extended_request(content, extensions or {}, client)
    _check_query(content)
    return Request(query, variables or {}, name or None, client=client)


def request_of_url(query_string: bytes, client: str) -> Request:
    """The request in the parameters of a GET (GraphQL over HTTP, section 6.2).

    Raises:
        BadRequest: a parameter is not JSON or has the wrong type, or there is no query.
    """
    parameters: dict[str, Any] = dict(QueryParams(query_string))
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = json_of(parameters[name].encode(), f"The parameter '{name}'")
        else:
            parameters.pop(name, None)
    return request_of(parameters, client)


def check_size(request: Request, max_variables_bytes: int) -> None:
    """Check the size of the variables as JSON.

    Raises:
        VariablesTooLarge: it exceeds `max_variables_bytes`.
    """
    if len(orjson.dumps(request.variables)) > max_variables_bytes:
        raise VariablesTooLarge(max_variables_bytes)


def _extended_request(content: dict[str, Any], extensions: dict[str, Any], client: str) -> Request:
    document, is_hash = names_document(content.get("documentId"), extensions.get("persistedQuery"))
    query, token = content.get("query"), extensions.get("consistencyToken")
    if document is None or query is not None:
        _check_query(content)
    return Request(
        query,
        content.get("variables") or {},
        content.get("operationName") or None,
        document=document,
        document_is_hash=is_hash,
        client=client,
        wants_cost=_wants_cost(extensions.get("cost")),
        explain=_explain_mode(extensions.get("explain")),
        token=None if token is None else ConsistencyToken.parse(token),
    )


def _wants_cost(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise BadRequest("'extensions.cost' must be true or false.")


def _explain_mode(value: Any) -> ExplainMode | None:
    match value:
        case None | False:
            return None
        case True:
            return ExplainMode.PLAN
        case {"analyze": bool(analyze), **others} if not others:
            return ExplainMode.ANALYZE if analyze else ExplainMode.PLAN
    raise BadRequest("'extensions.explain' must be true, or {\"analyze\": true}.")


def _check_query(content: dict[str, Any]) -> None:
    query = content.get("query")
    if isinstance(query, str) and query.strip():
        return
    if named := sorted(_OTHER_IDS & content.keys()):
        raise BadRequest(f"The id of a document is sent as 'documentId', not as '{named[0]}'.")
    raise BadRequest("'query' must be a string that holds a GraphQL document.")
