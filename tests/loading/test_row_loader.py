"""A loader of rows: values that are known beforehand, and those that resolvers request."""

from __future__ import annotations

import asyncio
from traceback import extract_tb

import pytest

from graph.loading.levels import LevelScheduler
from graph.loading.row_loader import RowLoader


class Batches:
    """Loads the double of each key, or fails; `keys` are those of each batch."""

    def __init__(self, error: Exception | None = None) -> None:
        self.keys: list[list[int]] = []
        self.began = asyncio.Event()
        self._error = error
        self.loader = RowLoader(LevelScheduler(), self._load)

    async def _load(self, keys: list[int]) -> list[int]:
        self.keys.append(keys)
        self.began.set()
        await asyncio.sleep(0)
        if self._error is not None:
            raise self._error
        return [2 * key for key in keys]


async def test_values_that_are_loaded_are_returned_at_once() -> None:
    batches = Batches()

    assert await batches.loader.values_of([3, 1, 3]) == [6, 2]
    assert batches.loader.value(1) == 2
    assert await batches.loader.values_of([1, 3]) == [2, 6]
    assert batches.keys == [[3, 1]]


async def test_the_fields_of_a_level_share_a_batch() -> None:
    batches = Batches()

    found = await asyncio.gather(batches.loader.values_of([1, 2]), batches.loader.values_of([2, 3]))

    assert [*found] == [[2, 4], [4, 6]]
    assert batches.keys == [[1, 2, 3]]


async def test_keys_whose_batch_runs_are_not_loaded_again() -> None:
    batches = Batches()

    async def late() -> list[int]:
        await batches.began.wait()
        return await batches.loader.values_of([1, 4])

    found = await asyncio.gather(batches.loader.values_of([1, 2]), late())

    assert [*found] == [[2, 4], [2, 8]]
    assert batches.keys == [[1, 2], [4]]


async def test_a_value_that_is_not_loaded_is_requested_with_others() -> None:
    batches = Batches()
    await batches.loader.values_of([1])

    first, second = batches.loader.value(2), batches.loader.value(3)
    assert not isinstance(first, int)
    assert not isinstance(second, int)
    assert (await first, await second) == (4, 6)
    assert batches.loader.value(2) == 4
    assert batches.keys == [[1], [2, 3]]


async def test_the_error_of_a_batch_is_raised_where_a_value_is_requested() -> None:
    error = LookupError("no rows")
    batches = Batches(error)

    assert await batches.loader.values_of([1, 2]) == []
    with pytest.raises(LookupError) as caught:
        batches.loader.value(1)
    assert caught.value is error


async def test_an_error_has_the_same_traceback_for_each_value() -> None:
    batches = Batches(LookupError("no rows"))
    await batches.loader.values_of(range(3))
    lengths = []

    for key in range(3):
        with pytest.raises(LookupError) as caught:
            batches.loader.value(key)
        lengths.append(len(extract_tb(caught.value.__traceback__)))

    assert lengths == lengths[:1] * 3
