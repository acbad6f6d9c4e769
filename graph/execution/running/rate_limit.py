"""Rate limits: a token bucket for each client, which refills steadily up to its capacity."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, Protocol

from graph.database import token_buckets
from graph.errors import RateLimited, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.database.engine import Database
    from graph.execution.running.limiter import Limiter

# The least recently used bucket is evicted; it is full by then, unless there is a flood.
_MAX_CLIENTS = 100_000
# With every so many takes, so many buckets in the database are looked at: two for each take.
_FORGET_EVERY = 16
_FORGET_AMONG = 32


class TokenBuckets(Protocol):
    """Charges the estimated cost of an operation before it runs.

    Refunds the difference afterwards.
    """

    async def consume(self, client: str, cost: int) -> None:
        """Charge a client's bucket.

        Raises:
            RateLimited: the bucket holds less than the cost.
        """

    async def refund(self, client: str, cost: int) -> None: ...

    async def charge(self, client: str, cost: int) -> None:
        """Charge for work that was done already; the bucket may be left with a debt.

        The largest debt is one capacity.
        """


class MemoryTokenBuckets:
    """The buckets of one process."""

    def __init__(
        self, capacity: int, per_second: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._now = now
        # For each client what was in the bucket, and when.
        self._buckets = OrderedDict[str, tuple[float, float]]()

    async def consume(self, client: str, cost: int) -> None:
        now = self._now()
        level, since = self._buckets.get(client, (self._capacity, now))
        level = min(self._capacity, level + (now - since) * self._per_second)
        if level < cost:
            raise RateLimited(cost, ceil((cost - level) / self._per_second))
        self._buckets[client] = (level - cost, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)

    async def refund(self, client: str, cost: int) -> None:
        # Who was forgotten has a full bucket. What is over the brim is lost with the next take.
        if client in self._buckets:
            level, since = self._buckets[client]
            self._buckets[client] = (level + cost, since)

    async def charge(self, client: str, cost: int) -> None:
        level, since = self._buckets.get(client, (self._capacity, self._now()))
        self._buckets[client] = (max(level - cost, -self._capacity), since)


class DatabaseTokenBuckets:
    """The buckets of all processes on one database.

    A bucket is charged before the operation enters its limiter, so a limiter of its own bounds the
    connections for this.
    """

    def __init__(
        self, database: Database, capacity: int, per_second: float, limiter: Limiter
    ) -> None:
        self._database = database
        self._capacity_seconds = capacity / per_second
        self._per_second = per_second
        self._limiter = limiter
        self._takes = count(1)

    async def consume(self, client: str, cost: int) -> None:
        if cost == 0:
            return
        await self._limiter.acquire(client)
        try:
            wait_seconds = await token_buckets.consume(
                self._database,
                client,
                cost_seconds=cost / self._per_second,
                capacity_seconds=self._capacity_seconds,
            )
            if next(self._takes) % _FORGET_EVERY == 0:
                await token_buckets.forget(self._database, most=_FORGET_AMONG)
        finally:
            self._limiter.release()
        if wait_seconds is not None:
            raise RateLimited(cost, wait_seconds)

    async def refund(self, client: str, cost: int) -> None:
        await self._settle(token_buckets.refund, client, cost)

    async def charge(self, client: str, cost: int) -> None:
        charge = partial(token_buckets.charge, capacity_seconds=self._capacity_seconds)
        await self._settle(charge, client, cost)

    async def _settle(self, change: Callable[..., Awaitable[None]], client: str, cost: int) -> None:
        # For want of a statement no answer is withheld.
        with suppress(Unavailable):
            await self._limiter.acquire(client)
            try:
                await change(self._database, client, cost_seconds=cost / self._per_second)
            finally:
                self._limiter.release()
