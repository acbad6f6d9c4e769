"""HTTP responses with GraphQL answers."""

from __future__ import annotations

import logging
from hashlib import blake2b
from random import getrandbits
from typing import TYPE_CHECKING, Any

import orjson

from graph.database.consistency import latest
from graph.errors import ErrorCode
from graph.execution.running.request import Answer
from graph.server.accept import GRAPHQL_RESPONSE, JSON
from graph.server.streams import WIRES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from graph.errors import RequestError, Unavailable


logger = logging.getLogger(__name__)

_OK = 200
_UNAUTHENTICATED = 401
# A client of application/json reads the errors, and gets 200 for these.
_REFUSED = frozenset({400, 401, 403})
# The header Content-Type, by media type.
_CONTENT_TYPES = {
    name: (b"content-type", content_type)
    for name, content_type in (
        *((name, b"%b; charset=utf-8" % name.encode()) for name in (JSON, GRAPHQL_RESPONSE)),
        *((name, wire.content_type) for name, wire in WIRES.items()),
    )
}
# The types of the two messages of a response.
_OF_REQUESTS = ("http.response.start", "http.response.body")
_OF_HANDSHAKES = ("websocket.http.response.start", "websocket.http.response.body")


class JsonResponse:
    """A JSON response without Starlette's support for cookies, charsets and background tasks.

    `body` is JSON as bytes, or a value to encode as JSON.
    """

    def __init__(
        self,
        body: Any,
        *,
        status: int = 200,
        media_type: str = JSON,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self._body = body if isinstance(body, bytes) else orjson.dumps(body)
        self.size_bytes = len(self._body)
        self._status = status
        self._headers = (
            _CONTENT_TYPES[media_type],
            (b"content-length", b"%d" % self.size_bytes),
            *headers,
        )

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        # A handshake of a WebSocket may be refused with a response.
        start, body = _OF_HANDSHAKES if scope["type"] == "websocket" else _OF_REQUESTS
        await send({"type": start, "status": self._status, "headers": list(self._headers)})
        await send({"type": body, "body": self._body})


class _NotModified:
    def __init__(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = list(self._headers)
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def answer_response(
    answer: Answer, media_type: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> JsonResponse:
    """The response with an answer.

    Only clients of graphql-response+json get a 400, 401 or 403 for errors.
    """
    status, body = answer.status, answer.body
    if status in _REFUSED and media_type != GRAPHQL_RESPONSE:
        status = 200
    if status == _UNAUTHENTICATED:
        headers = (*headers, (b"www-authenticate", b"Bearer"))
    if media_type in WIRES:
        body = WIRES[media_type].one(body)
    if answer.token is not None:
        headers = (*headers, (b"x-consistency-token", str(answer.token).encode()))
    if answer.retry_after_seconds is not None:
        headers = (*headers, (b"retry-after", b"%d" % answer.retry_after_seconds))
    return JsonResponse(body, status=status, media_type=media_type, headers=headers)


def batch_response(answers: Sequence[Answer], media_type: str) -> JsonResponse:
    """The response with a list of answers. Its status is their common status, else 200."""
    statuses = {answer.status for answer in answers}
    waits = [answer.retry_after_seconds or 0 for answer in answers]
    together = Answer(
        b"[" + b",".join(answer.body for answer in answers) + b"]",
        statuses.pop() if len(statuses) == 1 else 200,
        max(waits, default=0) or None,
        token=latest(answer.token for answer in answers),
    )
    return answer_response(together, media_type)


def cacheable_response(
    answer: Answer, media_type: str, etags: str, *, is_shared: bool
) -> JsonResponse | _NotModified:
    """The response to a GET; 304 if its ETag is in `etags`, the If-None-Match header.

    `is_shared` tells that every client gets it, so that shared caches may keep it.
    """
    vary = (b"vary", b"Accept, Authorization, X-Consistency-Token")
    if answer.status != _OK or answer.cache_control is None:
        return answer_response(answer, media_type, (vary,))
    hashed = blake2b(answer.body, digest_size=12, person=media_type.encode()[-16:]).hexdigest()
    # Weak: the same answer is served in several content encodings.
    etag = f'W/"{hashed}"'
    cache_control = answer.cache_control
    if not is_shared:
        cache_control = cache_control.replace(b"public", b"private")
    headers = ((b"cache-control", cache_control), (b"etag", etag.encode()), vary)
    if has_etag(etags, etag):
        return _NotModified(headers)
    return answer_response(answer, media_type, headers)


def has_etag(etags: str, etag: str) -> bool:
    """Whether If-None-Match names this ETag; both may be weak (RFC 9110, section 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in etags.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def error_response(
    error: RequestError | Unavailable,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    media_type: str = JSON,
) -> JsonResponse:
    """The response to a request that no operation was read from: one error, without data.

    Its status is an error, so that it is no stream, whatever the client accepts.
    """
    body = {"errors": [described(error)]}
    wait = getattr(error, "retry_after_seconds", None)
    if wait is not None:
        headers = (*headers, (b"retry-after", b"%d" % wait))
    media_type = JSON if media_type in WIRES else media_type
    return JsonResponse(body, status=error.status, media_type=media_type, headers=headers)


def described(error: RequestError | Unavailable) -> dict[str, Any]:
    """An error as a client gets it."""
    return {"message": str(error), "extensions": {"code": error.code}}


def internal_error(error_id: str) -> JsonResponse:
    """The response to an exception outside of any resolver; the log has the cause by its id."""
    return JsonResponse({"errors": [masked(error_id)]}, status=500)


def logged(error: Exception) -> dict[str, Any]:
    """Log an unexpected exception; return what its client gets instead."""
    error_id = f"{getrandbits(64):016x}"
    logger.error("error %s", error_id, exc_info=error)
    return masked(error_id)


def masked(error_id: str) -> dict[str, Any]:
    """An unexpected exception as a client gets it."""
    extensions = {"code": ErrorCode.INTERNAL_SERVER_ERROR, "errorId": error_id}
    return {"message": "internal error", "extensions": extensions}
