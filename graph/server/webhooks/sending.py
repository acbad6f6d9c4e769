"""Sends one message to a receiver: one request, its time and the size of its response bounded."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import httpcore
import httpx

from graph.server.webhooks.attempts import TIMEOUT_SECONDS, DeliveryFailed
from graph.server.webhooks.network import PublicTransport
from graph.server.webhooks.signing import headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

_MAX_RESPONSE_BYTES = 65_536
_MOST_URL_CHARS = 2_000
_GONE = 410
_MOST_DIGITS = 9


def checked_url(url: str, *, allows_http: bool) -> str:
    """A receiver's URL.

    Raises:
        ValueError: it is not one that can be used; the message says why.
    """
    try:
        parts = urlsplit(url)
        has_user = parts.username is not None or parts.password is not None
        is_url = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        is_url = has_user = False
    if not is_url or len(url) > _MOST_URL_CHARS or not url.isascii() or not url.isprintable():
        raise ValueError("it must be a URL such as https://shop.example/hooks")
    if has_user or parts.fragment:
        raise ValueError("it must have no user name, no password and no fragment")
    if parts.scheme == "https" or (parts.scheme == "http" and allows_http):
        return url
    raise ValueError(
        "it must begin with https://; http:// is for networks in GRAPH_WEBHOOK_NETWORKS"
    )


class Sender:
    """Sends to any receiver. `networks` are those that it may connect to beside the internet."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = networks
        self._clients: dict[str, httpx.AsyncClient] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Keep connections meanwhile."""
        tls = await asyncio.to_thread(ssl.create_default_context)
        self._clients = {
            scheme: httpx.AsyncClient(
                transport=PublicTransport(self._networks, tls, is_inside=scheme == "http"),
                timeout=TIMEOUT_SECONDS,
                follow_redirects=False,
                trust_env=False,
                # Receivers' cookies would be kept, more each time, and sent to other webhooks.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                headers={"content-type": "application/json", "user-agent": "graph"},
            )
            for scheme in ("http", "https")
        }
        try:
            yield self
        finally:
            for client in self._clients.values():
                await client.aclose()

    async def send(self, url: str, secrets: Sequence[str], message: str, body: bytes) -> None:
        """Send a message once, signed with each secret.

        Raises:
            DeliveryFailed: there was no 2xx in time.
        """
        signed = headers(secrets, message, int(time.time()), body)
        client = self._clients[urlsplit(url).scheme]
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                client.stream("POST", url, content=body, headers=signed) as response,
            ):
                await _read(response)
        except TimeoutError as error:
            raise DeliveryFailed(f"no response within {TIMEOUT_SECONDS:.0f} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpcore.ConnectError, ssl.SSLError) as error:
            raise DeliveryFailed(_reason(error)) from error
        if not response.is_success:
            raise DeliveryFailed(
                f"status {response.status_code}",
                is_final=response.status_code == _GONE,
                retry_after=_retry_after(response),
            )


def _retry_after(response: httpx.Response) -> float:
    """The seconds of `Retry-After`, which is a number or a date (RFC 9110, section 10.2.3)."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:_MOST_DIGITS])
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment - datetime.now(moment.tzinfo)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


async def _read(response: httpx.Response) -> None:
    """Read a response, so that the connection can be kept; a large one is left."""
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > _MAX_RESPONSE_BYTES:
            return


def _reason(error: Exception) -> str:
    text = f"{error}".partition("\n")[0] or type(error).__name__
    return text[:400]
