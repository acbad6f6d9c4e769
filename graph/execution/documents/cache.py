"""A segmented LRU cache, bounded in entries and in weight, that resists a flood of single uses.

A new entry is on probation. An entry that is read again becomes protected, and only other entries
that are read again can evict it. A flood of texts that are used once evicts only itself.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Segment(Generic[K, V]):
    def __init__(self, max_entries: int, max_weight: int) -> None:
        self.entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self._max_entries = max_entries
        self._max_weight = max_weight

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, key: K) -> V | None:
        """The value, or None; the entry becomes the most recently used."""
        if (entry := self.entries.get(key)) is None:
            return None
        self.entries.move_to_end(key)
        return entry[0]

    def add(self, key: K, value: V, weight: int) -> None:
        """Add a value, and evict the least recently used entries until all bounds hold."""
        self.entries[key] = (value, weight)
        self._weight += weight
        while len(self.entries) > self._max_entries or self._weight > self._max_weight:
            _, (_, dropped) = self.entries.popitem(last=False)
            self._weight -= dropped

    def remove(self, key: K) -> tuple[V, int] | None:
        if (entry := self.entries.pop(key, None)) is not None:
            self._weight -= entry[1]
        return entry


class SegmentedLRU(Generic[K, V]):
    """The probation segment has a fifth of both bounds, the protected one the rest."""

    def __init__(self, *, max_entries: int, max_weight: int) -> None:
        self._probation = _Segment[K, V](max_entries // 5, max_weight // 5)
        self._protected = _Segment[K, V](max_entries * 4 // 5, max_weight * 4 // 5)

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def __contains__(self, key: K) -> bool:
        return key in self._protected.entries or key in self._probation.entries

    def get(self, key: K) -> V | None:
        if (value := self._protected.get(key)) is not None:
            return value
        if (entry := self._probation.remove(key)) is None:
            return None
        self._protected.add(key, *entry)
        return entry[0]

    def put(self, key: K, value: V, *, weight: int) -> None:
        """Add an absent key. A value heavier than the probation segment's bound is not cached."""
        self._probation.add(key, value, weight)
