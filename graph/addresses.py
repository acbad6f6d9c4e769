"""The addresses in settings: URLs of databases and keys, and origins of pages.

Each function returns an address as it is used, or raises a ValueError whose message never holds a
part of the address that may be a password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from pydantic import SecretStr

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_URL_SCHEME = re.compile(r"^(postgresql\+asyncpg|postgresql|postgres)://")
_SSL_MODE = re.compile(r"(?<=[?&])sslmode=")
_ORIGIN = re.compile(r"\*|[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+")
_PORTS = {"http": 80, "https": 443}


def database_url(url: str) -> str:
    """A URL of PostgreSQL with its driver, as SQLAlchemy takes it.

    libpq's parameter `sslmode`, which database hosts put into URLs, is asyncpg's `ssl`.
    """
    if not _URL_SCHEME.match(url):
        raise ValueError("it must start with postgresql:// (or postgres://)")
    if not _is_well_formed(url):
        raise ValueError(
            "must have the form postgresql://user:password@host:port/database,"
            " with special characters of the password %-escaped"
        )
    return _SSL_MODE.sub("ssl=", _URL_SCHEME.sub("postgresql+asyncpg://", url, count=1))


def shown(url: SecretStr) -> str:
    """The host, port and name in the URL of a database, without the password."""
    parts = urlsplit(url.get_secret_value())
    host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
    return f"{host}:{parts.port or 5432}{parts.path}"


def keys_url(url: str) -> str:
    """The URL of a JWK set, which nobody on the way can replace."""
    parts = urlsplit(url) if _is_well_formed(url) else None
    is_local = parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK
    if parts is None or not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError("must begin with https://, or lead to this machine (http://localhost)")
    return url


def origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without its scheme's own port (RFC 6454)."""
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"'{text}' must have the form https://shop.example, without a path")
    text = text.lower()
    port = _PORTS.get(text.partition(":")[0])
    return text.removesuffix(f":{port}") if port else text


def _is_well_formed(url: str) -> bool:
    """Whether the URL parses, with no part of a password in the port, the path or the query."""
    try:
        parts = urlsplit(url)
        return (parts.port or 0) >= 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        return False
