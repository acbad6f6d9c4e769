"""Responses that hold GraphQL answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from graph.execution.failures import INTERNAL
from graph.server.accept import JSON

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from graph.errors import RequestError


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
        self._status = status
        self._headers = (
            (b"content-type", b"%b; charset=utf-8" % media_type.encode()),
            (b"content-length", b"%d" % len(self._body)),
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


def refused(error: RequestError, headers: tuple[tuple[bytes, bytes], ...] = ()) -> JsonResponse:
    """The answer to what is not a GraphQL request: one error, no data."""
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
    return JsonResponse(body, status=error.status, headers=headers)


def internal_error(error_id: str) -> JsonResponse:
    """The answer where something broke outside of any resolver."""
    extensions = {"code": INTERNAL, "errorId": error_id}
    body = {"errors": [{"message": "internal error", "extensions": extensions}]}
    return JsonResponse(body, status=500)
