"""A DataLoader that can load many keys beforehand, without a future for each."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from strawberry.dataloader import DataLoader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from types import TracebackType

    from graph.loading.levels import LevelScheduler

K = TypeVar("K")
T = TypeVar("T")


class RowLoader(DataLoader[K, T]):
    """A DataLoader whose batches run with their level, and which returns loaded values at once.

    `batch` loads the values of keys, in their order, with one statement.
    """

    def __init__(
        self, levels: LevelScheduler, batch: Callable[[list[K]], Awaitable[Sequence[T]]]
    ) -> None:
        super().__init__(load_fn=self._load_with_level)
        self._levels = levels
        self._batch = batch
        self._values: dict[K, T] = {}
        self._next: dict[K, None] = {}
        self._failure: Exception | None = None
        self._failed_at: TracebackType | None = None

    def value(self, key: K) -> T | Awaitable[T]:
        """The value of a key, or a future if it is not loaded yet.

        Raises:
            Exception: the error of the statement that should have loaded values beforehand.
        """
        if key in self._values:
            return self._values[key]
        if self._failure is not None:
            # Without the places at which it was raised for other keys, which would add up.
            raise self._failure.with_traceback(self._failed_at)
        return self.load(key)

    async def values_of(self, keys: Iterable[K]) -> list[T]:
        """The values of these keys, each once; none if their statement failed.

        `value` raises its error from then on, where a resolver requests a key that is not loaded.
        """
        wanted = dict.fromkeys(keys)
        missing = dict.fromkeys(key for key in wanted if key not in self._values)
        if missing:
            self._next |= missing
            # A DataLoader waits as long for more keys. So the batches of both are of one level.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            try:
                await self._levels.run(self._load_next)
            except Exception as error:  # noqa: BLE001  it is raised where a value is requested
                self._failure, self._failed_at = error, error.__traceback__
        return [self._values[key] for key in wanted if key in self._values]

    async def _load_next(self) -> None:
        """Load what all fields of the level requested of this loader: the first batch has it."""
        # Some may have been in the batch that ran meanwhile.
        keys = [key for key in self._next if key not in self._values]
        self._next = {}
        if keys:
            await self._load(keys)

    async def _load_with_level(self, keys: list[K]) -> Sequence[T]:
        return await self._levels.run(partial(self._load, keys))

    async def _load(self, keys: list[K]) -> Sequence[T]:
        values = await self._batch(keys)
        self._values.update(zip(keys, values, strict=True))
        return values
