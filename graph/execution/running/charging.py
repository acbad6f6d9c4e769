"""Charges clients for operations: the price beforehand, the actual cost afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.execution.planning.cost import Price
    from graph.execution.running.rate_limit import TokenBuckets
    from graph.selection import Value


@dataclass(frozen=True, slots=True)
class Charging:
    """Charges the clients' token buckets; without any, nobody pays. One per application."""

    token_buckets: TokenBuckets | None = None
    # What a millisecond of an operation's statements costs at least.
    cost_per_ms: int = 10

    async def check(self, client: str) -> None:
        """Refuse a client in debt before any work is done for it.

        Raises:
            RateLimited: the client's bucket has a debt.
        """
        await self.consume(client, 0)

    async def consume(self, client: str, cost: int) -> None:
        """Charge the price of an operation before it runs.

        Raises:
            RateLimited: it costs more than is left in the client's bucket.
        """
        if self.token_buckets is not None:
            await self.token_buckets.consume(client, cost)

    async def refund(self, client: str, cost: int) -> None:
        if self.token_buckets is not None and cost > 0:
            await self.token_buckets.refund(client, cost)

    async def settle(
        self, client: str, price: Price, values: Sequence[Value], *, objects: int, seconds: float
    ) -> dict[str, int]:
        """The actual cost of an answer with so many objects, and that of its statements' time.

        The client pays the larger one: the rest of the price is refunded, or the difference to it
        is charged.
        """
        requested, actual = price.total_and_actual(values, objects)
        cost = {"actual": actual}
        if self.token_buckets is not None:
            cost["time"] = self.cost_of(seconds)
        paid = max(cost.values())
        await self.refund(client, requested - paid)
        await self.charge(client, paid - requested)
        return cost

    async def settle_failed(self, client: str, requested: int, *, seconds: float) -> None:
        """Charge for the work of an operation without an answer; nothing is refunded."""
        await self.charge(client, self.cost_of(seconds) - requested)

    async def settle_refused(self, client: str, *, seconds: float) -> None:
        """Charge for a request that was refused after so much work of this process."""
        await self.charge(client, max(1, self.cost_of(seconds)) if self.cost_per_ms else 0)

    async def charge(self, client: str, cost: int) -> None:
        """Charge for work that was done; the bucket may be left with a debt."""
        if self.token_buckets is not None and cost > 0:
            await self.token_buckets.charge(client, cost)

    def cost_of(self, seconds: float) -> int:
        """The cost of so much time of statements."""
        return int(seconds * 1000 * self.cost_per_ms)
