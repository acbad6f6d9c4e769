"""GraphiQL, bundled by `make setup`, under a policy that permits no other origin."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from graph.server.responses import JsonResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from graph.execution.documents.persisted import Persisted

# Monaco writes its colours and positions into style elements and attributes: 'unsafe-inline'.
GRAPHIQL_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_DIST = Path(__file__).parent / "graphiql" / "dist"
# The assets carry the policy too: a worker obeys the policy of its own script.
_HEADERS = {"Content-Security-Policy": GRAPHIQL_POLICY}
_NOT_BUILT = """\
GraphiQL is not built yet. Run `make setup`, then load this page again.
The API itself is there: POST {"query": "..."} to this address.
"""


def graphiql_page() -> Response:
    """The page that loads the bundle; 503 in plain text if there is no bundle.

    The names of the assets change with their content, so browsers revalidate the page and cache
    the assets forever.
    """
    # A new response each time: middleware appends its headers to the list of a response.
    try:
        return HTMLResponse(
            _index(_DIST), headers=_HEADERS | {"Cache-Control": "no-cache", "Vary": "Accept"}
        )
    except FileNotFoundError:
        return PlainTextResponse(_NOT_BUILT, 503, headers=_HEADERS)


def graphiql_routes(persisted: Persisted | None = None) -> list[BaseRoute]:
    """The page's assets, and the documents that it may run: null stands for any."""
    texts = None if persisted is None or persisted.takes_any else persisted.trusted.values()
    trusted = {"trusted": None if texts is None else sorted({*texts})}

    async def list_documents(_request: Request) -> JsonResponse:
        return JsonResponse(trusted)

    return [
        Mount("/graphiql/assets", _Assets(directory=_DIST / "assets", check_dir=False)),
        Route("/graphiql/documents", list_documents),
    ]


@cache
def _index(dist: Path) -> str:
    return (dist / "index.html").read_text("utf-8")


class _Assets(StaticFiles):
    """Files that never change under their name."""

    async def check_config(self) -> None:
        """Do nothing: a missing bundle is a 404 then, not Starlette's 500."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"})
        return response
