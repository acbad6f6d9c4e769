"""Responses that hold GraphQL answers."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from graph.execution.failures import INTERNAL
from graph.execution.running.request import Answer
from graph.server.accept import GRAPHQL_RESPONSE, JSON
from graph.server.streams import WIRES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from graph.errors import RequestError, Unavailable


_OK = 200
_REFUSED = 400
_CONTENT_TYPES = {name: b"%b; charset=utf-8" % name.encode() for name in (JSON, GRAPHQL_RESPONSE)}
_CONTENT_TYPES |= {name: wire.content_type for name, wire in WIRES.items()}


class JsonResponse:
    """Starlette's Response without what no answer has: cookies, other charsets, background work.

    `body` is what JSON is to be made of, or its bytes.
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
            (b"content-type", _CONTENT_TYPES[media_type]),
            (b"content-length", b"%d" % self.size_bytes),
            *headers,
        )

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {
            "type": "http.response.start",
            "status": self._status,
            "headers": list(self._headers),
        }
        await send(start)
        await send({"type": "http.response.body", "body": self._body})


class _NotModified:
    def __init__(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = list(self._headers)
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def answered(
    answer: Answer, media_type: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> JsonResponse:
    """An answer as HTTP: clients read the errors, but for those that trust the status."""
    trusted = media_type == GRAPHQL_RESPONSE
    status = 200 if answer.status == _REFUSED and not trusted else answer.status
    body = WIRES[media_type].one(answer.body) if media_type in WIRES else answer.body
    if answer.retry_after_seconds is not None:
        headers = (*headers, (b"retry-after", b"%d" % answer.retry_after_seconds))
    return JsonResponse(body, status=status, media_type=media_type, headers=headers)


def batched(answers: Sequence[Answer], media_type: str) -> JsonResponse:
    """The answers as one list; the status is theirs, if they agree."""
    statuses = {answer.status for answer in answers}
    waits = [answer.retry_after_seconds or 0 for answer in answers]
    together = Answer(
        b"[" + b",".join(answer.body for answer in answers) + b"]",
        statuses.pop() if len(statuses) == 1 else 200,
        max(waits, default=0) or None,
    )
    return answered(together, media_type)


def cacheable(answer: Answer, media_type: str, known: str) -> JsonResponse | _NotModified:
    """The answer to a GET, or 304 where the client knows it already by its ETag."""
    vary = (b"vary", b"Accept")
    if answer.status != _OK or answer.cache_control is None:
        return answered(answer, media_type, (vary,))
    hashed = blake2b(answer.body, digest_size=12, person=media_type.encode()[-16:]).hexdigest()
    # Weak: the same answer comes in several encodings.
    etag = f'W/"{hashed}"'
    headers = ((b"cache-control", answer.cache_control), (b"etag", etag.encode()), vary)
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    if "*" in tags or etag.removeprefix("W/") in tags:
        return _NotModified(headers)
    return answered(answer, media_type, headers)


def refused(
    error: RequestError | Unavailable, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> JsonResponse:
    """The answer to what is not a GraphQL request: one error, no data."""
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
    return JsonResponse(body, status=error.status, headers=headers)


def internal_error(error_id: str) -> JsonResponse:
    """The answer where something broke outside of any resolver."""
    extensions = {"code": INTERNAL, "errorId": error_id}
    body = {"errors": [{"message": "internal error", "extensions": extensions}]}
    return JsonResponse(body, status=500)
