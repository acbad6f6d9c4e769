"""Choices, which Hypothesis makes and shrinks: the first of all options is the simplest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

T = TypeVar("T")


class Choices:
    """`met` counts what was drawn, by name: see `note`.

    The source is one of Hypothesis' (`strategies.randoms`). Numbers drawn one by one would be as
    many places for Hypothesis to vary an example at: five of six examples would be all but the
    same.
    """

    def __init__(self, source: Random) -> None:
        self._source = source
        self.met: Counter[str] = Counter()

    def number(self, low: int, high: int) -> int:
        return self._source.randint(low, high)

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.number(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.number(0, 99) >= 100 - percent

    def note(self, name: str) -> None:
        self.met[name] += 1
