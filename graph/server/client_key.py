"""The key of a client: the viewer that has signed in, or else the client's address.

Rate limits and idempotency keys belong to it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, TypeAlias

from graph.server.requests import header

if TYPE_CHECKING:
    from starlette.types import Scope

    from graph.viewer import Viewer

Network: TypeAlias = IPv4Network | IPv6Network

_MAX_CACHED = 10_000
# Longer than any chain of proxies. Addresses further to the left are not trusted.
_MAX_FORWARDED_CHARS = 1_000
# Providers assign each customer at least a /64, and the customer may call from all of it.
_IPV6_PREFIX = 64
_HOP = re.compile(
    r"\[(?P<bracketed>[0-9A-Fa-f:.]+)\](?::\d+)?|(?P<plain>[0-9.]+)(?::\d+)?", re.ASCII
)


class ClientKeys:
    """Derives the keys of clients from requests. One per application; caches parsed addresses."""

    def __init__(self, trusted_proxies: tuple[Network, ...]) -> None:
        self._trusted = trusted_proxies
        self._address = lru_cache(_MAX_CACHED)(self._address_behind)

    def client_key(self, scope: Scope, viewer: Viewer) -> str:
        """`viewer SUBJECT`, an IPv4 address, an IPv6 /64 network, or "unknown"."""
        if viewer.subject is not None:
            return f"viewer {viewer.subject}"
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = header(scope, b"x-forwarded-for") if self._trusted else ""
        return self._address(peer, forwarded[-_MAX_FORWARDED_CHARS:])

    def _address_behind(self, peer: str, forwarded: str) -> str:
        """The last address that is not a trusted proxy's: a client may forge those before it.

        A hop without an address (`unknown`, `_hidden`) ends the search: its proxy stands for it.
        """
        address = _bare(peer)
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        while hops and is_within(address, self._trusted):
            hop = _bare(hops.pop())
            if _parsed(hop) is None:
                break
            address = hop
        return _network(address)


def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address is in one of the networks; one that is no address is in none."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _bare(hop: str) -> str:
    """The address of a hop, which may have quotes, brackets and a port (RFC 7239, section 6)."""
    match = _HOP.fullmatch(hop.strip('"'))
    return (match["bracketed"] or match["plain"]) if match else hop


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An address; that of IPv4 if it is mapped into IPv6, as sockets of both families report it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def _network(address: str) -> str:
    parsed = _parsed(address)
    if parsed is None:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
