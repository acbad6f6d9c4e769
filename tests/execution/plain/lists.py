"""Rows sorted by an `orderBy`, cut into pages, and grouped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.execution.plain.filters import as_list, has, measure
from tests.execution.plain.shop import COLUMNS, TO_ONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.execution.plain.shop import Row, Shop

FIRST = datetime(1, 1, 1, tzinfo=UTC)
# How the rows of an entity come where nothing is said of it.
DEFAULT_ORDERS: dict[str, list[dict[str, Any]]] = {"Order": [{"datePlaced": "ASC"}]}
WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
# The calendar repeats itself after so many days, weekdays and all.
_CYCLE = timedelta(days=146_097)


class Key(NamedTuple):
    """What an element is sorted by, and how."""

    value: Any
    direction: str

    def beside(self, other: Key) -> int:
        """-1 if this comes before the other, 1 if it comes after, 0 if neither does."""
        descending = self.direction.startswith("DESC")
        nulls_first = self.direction.endswith("FIRST")
        nulls = (self.value is None) - (other.value is None)
        if nulls or self.value is None:
            return -nulls if nulls_first else nulls
        order = int(self.value > other.value) - int(self.value < other.value)
        return -order if descending else order


def compare(one: Sequence[Key], other: Sequence[Key]) -> int:
    found = (a.beside(b) for a, b in zip(one, other, strict=True))
    return next((order for order in found if order), 0)


@dataclass(frozen=True)
class Order:
    """The complete order of an entity's rows.

    A second sort by the same decides nothing. At last comes the key, in the last sort's direction.
    """

    shop: Shop
    entity: str
    order_by: Any

    def keys(self, row: Row) -> list[Key]:
        once: dict[tuple[str, ...], Any] = {}
        for sort in as_list(self.order_by) or DEFAULT_ORDERS.get(self.entity, []):
            once.setdefault(_path_of_sort(sort)[0], sort)
        keys = [self._key(self.entity, row, sort) for sort in once.values()]
        descends = bool(keys) and keys[-1].direction.startswith("DESC")
        return [*keys, Key(row["databaseId"], "DESC" if descends else "ASC")]

    def sorted(self, rows: list[Row]) -> list[Row]:
        by_keys: Any = cmp_to_key(lambda a, b: compare(self.keys(a), self.keys(b)))
        return sorted(rows, key=by_keys)

    def _key(self, entity: str, row: Row, sort: dict[str, Any]) -> Key:
        ((name, value),) = sort.items()
        if name in COLUMNS[entity]:
            return Key(row[name], value)
        if name in TO_ONE.get(entity, {}):
            return self._key(*self.shop.one(entity, row, name), value)
        return _measured(*self.shop.many(entity, row, name), value)


class Cut(NamedTuple):
    """A page as the Relay Cursor Connections Specification, section 4, cuts it."""

    ids: list[int]
    has_next: bool
    has_previous: bool


def cut(
    rows: list[Row],
    order: Order,
    *,
    first: int | None = None,
    last: int | None = None,
    after: Row | None = None,
    before: Row | None = None,
    offset: int = 0,
) -> Cut:
    """A page of a list; `after` and `before` need not be among its rows."""

    def beyond(row: Row, cursor: Row) -> int:
        return compare(order.keys(row), order.keys(cursor))

    rows = order.sorted(rows)
    found = [row for row in rows if after is None or beyond(row, after) > 0]
    found = [row for row in found if before is None or beyond(row, before) < 0]
    keys = [row["databaseId"] for row in found[offset:]]
    if last is not None:
        following = before is not None and any(beyond(row, before) >= 0 for row in rows)
        return Cut(keys[max(len(keys) - last, 0) :], following, len(keys) > last)
    size = 20 if first is None else first
    preceding = after is not None and any(beyond(row, after) <= 0 for row in rows)
    return Cut(keys[:size], len(keys) > size, preceding or bool(offset and rows))


@dataclass(frozen=True)
class Group:
    """`key` has the values that its rows share, by path: `("customer", "town")`."""

    key: dict[tuple[str, ...], Any]
    rows: list[Row]


def groups(shop: Shop, entity: str, rows: list[Row], arguments: dict[str, Any]) -> list[Group]:
    """The groups of these rows, in order."""
    by = [_path(key) for key in as_list(arguments["by"])]
    found: dict[tuple[Any, ...], Group] = {}
    for row in rows:
        values = tuple(_value(shop, entity, row, path, bucket) for path, bucket in by)
        paths = [path for path, _ in by]
        group = found.setdefault(values, Group(dict(zip(paths, values, strict=True)), []))
        group.rows.append(row)
    met = [group for group in found.values() if has(entity, group.rows, arguments.get("having"))]

    def keys(group: Group) -> list[Key]:
        sorts = as_list(arguments.get("orderBy"))
        said = [_key_of_group(entity, group, sort) for sort in sorts]
        return [*said, *(Key(group.key[path], "ASC") for path, _ in by)]

    met.sort(key=cmp_to_key(lambda a, b: compare(keys(a), keys(b))))
    first, offset = arguments.get("first"), arguments.get("offset") or 0
    return met[offset:][: 20 if first is None else first]


def bucket_of(moment: datetime, unit: str, zone: str, week_start: str = "MONDAY") -> datetime:
    """The beginning of the bucket of a moment, where the clock shows it in this time zone."""
    if moment == FIRST:
        return FIRST  # no bucket begins before
    if moment.year > 9000:
        return bucket_of(moment - _CYCLE, unit, zone, week_start) + _CYCLE
    local = moment.astimezone(ZoneInfo(zone))
    begin = local.replace(minute=0, second=0, microsecond=0)
    if unit == "HOUR":
        offset = local.utcoffset()
        assert offset is not None
        return begin.replace(tzinfo=UTC) - offset
    begin = begin.replace(hour=0)
    match unit:
        case "WEEK":
            begin -= timedelta(days=(begin.weekday() - WEEKDAYS.index(week_start)) % 7)
        case "MONTH":
            begin = begin.replace(day=1)
        case "QUARTER":
            begin = begin.replace(month=begin.month - (begin.month - 1) % 3, day=1)
        case "YEAR":
            begin = begin.replace(month=1, day=1)
    return first_moment(begin.replace(tzinfo=None), ZoneInfo(zone))


def first_moment(shown: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock shows this or, where it skips it, what comes after."""
    folds = [shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    exact = [each for each in folds if each.astimezone(zone).replace(tzinfo=None) == shown]
    if exact:
        return min(exact)
    low, high = min(folds), max(folds)  # the change is between them
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        after = middle.astimezone(zone).replace(tzinfo=None) >= shown
        low, high = (low, middle) if after else (middle, high)
    return high.replace(microsecond=0)


def _measured(entity: str, rows: list[Row], sort: dict[str, Any]) -> Key:
    ((function, value),) = sort.items()
    if function == "count":
        return Key(len(rows), value)
    ((column, direction),) = value.items()
    return Key(measure(entity, rows, function, column), direction)


def _key_of_group(entity: str, group: Group, sort: dict[str, Any]) -> Key:
    if "key" not in sort:
        return _measured(entity, group.rows, sort)
    path, direction = _path_of_sort(sort["key"])
    return Key(group.key[path], direction)


def _path_of_sort(sort: Any) -> tuple[tuple[str, ...], str]:
    """What a sort names, and its direction."""
    path: tuple[str, ...] = ()
    while isinstance(sort, dict):
        ((name, sort),) = sort.items()
        path = (*path, name)
    return path, sort


def _path(key: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, str] | None]:
    """Where a key of `by` leads, and the bucket it is put into."""
    ((name, value),) = key.items()
    if name == "column":
        first, *rest = value.lower().split("_")
        return (first + "".join(map(str.capitalize, rest)),), None
    if "unit" in value:
        return (name,), value
    path, bucket = _path(value)
    return (name, *path), bucket


def _value(
    shop: Shop, entity: str, row: Row, path: tuple[str, ...], bucket: dict[str, str] | None
) -> Any:
    *edges, column = path
    for edge in edges:
        entity, row = shop.one(entity, row, edge)
    if bucket is None:
        return row[column]
    week_start = bucket.get("weekStart") or "MONDAY"
    return bucket_of(row[column], bucket["unit"], bucket.get("timeZone", "UTC"), week_start)
