"""A cache that a flood cannot sweep: a segmented LRU, bounded in entries and in weight.

What is selected for once waits on probation. What is selected for again is protected, and only
others
that are selected for again can push it out: a flood of texts that nobody repeats takes the place of
nothing but itself.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Segment(Generic[K, V]):
    def __init__(self, max_entries: int, max_weight: int) -> None:
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self._max_entries = max_entries
        self._max_weight = max_weight

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value; it is now the one selected for last."""
        if (found := self._entries.get(key)) is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def add(self, key: K, value: V, weight: int) -> None:
        """Add a value, and drop those selected for longest ago until all bounds hold."""
        self._entries[key] = (value, weight)
        self._weight += weight
        while len(self._entries) > self._max_entries or self._weight > self._max_weight:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._weight -= dropped

    def take(self, key: K) -> tuple[V, int] | None:
        if (found := self._entries.pop(key, None)) is not None:
            self._weight -= found[1]
        return found


class SegmentedLRU(Generic[K, V]):
    """One fifth of the bounds is for probation, the rest for what has proved itself."""

    def __init__(self, *, max_entries: int, max_weight: int) -> None:
        self._probation = _Segment[K, V](max_entries // 5, max_weight // 5)
        self._protected = _Segment[K, V](max_entries * 4 // 5, max_weight * 4 // 5)

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def get(self, key: K) -> V | None:
        if (value := self._protected.get(key)) is not None:
            return value
        if (found := self._probation.take(key)) is None:
            return None
        self._protected.add(key, *found)
        return found[0]

    def put(self, key: K, value: V, *, weight: int) -> None:
        """Keep a value that was not there. One heavier than the probation allows is not kept."""
        self._probation.add(key, value, weight)
