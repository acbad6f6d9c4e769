"""The schema, and what clients need beside it, as files for code generators and caches."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from graph.execution.schema_maps import keyless_types, possible_types
from graph.schema.schema import text_of
from graph.server.responses import has_etag

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from graph.schema.schema import Schema


def schema_routes(schema: Schema) -> list[BaseRoute]:
    inner = schema._schema  # noqa: SLF001  Strawberry has no other way to it
    return [
        _file("/schema.graphql", "application/graphql", lambda: text_of(schema)),
        _file("/possible-types.json", "application/json", lambda: possible_types(inner)),
        _file("/keyless-types.json", "application/json", lambda: keyless_types(inner)),
    ]


def _file(path: str, media_type: str, make: Callable[[], str]) -> Route:
    """A text that is made once. Clients keep it, and ask whether it has changed."""
    text = cache(make)

    async def send(request: Request) -> Response:
        # Weak: the same text is served in several content encodings.
        etag = f'W/"{blake2b(text().encode(), digest_size=12).hexdigest()}"'
        headers = {"Cache-Control": "no-cache", "ETag": etag}
        if has_etag(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        return Response(text(), media_type=media_type, headers=headers)

    return Route(path, send)
