"""What every answer tells a browser not to do with it, unless the answer says otherwise itself.

An answer is data: nothing in it is to be run, framed, guessed at, kept, or shown inside a page of
another site. Pages that may call the API (CORS) are none the worse for it: the resource policy is
about what is loaded without asking, and no page could read that.

Strict-Transport-Security is not among them. It binds a whole host, all of its ports included, and
is for whoever speaks TLS there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Headers: TypeAlias = "Sequence[tuple[bytes, bytes]]"

DEFAULTS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_NAMES = frozenset(dict(DEFAULTS))


def missing_defaults(headers: Headers) -> Headers:
    """The defaults that an answer with these headers needs: all of them, for the most part."""
    said = dict(headers)
    if _NAMES.isdisjoint(said):
        return DEFAULTS
    return [header for header in DEFAULTS if header[0] not in said]
