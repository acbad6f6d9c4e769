"""How much each client may ask for over time: a bucket that fills steadily up to its brim."""

from __future__ import annotations

import time
from collections import OrderedDict
from math import ceil
from typing import TYPE_CHECKING, Protocol

from graph.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable

# Who has not asked for longest is forgotten; by then the bucket is full, or there is a flood.
_MAX_CLIENTS = 100_000


class Meter(Protocol):
    """Takes what an operation may cost before it runs; gives back what it did not."""

    async def take(self, client: str, cost: int) -> None:
        """Take from a client's bucket.

        Raises:
            RateLimited: there is less in it.
        """

    async def give_back(self, client: str, cost: int) -> None: ...


class MemoryMeter:
    """The buckets of one process."""

    def __init__(
        self, capacity: int, per_second: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._now = now
        # For each client what was in the bucket, and when.
        self._buckets = OrderedDict[str, tuple[float, float]]()

    async def take(self, client: str, cost: int) -> None:
        level = self._level(client)
        if level < cost:
            raise RateLimited(cost, ceil((cost - level) / self._per_second))
        self._put(client, level - cost)

    async def give_back(self, client: str, cost: int) -> None:
        self._put(client, min(self._capacity, self._level(client) + cost))

    def _level(self, client: str) -> float:
        level, since = self._buckets.get(client, (self._capacity, 0))
        return min(self._capacity, level + (self._now() - since) * self._per_second)

    def _put(self, client: str, level: float) -> None:
        self._buckets[client] = (level, self._now())
        self._buckets.move_to_end(client)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
