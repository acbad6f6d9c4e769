"""The connections that stay open: WebSockets, and HTTP responses that are streams of results.

They are bounded by worker and by client, and so are the subscriptions on them. One of them lasts no
longer than the sign-in of its viewer, and none outlasts the server's shutdown.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from graph.errors import InvalidToken, TooManySubscriptions, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Scope

    from graph.server.authentication import Authenticator
    from graph.settings import Settings
    from graph.viewer import Viewer

# Sign-ins that have expired are looked for so often.
_TICK_SECONDS = 0.5
# Each token is verified again so often: it may have been revoked, or have other permissions.
_VERIFY_SECONDS = 10.0
_VERIFIED_AT_ONCE = 50


class LiveConnection(Protocol):
    """A connection whose client waits for results.

    `scope` has the header Authorization that it signed in with. `client` is the client's key.
    """

    scope: Scope
    viewer: Viewer
    client: str

    def end(self, error: InvalidToken | None) -> None:
        """End it soon: its sign-in has ended, or (without an error) the server shuts down."""


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """The most connections that stay open, and the most subscriptions."""

    connections: int = 800
    connections_of_client: int = 100
    subscriptions: int = 10_000
    subscriptions_of_client: int = 1_000
    subscriptions_of_connection: int = 100

    @classmethod
    def of(cls, settings: Settings) -> LiveLimits:
        return cls(
            settings.live_places,
            settings.max_live_connections_per_client,
            settings.max_subscriptions,
            settings.max_subscriptions_per_client,
            settings.max_subscriptions_per_connection,
        )


class LiveConnections:
    """Those of one worker. One per application."""

    def __init__(self, limits: LiveLimits, authenticator: Authenticator) -> None:
        self.limits = limits
        self.is_draining = False
        # The results that were sent to subscriptions, the first ones included.
        self.results = 0
        self._authenticator = authenticator
        self._open = 0
        self._signed_in = set[LiveConnection]()
        self._of_client = Counter[str]()
        self._subscriptions = 0
        self._subscriptions_of_client = Counter[str]()
        self._is_ticking = False
        self._verified_at = 0.0
        self._verifying: asyncio.Task[None] | None = None

    @property
    def gauges(self) -> dict[str, int]:
        """How much is open at present."""
        return {
            "connections": self._open,
            "signed_in": len(self._signed_in),
            "clients": len(self._of_client),
            "subscriptions": self._subscriptions,
            "subscribing_clients": len(self._subscriptions_of_client),
        }

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Count a connection until the block ends; its client may not be known yet.

        Raises:
            TooManySubscriptions: the worker has too many.
        """
        most = self.limits.connections
        if self._open >= most:
            raise TooManySubscriptions(f"This server holds {most} live connections already.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    @contextmanager
    def signed_in(self, connection: LiveConnection) -> Iterator[None]:
        """Watch over the sign-in of a connection until the block ends.

        Raises:
            TooManySubscriptions: its client has too many connections.
            InvalidToken: the sign-in has ended.
        """
        _check_expiry(connection.viewer, time.time())
        client, most = connection.client, self.limits.connections_of_client
        if self._of_client[client] >= most:
            raise TooManySubscriptions(f"A client may hold {most} live connections.")
        self._of_client[client] += 1
        self._signed_in.add(connection)
        self._start()
        try:
            yield
        finally:
            self._signed_in.discard(connection)
            _decrement(self._of_client, client)

    @contextmanager
    def subscription(self, client: str) -> Iterator[None]:
        """Count a subscription until the block ends.

        Raises:
            TooManySubscriptions: the client or the worker has too many.
        """
        limits = self.limits
        if self._subscriptions >= limits.subscriptions:
            message = f"This server holds {limits.subscriptions} subscriptions already."
            raise TooManySubscriptions(message)
        if self._subscriptions_of_client[client] >= limits.subscriptions_of_client:
            most = limits.subscriptions_of_client
            raise TooManySubscriptions(f"A client may hold {most} subscriptions.")
        self._subscriptions += 1
        self._subscriptions_of_client[client] += 1
        try:
            yield
        finally:
            self._subscriptions -= 1
            _decrement(self._subscriptions_of_client, client)

    def drain(self) -> None:
        """End all of them: the server shuts down."""
        self.is_draining = True
        for connection in tuple(self._signed_in):
            connection.end(None)

    def _start(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            self._verified_at = time.time()
            asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        now = time.time()
        for connection in tuple(self._signed_in):
            try:
                _check_expiry(connection.viewer, now)
            except InvalidToken as error:
                connection.end(error)
        if now - self._verified_at >= _VERIFY_SECONDS:
            self._verified_at = now
            self._verifying = asyncio.create_task(self._verify())
        self._is_ticking = bool(self._signed_in)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    async def _verify(self) -> None:
        """End the connections whose token does not make the same viewer any more."""
        for nth, connection in enumerate(tuple(self._signed_in)):
            if nth % _VERIFIED_AT_ONCE == 0:
                await asyncio.sleep(0)  # others have their turn
            try:
                viewer = await self._authenticator.viewer(connection.scope)
            except InvalidToken as error:
                connection.end(error)
            except Unavailable:
                return  # nothing is known about any token
            else:
                if viewer != connection.viewer:
                    connection.end(InvalidToken("its permissions have changed"))


def _check_expiry(viewer: Viewer, now: float) -> None:
    if viewer.expires_at is not None and viewer.expires_at.timestamp() <= now:
        raise InvalidToken("it has expired")


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
