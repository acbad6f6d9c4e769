"""Connections of webhooks: to public addresses, and to networks that a setting allows.

The address is checked that the connection is made to: a name that leads elsewhere at the second
look-up (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, TypeAlias

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Network

    Network: TypeAlias = IPv4Network | IPv6Network

_Address: TypeAlias = IPv4Address | IPv6Address

# Addresses of IPv4 within IPv6, for networks that have IPv6 only (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")
# Global unicast (RFC 4291): Python takes site-local addresses, fec0::/10, for global ones.
_INTERNET = IPv6Network("2000::/3")


class AddressRefused(httpcore.ConnectError):
    """The name has no address that may be used."""


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that may be used, whatever name leads to them.

    With `is_inside` only the allowed networks will do: for requests without encryption.
    """

    def __init__(self, allowed: Sequence[Network], *, is_inside: bool) -> None:
        self._allowed = allowed
        self._is_inside = is_inside
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _addresses(host, port)
        usable = [address for address in addresses if self._may_use(address)]
        if not usable:
            raise AddressRefused(f"{host} has no address that webhooks may use")
        for address in usable[:-1]:
            try:
                return await self._sockets.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(
            str(usable[-1]), port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused(path)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _may_use(self, address: _Address) -> bool:
        real = _within(address)
        if any(real in network for network in self._allowed if network.version == real.version):
            return True
        return not self._is_inside and is_public(address)


class PublicTransport(httpx.AsyncHTTPTransport):
    """HTTP over a `PublicNetwork`, without proxies."""

    def __init__(self, allowed: Sequence[Network], tls: ssl.SSLContext, *, is_inside: bool) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx has no parameter for the network of its pool.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            network_backend=PublicNetwork(allowed, is_inside=is_inside),
        )


def is_public(address: _Address) -> bool:
    """Whether an address is of the internet: not private, loopback, link-local or the like."""
    real = _within(address)
    if isinstance(real, IPv6Address) and real not in _INTERNET:
        return False
    return real.is_global and not real.is_multicast and not real.is_reserved


def _within(address: _Address) -> _Address:
    """The address of IPv4 that an address of IPv6 stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
    )


async def _addresses(host: str, port: int) -> list[_Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host}: {error.strerror or 'unknown name'}") from error
    except UnicodeError as error:
        raise httpcore.ConnectError(f"{host}: not a valid name") from error
    # A scope, as in fe80::1%eth0, is of link-local addresses.
    return list(dict.fromkeys(ip_address(str(each[4][0]).partition("%")[0]) for each in found))
