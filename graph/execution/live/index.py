"""Finds the groups that an event may concern, without a look at all the others."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from graph.database.catalog import catalog
from graph.execution.planning.dependencies import changed_rows
from graph.selection import AllOf, Attribute, Test

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence

    from graph.database.events import Event
    from graph.execution.live.events import EventGroup
    from graph.execution.live.queries import LiveGroup
    from graph.execution.planning.dependencies import Dependency, Rows
    from graph.selection import Page
    from graph.viewer import Viewer

K = TypeVar("K", bound="Hashable")
V = TypeVar("V", bound="Hashable")

# A column of events and a value of it.
_Part: TypeAlias = "tuple[str, Any]"
_OWNER = "owner"


class _Sets(Generic[K, V]):
    """Sets by key; empty ones are dropped."""

    def __init__(self) -> None:
        self._sets = defaultdict[K, set[V]](set)

    def add(self, keys: Iterable[K], value: V) -> None:
        for key in keys:
            self._sets[key].add(value)

    def discard(self, keys: Iterable[K], value: V) -> None:
        for key in keys:
            self._sets[key].discard(value)
            if not self._sets[key]:
                del self._sets[key]

    def get(self, key: K) -> Collection[V]:
        return self._sets.get(key, ())

    def __iter__(self) -> Iterator[set[V]]:
        return iter(self._sets.values())


class StreamIndex:
    """Groups of streams, by a part of their filter that an event must have."""

    def __init__(self) -> None:
        self._groups = _Sets["_Part | None", "EventGroup"]()

    def add(self, parts: Collection[_Part] | None, group: EventGroup) -> None:
        self._groups.add((None,) if parts is None else parts, group)

    def discard(self, parts: Collection[_Part] | None, group: EventGroup) -> None:
        self._groups.discard((None,) if parts is None else parts, group)

    def groups(self) -> set[EventGroup]:
        return {group for groups in self._groups for group in groups}

    def touched(self, events: Sequence[Event]) -> set[EventGroup]:
        found = set(self._groups.get(None) if events else ())
        for event in events:
            found.update(self._groups.get((_OWNER, event.owner)))
            for part in event.keys.items():
                found.update(self._groups.get(part))
        return found


def parts_of(page: Page, viewer: Viewer) -> frozenset[_Part] | None:
    """The columns and values of which all events of a stream have one; None if there are none."""
    log = catalog.log
    assert log is not None  # noqa: S101  there are streams
    where = page.where
    tests = where.conditions if isinstance(where, AllOf) else (where,)
    for test in tests:
        match test:
            case Test(Attribute(name), "eq" | "in" as operator, int(operand)):
                if name in log.references:
                    value = page.operands[operand]
                    return frozenset(
                        (name, each) for each in (value if operator == "in" else (value,))
                    )
    rules = catalog.rows.get(log.entity, ())
    granted = [rule for rule in rules if viewer.may is not None and rule.permissions <= viewer.may]
    if granted and log.own and all(log.own in rule.permissions for rule in granted):
        return frozenset({(_OWNER, viewer.own)})
    return None


class LiveIndex:
    """Groups of live queries, by the rows that they depend on."""

    def __init__(self) -> None:
        self._groups = _Sets["Rows | None", "tuple[Dependency | None, LiveGroup]"]()

    def add(self, dependencies: Sequence[Dependency] | None, group: LiveGroup) -> None:
        for dependency in _listed(dependencies):
            self._groups.add(_keys(dependency), (dependency, group))

    def discard(self, dependencies: Sequence[Dependency] | None, group: LiveGroup) -> None:
        for dependency in _listed(dependencies):
            self._groups.discard(_keys(dependency), (dependency, group))

    def touched(self, events: Sequence[Event]) -> set[LiveGroup]:
        found = {group for _, group in self._groups.get(None)} if events else set()
        for event in events:
            for rows, columns in changed_rows(event):
                found.update(
                    group
                    for dependency, group in self._groups.get(rows)
                    if dependency is not None and dependency.is_touched(columns)
                )
        return found


def _listed(dependencies: Sequence[Dependency] | None) -> Sequence[Dependency | None]:
    return (None,) if dependencies is None else dependencies


def _keys(dependency: Dependency | None) -> list[Rows | None]:
    """One for each key: an event names one row."""
    if dependency is None:
        return [None]
    rows = dependency.rows
    return cast("list[Rows | None]", rows.each() if rows.on else [rows])
