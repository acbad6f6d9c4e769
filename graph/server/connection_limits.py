"""The bounds of a worker's connections, and the connections that they count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graph.server.client_key import is_within
from graph.server.turns import Turns

if TYPE_CHECKING:
    from graph.server.client_key import Network
    from graph.server.protocol import BoundedProtocol
    from graph.settings import Settings


@dataclass(slots=True)
class ConnectionLimits:
    """The bounds of one worker's connections, and the connections that they count."""

    client_timeout_seconds: float = 10.0
    max_head_bytes: int = 65_536
    max_head_fields: int = 100
    max_connections: int = 1_000
    max_connections_per_address: int = 256
    # Their connections are those of many clients.
    trusted_proxies: tuple[Network, ...] = ()
    by_address: Counter[str] = field(default_factory=Counter)
    # Connections without a complete request, oldest first.
    idle: dict[BoundedProtocol, None] = field(default_factory=dict)
    # Whether each answer ends its connection: the worker is about to end (`graph.server.drain`).
    are_closing: bool = False
    turns: Turns = field(default_factory=Turns)

    @classmethod
    def of(cls, settings: Settings) -> ConnectionLimits:
        return cls(
            settings.client_timeout_seconds,
            settings.max_head_bytes,
            settings.max_head_fields,
            settings.max_connections,
            settings.max_connections_per_address,
            settings.trusted_proxies,
        )

    def is_over(self, address: str) -> bool:
        """Whether an address has more connections than it may."""
        if self.by_address[address] <= self.max_connections_per_address:
            return False
        return not is_within(address, self.trusted_proxies)

    def leave(self, address: str) -> None:
        """Stop counting a connection of an address."""
        self.by_address[address] -= 1
        if self.by_address[address] <= 0:
            del self.by_address[address]
