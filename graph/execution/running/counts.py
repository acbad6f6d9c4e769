"""Counts operations: how many, with which codes, how long they took, and what they cost.

The counts are plain numbers that another thread may read at any time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from graph.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.execution.running.observation import Observation
    from graph.execution.running.rate_limit import TokenBuckets

# The most names of operations that are counted apart.
MOST_NAMES = 100
# The name of all others.
OTHER = "other"
OK = "OK"
# Upper bounds of a histogram's buckets, in seconds: a point request takes a millisecond.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Numbers of observations by bucket, and their sum. The last bucket has no upper bound."""

    __slots__ = ("buckets", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


class OperationCounts:
    """The counts of one worker.

    A client can send any name, so names are bounded. With a manifest only the names of its
    operations are counted apart; without one, the first names of operations that ran.
    """

    def __init__(self, trusted_names: Iterable[str] = ()) -> None:
        self._names = set(sorted(set(trusted_names))[:MOST_NAMES])
        self._may_learn = not self._names
        # By name, type, and the first code or OK.
        self.requests = Counter[tuple[str, str, str]]()
        # By name and type.
        self.durations: dict[tuple[str, str], Histogram] = {}
        self.sql_durations: dict[tuple[str, str], Histogram] = {}
        self.costs = Counter[tuple[str, str]]()
        self.replays = 0

    def add(self, observation: Observation) -> None:
        """Count a request that has ended."""
        name, type_ = self._counted_name(observation), observation.operation_type
        self.requests[name, type_, observation.codes[0] if observation.codes else OK] += 1
        key = name, type_
        _histogram(self.durations, key).add(observation.seconds or 0.0)
        if observation.place is not None:
            _histogram(self.sql_durations, key).add(observation.sql_seconds)
        if observation.cost:
            self.costs[key] += observation.cost
        self.replays += observation.replayed

    def _counted_name(self, observation: Observation) -> str:
        name, work = observation.operation_name, observation.work
        if work is None or work.operation.name is None or name in self._names:
            return name
        has_run = not observation.codes
        if self._may_learn and has_run and len(self._names) < MOST_NAMES:
            self._names.add(name)
            return name
        return OTHER


def _histogram(of: dict[tuple[str, str], Histogram], key: tuple[str, str]) -> Histogram:
    if (histogram := of.get(key)) is None:
        histogram = of[key] = Histogram()
    return histogram


class CountedBuckets:
    """Token buckets that count what they charge, refund and refuse."""

    def __init__(self, buckets: TokenBuckets) -> None:
        self._buckets = buckets
        self.charged = self.refunded = self.refused = 0

    async def consume(self, client: str, cost: int) -> None:
        """As `TokenBuckets.consume`."""
        try:
            await self._buckets.consume(client, cost)
        except RateLimited:
            self.refused += cost
            raise
        self.charged += cost

    async def refund(self, client: str, cost: int) -> None:
        await self._buckets.refund(client, cost)
        self.refunded += cost

    async def charge(self, client: str, cost: int) -> None:
        await self._buckets.charge(client, cost)
        self.charged += cost
