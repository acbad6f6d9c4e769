"""Protection from cross-site request forgery: GET requests need a CORS preflight.

A browser sends a preflight request before it sends JSON or a custom header to another origin. A
POST must have a JSON body, so it is safe. A GET needs no preflight by itself. If it shows signs of
a browser, it must carry a custom header, or come from a page of the same origin or of one that may
call the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.errors import NoPreflight
from graph.server.accept import JSON
from graph.server.requests import headers_of

if TYPE_CHECKING:
    from starlette.types import Scope

    from graph.server.cors import Origins

# Any of these forces a preflight; the last two are Apollo's.
PREFLIGHT_HEADERS = (
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
)

_PREFLIGHT_HEADERS = frozenset(name.encode() for name in PREFLIGHT_HEADERS)
_BROWSER_HEADERS = frozenset({b"cookie", b"origin", b"referer"})
_SAME_SITE = frozenset({b"same-origin", b"none"})


def check_preflight(scope: Scope, origins: Origins) -> None:
    """Check that no page of a foreign origin can have caused this GET without a preflight.

    Browsers name the origin of a page that wants to read the response; `origins` may do so.

    Raises:
        NoPreflight: a page of a foreign origin can have caused it.
    """
    headers = headers_of(scope)
    content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if content_type == JSON.encode() or not _PREFLIGHT_HEADERS.isdisjoint(headers):
        return
    origin = headers.get(b"origin")
    if origin and origins.allow(origin.decode("latin-1")):
        return
    site = headers.get(b"sec-fetch-site")
    if site in _SAME_SITE or (site is None and _BROWSER_HEADERS.isdisjoint(headers)):
        return
    raise NoPreflight(PREFLIGHT_HEADERS[0])
