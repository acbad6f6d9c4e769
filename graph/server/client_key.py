"""The key of a client's rate limit: the viewer who has signed in, or else the client's address."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
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


class ClientKeys:
    """Derives rate limit keys from requests. One per application; caches parsed addresses."""

    def __init__(self, trusted_proxies: tuple[Network, ...]) -> None:
        self._trusted = trusted_proxies
        self._address = lru_cache(_MAX_CACHED)(self._address_behind)

    def rate_limit_key(self, scope: Scope, viewer: Viewer) -> str:
        """`viewer ID`, an IPv4 address, an IPv6 /64 network, or "unknown"."""
        if viewer.id is not None:
            return f"viewer {viewer.id}"
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = header(scope, b"x-forwarded-for") if self._trusted else ""
        return self._address(peer, forwarded[-_MAX_FORWARDED_CHARS:])

    def _address_behind(self, peer: str, forwarded: str) -> str:
        """The last address that is not a trusted proxy's: a client may forge those before it."""
        address = peer
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        while hops and self._is_trusted(address):
            address = hops.pop()
        return _network(address)

    def _is_trusted(self, address: str) -> bool:
        try:
            return any(ip_address(address) in network for network in self._trusted)
        except ValueError:
            return False


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
