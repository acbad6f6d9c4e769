"""The default security headers of every response; a response may set its own values.

A response is data: a browser must not run, frame, sniff or cache it, or embed it in a page of
another site. Pages that CORS admits can still call the API: Cross-Origin-Resource-Policy restricts
only requests that are made without CORS.

Strict-Transport-Security is missing on purpose. It binds all ports of a host, so the proxy that
terminates TLS there must set it.
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
_NAMES = dict(DEFAULTS).keys()


def varying(headers: Headers, name: bytes) -> Headers:
    """The headers of a response that depends on the request header `name` as well."""
    vary = b", ".join(value for key, value in headers if key == b"vary")
    others = [header for header in headers if header[0] != b"vary"]
    return [*others, (b"vary", b"%b, %b" % (vary, name) if vary else name)]


def missing_defaults(headers: Headers) -> Headers:
    """The default headers that a response with these headers lacks."""
    present = dict(headers)
    if _NAMES.isdisjoint(present):
        return DEFAULTS
    return [header for header in DEFAULTS if header[0] not in present]
