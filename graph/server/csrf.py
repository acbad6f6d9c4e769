"""No page of another origin makes a browser run an operation unasked.

A browser asks first (a preflight) before it sends a body of JSON, or a header of one's own, to
another origin; so a POST, which has to be JSON, is safe. A GET may come without: what bears a mark
of a browser has to say that it asked, or come from a page of this very origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.errors import NoPreflight
from graph.server.accept import JSON

if TYPE_CHECKING:
    from starlette.types import Scope

# Any of these forces a preflight; the last two are Apollo's.
PREFLIGHT_HEADERS = (
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
)

_ASKED = frozenset(name.encode() for name in PREFLIGHT_HEADERS)
_MARKS = frozenset({b"cookie", b"origin", b"referer"})
_OWN_PAGES = frozenset({b"same-origin", b"none"})


def check_preflight(scope: Scope) -> None:
    """Return if no other origin's page can have caused a GET unasked.

    Raises:
        NoPreflight: one can.
    """
    headers = dict(scope["headers"])
    content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if content_type == JSON.encode() or not _ASKED.isdisjoint(headers):
        return
    site = headers.get(b"sec-fetch-site")
    if site in _OWN_PAGES or (site is None and _MARKS.isdisjoint(headers)):
        return
    raise NoPreflight(PREFLIGHT_HEADERS[0])
