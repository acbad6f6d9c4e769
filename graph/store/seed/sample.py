"""Generates the rows of a sample store one by one.

A store is a function of two numbers: the number of customers and a seed. It does not depend on the
clock, and uses only `random()`, whose numbers Python guarantees. Values that are needed twice are
drawn again from a stream of their own, so that memory does not grow with the store.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from graph.store.seed.words import (
    EMAIL_DOMAINS,
    FIRST_NAMES,
    GOODS,
    LAST_NAMES,
    STREETS,
    TOWNS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Draw = Callable[[], float]

T = TypeVar("T")

OPENED = datetime(2020, 1, 1, tzinfo=UTC)
CLOSED = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = (CLOSED - OPENED).days
_DAY_SECONDS = 24 * 60 * 60

# Equally likely values.
_QUANTITIES = (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4, 6)
_CENTS = (99, 99, 99, 99, 95, 50, 49)
_USERNAMES = ("{first}.{last}", "{first}_{last}", "{initial}{last}{id}", "{first}{id}")
_USERNAMES_WITH_ID = tuple(pattern for pattern in _USERNAMES if "{id}" in pattern)
# Letters that Unicode does not decompose into a letter from a to z and a mark.
_UNDECOMPOSABLE = str.maketrans({"ł": "l", "ø": "o", "ß": "ss"})

# Every 200th customer is a regular; a store of 1,000 has four with 200 orders each.
_CUSTOMERS_PER_REGULAR = 200
_FIRST_REGULAR = 6
_ORDERS_OF_A_REGULAR = 200

# Every 41st order is cancelled; the stock of every 10th item is not tracked.
ORDERS_PER_CANCELLED = 41
_ITEMS_PER_UNCOUNTED = 10
_MOST_IN_STOCK = 250


class CustomerRow(NamedTuple):
    id: int
    first_name: str
    last_name: str
    username: str
    email: str
    address: str
    town: str
    created_on: datetime
    updated_on: datetime


class ItemRow(NamedTuple):
    id: int
    name: str
    cost_price: Decimal
    selling_price: Decimal
    stock: int | None


class OrderRow(NamedTuple):
    customer_id: int
    date_placed: datetime


class OrderLineRow(NamedTuple):
    id: int
    order_id: int
    item_id: int
    quantity: int
    unit_price: Decimal
    item_name: str
    cancelled_quantity: int


@dataclass(frozen=True)
class Counts:
    customers: int
    items: int
    orders: int
    order_lines: int

    @property
    def rows(self) -> int:
        return self.customers + self.items + self.orders + self.order_lines


@dataclass(frozen=True)
class Sample:
    """One store. Each method begins anew, and always gives the same."""

    customers: int
    random_seed: int

    def __post_init__(self) -> None:
        if self.customers < 0:
            raise ValueError(f"a store has 0 customers or more, not {self.customers}")

    def counts(self) -> Counts:
        return Counts(
            customers=self.customers,
            items=sum(len(styles) * len(goods) for styles, goods in GOODS),
            orders=sum(orders for _, orders in self._memberships()),
            order_lines=sum(self._order_sizes()),
        )

    def customer_rows(self) -> Iterator[CustomerRow]:
        """Customers in the order in which they joined, more of them every day."""
        draw = self._stream("customers")
        names = _Names(draw)
        for id_, (joined, _) in enumerate(self._memberships(), start=1):
            first_name, last_name, username = names.of_customer(id_)
            town, language = _mostly_first(TOWNS, draw)
            yield CustomerRow(
                id_,
                first_name,
                last_name,
                username,
                f"{username}@{_mostly_first(EMAIL_DOMAINS, draw)}",
                _one_of(STREETS[language], draw).format(1 + int(180 * draw() * draw())),
                town,
                _instant(joined),
                _instant(_last_change(joined, draw)),
            )

    def item_rows(self) -> Iterator[ItemRow]:
        draw, draw_stock = self._stream("items"), self._stream("stock")
        products = [
            (f"{style} {good}", price)
            for styles, goods in GOODS
            for style in styles
            for good, price in goods.items()
        ]
        for id_, (name, price) in enumerate(_shuffled(products, draw), start=1):
            selling = 100 * int(price * (0.8 + 0.5 * draw())) + _one_of(_CENTS, draw)
            cost = selling * (45 + int(30 * draw())) // 100
            pieces = int(_MOST_IN_STOCK * draw_stock() * draw_stock())
            stock = None if id_ % _ITEMS_PER_UNCOUNTED == 0 else pieces
            yield ItemRow(id_, name, _money(cost), _money(selling), stock)

    def order_rows(self) -> Iterator[OrderRow]:
        """Orders by customer: their ids follow from the order of all dates."""
        draw = self._stream("orders")
        for customer_id, (joined, orders) in enumerate(self._memberships(), start=1):
            first_day = joined // _DAY_SECONDS + 1
            for _ in range(orders):
                day = first_day + int((DAYS - first_day) * draw())
                # From six to midnight, most of them in the afternoon.
                second = int((6 + 9 * draw() + 9 * draw()) * 60 * 60)
                yield OrderRow(customer_id, _instant(day * _DAY_SECONDS + second))

    def order_line_rows(self) -> Iterator[OrderLineRow]:
        """Lines by order; an item stands in an order once."""
        draw = self._stream("order lines")
        items = {item.id: item for item in self.item_rows()}
        by_popularity = _shuffled(items, draw)
        id_ = 0
        for order_id, size in enumerate(self._order_sizes(), start=1):
            basket: dict[int, int] = {}
            while len(basket) < size:
                basket[_mostly_first(by_popularity, draw)] = _one_of(_QUANTITIES, draw)
            is_cancelled = order_id % ORDERS_PER_CANCELLED == 0
            for item_id, quantity in basket.items():
                id_ += 1
                placed_at = (items[item_id].selling_price, items[item_id].name)
                cancelled = quantity if is_cancelled else 0
                yield OrderLineRow(id_, order_id, item_id, quantity, *placed_at, cancelled)

    def _memberships(self) -> Iterator[tuple[int, int]]:
        """For each customer, the second of joining and the number of orders since."""
        draw = self._stream("memberships")
        for index in range(self.customers):
            since_opening = math.sqrt((index + draw()) / self.customers)
            joined = int(since_opening * DAYS * _DAY_SECONDS)
            orders = _long_tailed(1.35, 0.013, draw) - 1
            if index % _CUSTOMERS_PER_REGULAR == _FIRST_REGULAR:
                orders = _ORDERS_OF_A_REGULAR
            # At most one order every other day.
            yield joined, min(orders, (DAYS - joined // _DAY_SECONDS - 1) // 2)

    def _order_sizes(self) -> Iterator[int]:
        draw = self._stream("order sizes")
        for _, orders in self._memberships():
            for _ in range(orders):
                yield _long_tailed(1.6, 0.12, draw)

    def _stream(self, name: str) -> Draw:
        return Random(f"{self.random_seed} {name}").random  # noqa: S311  repeatable on purpose


class _Names:
    """Names and unique usernames of customers by their ids, without memory of earlier ones.

    Every pair of a first and a last name occurs once before any is repeated. Usernames of repeated
    pairs contain the id.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._first = [(name, _in_ascii(name)) for name in _shuffled(FIRST_NAMES, draw)]
        self._last = [(name, _in_ascii(name)) for name in _shuffled(LAST_NAMES, draw)]

    def of_customer(self, id_: int) -> tuple[str, str, str]:
        shift, place = divmod(id_ - 1, len(self._first))
        first_name, first = self._first[place]
        last_name, last = self._last[(place + shift) % len(self._last)]
        is_new = shift < len(self._last)
        pattern = _one_of(_USERNAMES if is_new else _USERNAMES_WITH_ID, self._draw)
        username = pattern.format(first=first, last=last, initial=first[0], id=id_)
        return first_name, last_name, username


def _in_ascii(name: str) -> str:
    """The name in lower case, with letters from a to z only."""
    decomposed = unicodedata.normalize("NFD", name.lower().translate(_UNDECOMPOSABLE))
    return "".join(letter for letter in decomposed if "a" <= letter <= "z")


def _last_change(joined: int, draw: Draw) -> int:
    """The second of a customer's last change: that of joining, or for a quarter any later one."""
    if draw() < 0.75:  # noqa: PLR2004
        return joined
    return joined + int((DAYS * _DAY_SECONDS - joined) * draw())


def _instant(seconds_since_opening: int) -> datetime:
    return OPENED + timedelta(seconds=seconds_since_opening)


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _one_of(values: Sequence[T], draw: Draw) -> T:
    return values[int(len(values) * draw())]


def _mostly_first(values: Sequence[T], draw: Draw) -> T:
    """One of the values; earlier values are more likely."""
    return values[int(len(values) * draw() * draw())]


def _long_tailed(scale: float, offset: float, draw: Draw) -> int:
    """A number that is usually near `scale`, and at most `scale / offset`."""
    return int(scale / (offset + draw()))


def _shuffled(values: Iterable[T], draw: Draw) -> list[T]:
    return sorted(values, key=lambda _: draw())
