"""The cache of documents: which entries it keeps and which it evicts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph.execution.documents.cache import SegmentedLRU


def test_a_flood_does_not_evict_entries_that_were_read_again() -> None:
    kept = SegmentedLRU[str, int](max_entries=50, max_weight=10_000)
    for steady in range(30):
        kept.put(f"steady {steady}", steady, weight=1)
        kept.get(f"steady {steady}")

    for flood in range(10_000):
        kept.put(f"flood {flood}", flood, weight=1)

    assert [kept.get(f"steady {steady}") for steady in range(30)] == [*range(30)]
    assert len(kept) <= 50


def test_the_least_recently_read_entry_is_evicted_first() -> None:
    kept = SegmentedLRU[str, int](max_entries=10, max_weight=100)
    kept.put("a", 1, weight=1)
    kept.put("b", 2, weight=1)

    kept.put("c", 3, weight=1)

    assert [kept.get(key) for key in "abc"] == [None, 2, 3]


def test_a_value_that_is_too_heavy_is_not_cached() -> None:
    kept = SegmentedLRU[str, int](max_entries=10, max_weight=100)
    kept.put("light", 1, weight=1)
    kept.get("light")

    kept.put("heavy", 2, weight=21)

    assert kept.get("heavy") is None
    assert kept.get("light") == 1


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 40))),
    st.integers(5, 20),
    st.integers(50, 200),
)
def test_neither_bound_is_ever_passed(
    asked: list[tuple[int, int]], max_entries: int, max_weight: int
) -> None:
    kept = SegmentedLRU[int, tuple[int, int]](max_entries=max_entries, max_weight=max_weight)
    weights: dict[int, int] = {}

    for key, weight in asked:
        if (found := kept.get(key)) is None:
            kept.put(key, (key, weight), weight=weight)
            weights[key] = weight
        else:
            assert found == (key, weights[key])

    still = [key for key in weights if kept.get(key)]
    assert len(kept) <= max_entries
    assert sum(weights[key] for key in still) <= max_weight
