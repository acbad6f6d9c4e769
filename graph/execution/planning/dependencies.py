"""What the answer of a query depends on: the rows, and of them the columns, that it reads.

A live query is run again when one of these has changed. Where a query names rows by key, it depends
on these rows and on those that belong to them: an order's lines, but no other order's.

The rules of a world and computed columns are read as well. What a Python resolver reads is not
known, so its answer depends on everything.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.database.catalog import catalog
from graph.database.lineage import is_entity, reads_of, reads_of_column
from graph.errors import NotFollowed
from graph.execution.planning.access import entity_within, parts_within
from graph.selection import (
    Attribute,
    Column,
    EnumLookup,
    Matches,
    Measure,
    Nodes,
    Resolved,
    ToOne,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.database.events import Event
    from graph.database.lineage import Read
    from graph.database.worlds import World
    from graph.execution.planning.plan import Plan
    from graph.selection import Relationship

# The name of the column of keys, in models and in events.
_KEY = "id"
# Stands for it where each key is paired with its entity.
_ANY_ENTITY = "node"


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of an entity: those with one of `keys` in the column `on`, or all without `on`."""

    entity: str
    on: str = ""
    keys: frozenset[Any] = frozenset()

    def each(self) -> list[Rows]:
        """The rows of each key."""
        return [Rows(self.entity, self.on, frozenset({key})) for key in self.keys]


@dataclass(frozen=True, slots=True)
class Dependency:
    """Rows, and the columns that are read of them; None is all.

    A row that is created or deleted counts too, unless it depends on updates only.
    """

    rows: Rows
    columns: frozenset[str] | None
    only_updates: bool = False

    def is_touched(self, columns: frozenset[str] | None) -> bool:
        """Whether a change of these columns of a row matters; None if it was created or deleted."""
        if columns is None:
            return not self.only_updates
        return self.columns is None or not self.columns.isdisjoint(columns)


def changed_rows(event: Event) -> list[tuple[Rows, frozenset[str] | None]]:
    """All that a dependency can name of the row that an event is about, and of the event itself."""
    assert catalog.log is not None  # noqa: S101  events have a log
    found = []
    for entity, key, columns in (
        (event.entity, event.key, event.columns),
        (catalog.log.entity, event.number, None),
    ):
        found += [
            (Rows(entity), columns),
            (Rows(entity, _KEY, frozenset({key})), columns),
            *((Rows(entity, on, frozenset({to})), columns) for on, to in event.keys.items()),
        ]
    return found


def dependencies_of(plan: Plan, world: World) -> list[Dependency] | None:
    """What a query depends on in a world; None is everything.

    Raises:
        NotFollowed: it reads rows whose changes are not in the log.
    """
    reads = _Reads(plan.values, world)
    for root in plan.root:
        reads.add(root, Rows(""))
    if reads.unlogged:
        raise NotFollowed(sorted(reads.unlogged))
    return None if reads.is_unknown else reads.dependencies()


class _Reads:
    def __init__(self, values: Sequence[Any], world: World) -> None:
        self.is_unknown = False
        # Entities, and tables of many-to-many relationships, that have no events.
        self.unlogged = set[str]()
        self._values = values
        self._world = world
        self._columns = defaultdict[Rows, set[str]](set)
        self._whole = set[Rows]()
        self._moves = defaultdict[Rows, set[str]](set)

    def dependencies(self) -> list[Dependency]:
        read = [
            Dependency(rows, None if rows in self._whole else frozenset(columns))
            for rows, columns in self._columns.items()
        ]
        moves = [
            Dependency(rows, frozenset(columns), only_updates=True)
            for rows, columns in self._moves.items()
        ]
        return read + moves

    def add(self, part: Any, around: Rows) -> None:
        """Add what a part of a selection reads; `around` are the rows that it belongs to."""
        inner = self._rows_within(part, around)
        self._add_own(part, inner)
        if isinstance(part, Nodes):
            keys = frozenset(self._values[part.argument_index].keys)
            inner = Rows("", _ANY_ENTITY, keys)
        for each in parts_within(part):
            self.add(each, inner)

    def _rows_within(self, part: Any, around: Rows) -> Rows:
        entity = entity_within(part)
        if entity is None:
            return around
        relationship: Relationship | None = getattr(part, "relationship", None)
        if not entity or (entity == around.entity and relationship is None):
            return around if entity else Rows("")
        rows = Rows(entity)
        if relationship is not None:
            rows = self._led_to(part, relationship, around)
        elif around.on == _ANY_ENTITY:
            rows = Rows(entity, _KEY, frozenset(key for of, key in around.keys if of == entity))
        for each in catalog.unions.get(entity, (entity,)):
            self._read(Rows(each) if each != entity else rows)
        return rows

    def _led_to(self, part: Any, relationship: Relationship, around: Rows) -> Rows:
        """The rows of a relationship, and the columns by which it leads to them."""
        target, column = relationship.target, relationship.target_column
        if relationship.association is not None:
            self.unlogged.add(relationship.association.table)
        if relationship.source_column and is_entity(around.entity):
            self._read(around, relationship.source_column)
        if column is None:
            return Rows(target)
        index = getattr(part, "argument_index", None)
        if isinstance(part, ToOne) and index is not None:
            named = Rows(target, _KEY, frozenset({self._values[index].value}))
            rows = named if column == _KEY else Rows(target)
        elif column == _KEY and around.on == relationship.source_column:
            rows = Rows(target, _KEY, around.keys)
        elif around.on == _KEY and _names(column, around.entity):
            rows = Rows(target, column, around.keys)
            self._moves[Rows(target)].add(column)
        else:
            rows = Rows(target)
        self._read(rows, column)
        return rows

    def _add_own(self, part: Any, rows: Rows) -> None:
        match part:
            case Resolved():
                self.is_unknown = True
            case Column() | EnumLookup() | Attribute() if rows.entity:
                self._read(rows, part.name)
            case Measure(column=str(column)) if rows.entity:
                self._read(rows, column)
            case Matches():
                for entity in catalog.unions.get(rows.entity, (rows.entity,)):
                    of = rows if entity == rows.entity else Rows(entity)
                    for name in catalog.searched.get(entity, ()):
                        self._read(of, name)

    def _read(self, rows: Rows, column: str | None = None) -> None:
        """Note that these rows are read, by the rules of the world, and a column of them."""
        if not is_entity(rows.entity):
            return
        if not is_logged(rows.entity):
            self.unlogged.add(rows.entity)
        is_new = rows not in self._columns
        self._columns[rows].add(_KEY)
        if is_new and (rule := self._world.rules.get(rows.entity)) is not None:
            self._add_reads(rows, reads_of(rows.entity, rule))
        if column is not None:
            self._add_reads(rows, reads_of_column(rows.entity, column))

    def _add_reads(self, rows: Rows, reads: Sequence[Read]) -> None:
        for read in reads:
            of = Rows(read.entity)
            if read.entity == rows.entity:
                of = rows
            elif read.on is not None and rows.on == _KEY and _names(read.on, rows.entity):
                of = Rows(read.entity, read.on, rows.keys)
                self._moves[Rows(read.entity)].add(read.on)
            self._read(of)
            self._columns[of] |= read.columns


def is_logged(entity: str) -> bool:
    """Whether changes of the entity's rows are events, or its rows are events themselves."""
    log = catalog.log
    return log is not None and (entity in log.entities or entity == log.entity)


def _names(column: str, entity: str) -> bool:
    """Whether an event tells the key of this entity's row in the changed row's column."""
    return catalog.log is not None and catalog.log.references.get(column) == entity
