"""The cost of an operation before it runs; `graph.schema.costs` declares its components.

The plan records the charge of each field and the pages that multiply it. The price of a compiled
operation is a short sum of products, computed for each request from the sizes of its pages.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from math import ceil, inf, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLError

from graph.database.table_sizes import SizesInWorld
from graph.errors import ScansTooCostly, TooCostly
from graph.execution.failures import RequestRejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from graph.database.table_sizes import Sizes
    from graph.database.worlds import World
    from graph.execution.planning.scans import Scan

# How many of the most_expensive fields an answer names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Charge:
    """The cost of one field, and the argument indexes of the pages that multiply it."""

    path: tuple[str, ...]
    weight: int
    argument_indexes: tuple[int, ...]
    is_object: bool

    def total(self, values: Sequence[Any]) -> int:
        times: int = prod(values[argument_index].size for argument_index in self.argument_indexes)
        return self.weight * times


class _Level(NamedTuple):
    """The sum of charges with the same pages. `above` is the index of the level above."""

    above: int
    argument_index: int
    cost: int
    objects: int


class PriceList:
    """The charges of an operation; lives as long as the compiled operation.

    Its price depends on the sizes of tables, which change seldom, as far as a world shows them.
    """

    def __init__(self, charges: Iterable[Charge], scans: Iterable[Scan] = ()) -> None:
        self._charges = tuple(charges)
        self._scans = tuple(scans)
        self._prices: dict[World | None, tuple[int, Price]] = {}

    def price(self, sizes: Sizes, world: World) -> Price:
        key = world if self._scans else None
        version, price = self._prices.get(key, (None, None))
        if price is None or (self._scans and version != sizes.version):
            shown = SizesInWorld(sizes, world)
            scanned = [scan.charge(shown) for scan in self._scans]
            price = Price(
                self._charges,
                [each for each in scanned if each.weight],
                has_scans=any(scan.charge(sizes).weight for scan in self._scans),
            )
            self._prices[key] = (sizes.version, price)
        return price


class CostLimits:
    """The most that one operation may cost: for its objects and fields, and for its scans.

    `least` is a cost that exceeds neither.
    """

    def __init__(self, most: int | None = None, most_scanned: int | None = None) -> None:
        self.most = most
        self.most_scanned = most_scanned
        self.least = min(inf if each is None else each for each in (most, most_scanned))

    def errors(
        self, cost: int, scanned: int, most_expensive: list[tuple[str, int]]
    ) -> Iterator[TooCostly]:
        if self.most is not None and cost > self.most:
            yield TooCostly(cost, self.most, most_expensive)
        if self.most_scanned is not None and scanned > self.most_scanned:
            yield ScansTooCostly(scanned, self.most_scanned, most_expensive)

    def report(
        self,
        price: Price,
        values: Sequence[Any],
        actual: Mapping[str, int],
        fields: Iterable[tuple[str, int]],
    ) -> dict[str, Any]:
        """A price beside the limits, and what the operation actually cost, as clients see it."""
        scans = price.scanned(values)
        return {
            "requested": price.total(values),
            **actual,
            "limit": self.most,
            **({"scans": scans, "scanLimit": self.most_scanned} if scans else {}),
            "fields": [{"path": path, "cost": cost} for path, cost in fields],
        }

    def times(self, total: int, scanned: int) -> int:
        """How often an operation that exceeds neither limit may be done in one; once at least."""
        most, most_scanned = self.most or sys.maxsize, self.most_scanned or sys.maxsize
        return max(1, min(most // max(total - scanned, 1), most_scanned // max(scanned, 1)))


class Price:
    """The price of an operation, with certain sizes of tables.

    `has_scans` tells that it looks at many rows, be they charged or not.
    """

    def __init__(
        self, charges: Iterable[Charge], scans: Iterable[Charge] = (), *, has_scans: bool = False
    ) -> None:
        self.has_scans = has_scans
        self._scans = tuple(scans)
        self.charges = (*charges, *self._scans)
        costs, objects = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
        for charge in self.charges:
            costs[charge.argument_indexes] += charge.weight
            objects[charge.argument_indexes] += charge.weight if charge.is_object else 0
        self._once = (costs.pop((), 0), objects.pop((), 0))
        every = {
            argument_indexes[:end]
            for argument_indexes in costs
            for end in range(1, len(argument_indexes) + 1)
        }
        levels = sorted(every, key=len)
        numbers = {
            argument_indexes: number for number, argument_indexes in enumerate(((), *levels))
        }
        self._levels = tuple(
            _Level(
                numbers[argument_indexes[:-1]],
                argument_indexes[-1],
                costs[argument_indexes],
                objects[argument_indexes],
            )
            for argument_indexes in levels
        )

    def total(self, values: Sequence[Any]) -> int:
        return self._sums(values)[0]

    def check(self, values: Sequence[Any], limits: CostLimits) -> int:
        """The total cost.

        Raises:
            RequestRejected: it exceeds a limit for one operation.
        """
        total, _ = self._sums(values)
        if total <= limits.least:
            return total
        scans = self.scanned(values)
        for error in limits.errors(total - scans, scans, self.most_expensive(values)):
            raise RequestRejected([GraphQLError(str(error), original_error=error)], code=error.code)
        return total

    def scanned(self, values: Sequence[Any]) -> int:
        """What the rows that lists look at cost."""
        return sum(scan.total(values) for scan in self._scans)

    def total_and_actual(self, values: Sequence[Any], came: int) -> tuple[int, int]:
        """The total cost, and the actual cost of an answer with this number of objects."""
        total, objects = self._sums(values)
        came -= 2  # the answer itself, and its `data`
        if came >= objects:
            return total, total
        # What is done once is done however little came of it.
        once = self._once[0] - self._once[1]
        return total, once + ceil((total - once) * max(came, 0) / max(objects, 1))

    def most_expensive(self, values: Sequence[Any]) -> list[tuple[str, int]]:
        """The most expensive fields, with their costs."""
        costs = [(".".join(charge.path), charge.total(values)) for charge in self.charges]
        return sorted(costs, key=lambda cost: -cost[1])[:_NAMED]

    def by_field(self, values: Sequence[Any]) -> list[tuple[str, int]]:
        """The fields with their costs, in the order of the document."""
        costs = Counter[str]()
        for charge in self.charges:
            costs[".".join(charge.path)] += charge.total(values)
        return list(costs.items())

    def _sums(self, values: Sequence[Any]) -> tuple[int, int]:
        """The largest cost of the operation, and the largest number of objects."""
        total, objects = self._once
        times = [1]
        for above, argument_index, cost, objects_each in self._levels:
            product: int = times[above] * values[argument_index].size
            times.append(product)
            total += product * cost
            objects += product * objects_each
        return total, objects


def objects_in(body: bytes) -> int:
    """The number of objects in JSON; texts that end with a brace are counted as well."""
    return body.count(b'{"')
