"""What an operation costs, before it runs: see `graph.schema.costs` for what it is made of.

The plan notes what each field is charged, and which pages multiply it. So the price of a compiled
operation is a short sum of products, made anew for each request from the sizes of its pages.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from graph.errors import TooCostly
from graph.execution.failures import Refused
from graph.selection import Grouping, Ids, Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graph.selection import Value

# How many of the dearest fields an answer names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Charge:
    """What one field costs each time, and the places of the pages that say how often."""

    path: tuple[str, ...]
    weight: int
    places: tuple[int, ...]
    is_object: bool

    def total(self, values: Sequence[Value]) -> int:
        return self.weight * prod(_size(values[place]) for place in self.places)


class _Sum:
    """Charges put together by what multiplies them."""

    def __init__(self, charges: Iterable[Charge]) -> None:
        together = Counter[tuple[int, ...]]()
        for charge in charges:
            together[charge.places] += charge.weight
        self._fixed = together.pop((), 0)
        self._products = tuple(together.items())

    def of(self, values: Sequence[Value]) -> int:
        total = self._fixed
        for places, weight in self._products:
            product = weight
            for place in places:
                product *= _size(values[place])
            total += product
        return total


class Price:
    """What an operation costs; lives as long as it is compiled."""

    def __init__(self, charges: Iterable[Charge]) -> None:
        self.charges = tuple(charges)
        self._all = _Sum(self.charges)
        self._objects = _Sum(charge for charge in self.charges if charge.is_object)

    def total(self, values: Sequence[Value]) -> int:
        return self._all.of(values)

    def check(self, values: Sequence[Value], most: int | None) -> int:
        """The total.

        Raises:
            Refused: it is more than an operation may cost.
        """
        total = self.total(values)
        if most is not None and total > most:
            error = TooCostly(total, most, self.dearest(values))
            raise Refused([GraphQLError(str(error), original_error=error)], code=error.code)
        return total

    def actual(self, values: Sequence[Value], braces: int) -> int:
        """What an answer turned out to cost: as much of the total as of its objects came.

        A brace begins an object; one inside a text makes the answer a little dearer than it was.
        """
        objects = self._objects.of(values)
        came = braces - 2  # the answer itself, and its `data`
        total = self.total(values)
        return min(total, ceil(total * max(came, 0) / max(objects, 1)))

    def dearest(self, values: Sequence[Value]) -> list[tuple[str, int]]:
        """The fields that cost most, and how much."""
        costs = [(".".join(charge.path), charge.total(values)) for charge in self.charges]
        return sorted(costs, key=lambda cost: -cost[1])[:_NAMED]


def _size(value: Any) -> int:
    if isinstance(value, Page | Grouping):
        return value.size
    return len(value.keys) if isinstance(value, Ids) else 1
