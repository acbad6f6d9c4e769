"""The public keys of an identity provider: a JWK set (RFC 7517), renewed in the background.

The set is loaded when the server starts, and again every few minutes. A token that names an unknown
key loads it at once, but not more than once a minute, so that a flood of such tokens causes no
flood of requests. Where loading fails, the last keys stay in use.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import orjson
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from graph.database.tasks import FailureLog
from graph.errors import InvalidToken, ProviderUnavailable
from graph.server.tokens import fully_specified

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

logger = logging.getLogger(__name__)

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey

_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 262_144
_RENEW_SECONDS = 600.0
_RETRY_SECONDS = 10.0
_UNKNOWN_KEY_SECONDS = 60.0
_MIN_RSA_BITS = 2_048
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

# The only type and curve of keys for each algorithm.
_ALGORITHMS: dict[str, tuple[type[PublicKey], str | None]] = {
    "RS256": (RSAKey, None),
    "ES256": (ECKey, "P-256"),
    "Ed25519": (OKPKey, "Ed25519"),
}


class JWKSet:
    """The keys at one URL. One per application; `on_change` is called when the set has changed."""

    algorithms = tuple(_ALGORITHMS)

    def __init__(self, url: str, on_change: Callable[[], None] = lambda: None) -> None:
        self._url = url
        self.on_change = on_change
        self._tls: ssl.SSLContext | None = None
        self._keys: list[PublicKey] | None = None
        self._lock = asyncio.Lock()
        self._tried_at = float("-inf")
        self._failed = False
        self._failures = FailureLog(
            logger,
            "the keys at GRAPH_JWT_JWKS_URL cannot be loaded",
            "the keys at GRAPH_JWT_JWKS_URL are loaded again",
        )

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Load the keys now and renew them until the block ends."""
        # It reads the certificates of all authorities: not while requests wait.
        self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        task = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def find(self, algorithm: str, kid: str | None) -> PublicKey:
        """The key of this name; a set of a single key needs no name.

        Raises:
            InvalidToken: the provider has no such key, or not for this algorithm.
            ProviderUnavailable: the keys cannot be loaded.
        """
        found = self._find(algorithm, kid)
        if found is None:
            wait_seconds = _RETRY_SECONDS if self._keys is None else _UNKNOWN_KEY_SECONDS
            await self._load(no_later_than=time.monotonic() - wait_seconds)
            found = self._find(algorithm, kid)
        if found is not None:
            return found
        if self._failed:
            raise ProviderUnavailable
        raise InvalidToken("the issuer has no key for it")

    def _find(self, algorithm: str, kid: str | None) -> PublicKey | None:
        type_, curve = _ALGORITHMS[algorithm]
        keys = self._keys or []
        if kid is None and len(keys) > 1:
            raise InvalidToken("it does not name its key, and the issuer has several")
        for key in keys:
            fits = isinstance(key, type_) and key.get("alg", algorithm) == algorithm
            if fits and kid in {None, key.kid} and curve in {None, key.get("crv")}:
                return key
        return None

    async def _renew(self) -> None:
        while True:
            await self._load(no_later_than=time.monotonic())
            await asyncio.sleep(_RETRY_SECONDS if self._failed else _RENEW_SECONDS)

    async def _load(self, *, no_later_than: float) -> None:
        """Load the keys, unless that was tried after this time; requests share one attempt."""
        async with self._lock:
            if self._tried_at > no_later_than:
                return
            try:
                keys = _keys_in(await self._fetched())
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, OSError) as error:
                self._failures.note(error)
                self._failed = True
            else:
                self._failures.end()
                self._replace(keys)
            self._tried_at = time.monotonic()

    def _replace(self, keys: list[PublicKey]) -> None:
        self._failed = False
        before = [key.as_dict() for key in self._keys or []]
        is_changed = before != [key.as_dict() for key in keys]
        self._keys = keys
        if is_changed:
            logger.info("loaded %d keys of the token issuer", len(keys))
            self.on_change()

    async def _fetched(self) -> bytes:
        """The body at the URL, as it was sent.

        Raises:
            ValueError: it is too large, or the status is not 200; redirects are not followed.
        """
        chunks, size = [], 0
        client = httpx.AsyncClient(verify=self._tls or True, timeout=_TIMEOUT_SECONDS)
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with asyncio.timeout(_TIMEOUT_SECONDS), client:  # noqa: SIM117
            async with client.stream("GET", self._url, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    raise ValueError(f"the status is {response.status_code}")
                async for chunk in response.aiter_raw():
                    size += len(chunk)
                    if size > _MAX_BYTES:
                        raise ValueError(f"there are more than {_MAX_BYTES} bytes")
                    chunks.append(chunk)
        return b"".join(chunks)


def _keys_in(body: bytes) -> list[PublicKey]:
    """The keys that can verify signatures; a set may hold others (RFC 7517, section 5).

    Raises:
        ValueError: it is not a JWK set, or holds none.
    """
    content = orjson.loads(body)
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is not a JWK set")  # noqa: TRY004  callers handle one kind
    keys = [key for entry in entries if (key := _key_of(entry)) is not None]
    if not keys:
        raise ValueError("no key in it can verify tokens")
    return keys


def _key_of(entry: Any) -> PublicKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if "verify" not in entry.get("key_ops", ("verify",)):
        return None
    for type_, _ in _ALGORITHMS.values():
        if type_.key_type == entry.get("kty"):
            return _imported(type_, entry)
    return None


def _imported(type_: type[PublicKey], entry: dict[str, Any]) -> PublicKey | None:
    # Private members, if a provider published them by mistake, are not kept.
    public = {name: value for name, value in entry.items() if name not in _PRIVATE}
    if isinstance(public.get("alg"), str):
        public["alg"] = fully_specified(public["alg"])
    try:
        with warnings.catch_warnings(action="ignore", category=SecurityWarning):
            key = type_.import_key(public)
        is_weak = isinstance(key, RSAKey) and key.raw_value.key_size < _MIN_RSA_BITS
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None if is_weak else key
