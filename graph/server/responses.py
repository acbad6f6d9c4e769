"""Responses that hold GraphQL answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from graph.execution.failures import INTERNAL
from graph.server.accept import JSON

if TYPE_CHECKING:
    from graph.errors import RequestError


def json_response(body: Any, *, status: int = 200, media_type: str = JSON) -> Response:
    """`body` is what JSON is to be made of, or its bytes."""
    return Response(
        body if isinstance(body, bytes) else orjson.dumps(body),
        status,
        media_type=None,
        headers={"content-type": f"{media_type}; charset=utf-8"},
    )


def refused(error: RequestError, *, headers: dict[str, str] | None = None) -> Response:
    """The answer to what is not a GraphQL request: one error, no data."""
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
    response = json_response(body, status=error.status)
    response.headers.update(headers or {})
    return response


def internal_error(error_id: str) -> Response:
    """The answer where something broke outside of any resolver."""
    extensions = {"code": INTERNAL, "errorId": error_id}
    return json_response(
        {"errors": [{"message": "internal error", "extensions": extensions}]}, status=500
    )
