"""Worlds: the rows and the columns that exist for a viewer.

A table becomes a source of rows in one place, where SQLAlchemy writes its name after FROM. There a
world replaces it by the rows that exist in it, under the table's own name:

    orders  ->  (SELECT * FROM orders WHERE orders.customer_id = $1) AS orders

Pages, look-ups, filters, sorts, counts, searches and computed columns all write their tables so.
None of them knows of worlds, and none can forget one. PostgreSQL flattens the sub-select. A column
that a world lacks is refused when the statement is written. Where a world has no rule, the SQL is
the same to the letter.

A world follows from permissions, so there are a few, and not one for each viewer. The viewer's own
key is a parameter.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Alias,
    ColumnClause,
    Table,
    bindparam,
    exists,
    false,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg
from sqlalchemy.sql.util import _deep_deannotate
from sqlalchemy.sql.visitors import iterate

from graph.database.catalog import RowRule, catalog
from graph.database.dialect import DIALECT, with_constants
from graph.database.relationships import mapper_of, mappers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import BindParameter, ColumnElement, Select
    from sqlalchemy.engine import Dialect
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.types import TypeEngine

    from graph.viewer import Viewer

# The name of the parameter with the key of the viewer's own row.
OWN = "viewer.own"


class NotChanged(Exception):
    """A statement reads other rows than those that it changes."""


class HiddenColumn(Exception):
    """A statement names a column that does not exist in its world: a check before it was missed."""


@dataclass(frozen=True, eq=False)
class World:
    """The rows and columns that exist for viewers with some permissions.

    `rules` has the condition of each entity whose rows do not all exist; `hidden` the columns, by
    entity and name, that do not exist. `may` are those of the permissions that matter to it; None
    is all of them. After a change in the same statement, `changed` has the query with the rows of
    each table that was changed, and no other rows can be read: they would be as they were before.
    """

    rules: Mapping[str, ColumnElement[bool]]
    hidden: frozenset[tuple[str, str]]
    may: frozenset[str] | None = None
    changed: Mapping[Table, str] | None = None

    def permits(self, needs: frozenset[str]) -> bool:
        """Whether its viewers have one of these permissions, on which values depend."""
        return self.may is None or not self.may.isdisjoint(needs)

    def is_closed(self, entity: str) -> bool:
        """Whether no row of the entity exists, whatever the store holds."""
        return entity in self.rules and self.rules[entity] is _NOTHING

    def hides(self, entity: str, column: str) -> bool:
        """Whether the column does not exist, or is computed from one that does not."""
        return not self.hidden_columns.isdisjoint(_stored_columns(entity, column))

    @cached_property
    def sources(self) -> dict[Table, Select[Any]]:
        """The rows that replace a table, by table."""
        tables: dict[str, Any] = {entity: mapper_of(entity).local_table for entity in self.rules}
        return {
            table: select(*self._columns(table)).select_from(table).where(self.rules[entity])
            for entity, table in tables.items()
        }

    def _columns(self, table: Table) -> list[ColumnElement[Any]]:
        if self.hidden_columns.isdisjoint(table.c):
            return [literal_column("*")]
        return [column for column in table.c if column not in self.hidden_columns]

    def changed_rows(self, of: Table | str) -> str | None:
        """After a change, the query that has the rows of a table or an entity.

        Raises:
            NotChanged: they did not change.
        """
        if self.changed is None:
            return None
        table: Any = mapper_of(of).local_table if isinstance(of, str) else of
        query = self.changed.get(table)
        if query is None:
            raise NotChanged(str(of))
        return query

    @cached_property
    def hidden_columns(self) -> frozenset[Any]:
        return frozenset(mapper_of(entity).columns[name] for entity, name in self.hidden)


@cache
def _stored_columns(entity: str, name: str) -> frozenset[Any]:
    """The columns of tables that a column is computed from; itself, if it is stored."""
    if entity in catalog.unions:
        return frozenset()
    (expression,) = mapper_of(entity).column_attrs[name].columns
    tables = [mapper.local_table for mapper in mappers().values()]
    return frozenset(
        stored
        for each in iterate(expression)
        if isinstance(each, ColumnClause) and each.table in tables
        for stored in [each.table.c.get(each.key)]
    )


def needs_of(entity: str, column: str | None) -> frozenset[str]:
    """The permissions of which any shows rows of an entity, or with a `column` that column."""
    if column is None:
        return _named_in(catalog.rows.get(entity, ()))
    stored = _stored_columns(entity, column)
    return frozenset(
        name
        for (of, hidden), needs in catalog.needs.items()
        if mapper_of(of).columns[hidden] in stored
        for name in needs
    )


def _named_in(rules: Iterable[RowRule]) -> frozenset[str]:
    """The permissions that these rules depend on."""
    return frozenset(name for rule in rules for name in rule.permissions)


def _ruling() -> frozenset[str]:
    """The permissions that show rows."""
    return _named_in(chain.from_iterable(catalog.rows.values()))


_NOTHING: ColumnElement[bool] = false()
EVERYTHING = World({}, frozenset())


@lru_cache(maxsize=1024)
def after(world: World, rows: tuple[tuple[str, str], ...]) -> World:
    """A world after a change; `rows` are the changed entities, each with the query of its rows."""
    changed: dict[Any, str] = {mapper_of(entity).local_table: query for entity, query in rows}
    return replace(world, changed=changed)


def own_key(type_: TypeEngine[Any]) -> BindParameter[Any]:
    """The key of the viewer's own row, for the conditions of rules."""
    return bindparam(OWN, type_=type_, required=True)


def exists_to(to_one: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    """The condition that the row exists to which a relationship leads, such as a line's order."""
    relationship: Any = to_one.property
    ((local, remote),) = relationship.local_remote_pairs
    target = relationship.mapper.local_table
    found: Any = select(literal_column("1")).select_from(target).where(remote == local)
    return exists(found.correlate(local.table))


def world_of(viewer: Viewer) -> World:
    return EVERYTHING if viewer.may is None else _world_of(viewer.may)


def changing_world(viewer: Viewer, needs: frozenset[str]) -> World:
    """The rows that a viewer may change by a mutation with these needs.

    A permission that shows rows, such as one's own, permits the change of these rows only.
    """
    return EVERYTHING if viewer.may is None else _changing(viewer.may, needs)


@lru_cache(maxsize=1024)
def _changing(may: frozenset[str], needs: frozenset[str]) -> World:
    if not needs or not may.isdisjoint(needs - _ruling()):
        return _world_of(may)
    return _world_of(may & needs)


@lru_cache(maxsize=1024)
def text_in(world: World, statement: Select[Any]) -> tuple[str, tuple[str, ...]]:
    """The SQL of a statement in a world, and the names of its parameters in order."""
    compiled: Any = statement.compile(dialect=dialect_in(world, DIALECT))
    return str(compiled), tuple(compiled.positiontup)


@lru_cache(maxsize=1024)
def _world_of(may: frozenset[str]) -> World:
    """Viewers who differ only in other permissions share a world."""
    return _world_by(may & (_ruling() | catalog.deciding.union(*catalog.needs.values())))


@cache
def _world_by(may: frozenset[str]) -> World:
    rules = {
        entity: rule
        for entity, known in catalog.rows.items()
        if (rule := _condition(known, may)) is not None
    }
    hidden = frozenset(column for column, needs in catalog.needs.items() if needs.isdisjoint(may))
    is_whole = not rules and not hidden and catalog.deciding <= may
    return EVERYTHING if is_whole else World(rules, hidden, may)


def _condition(rules: tuple[RowRule, ...], may: frozenset[str]) -> ColumnElement[bool] | None:
    """The rows that these permissions show together; None for all rows."""
    granted = [rule.condition for rule in rules if rule.permissions <= may]
    conditions = [with_constants(_deep_deannotate(rule)) for rule in granted if rule is not None]
    if len(conditions) < len(granted):
        return None
    return or_(*conditions) if conditions else _NOTHING


@lru_cache(maxsize=256)
def dialect_in(world: World, dialect: Dialect) -> Dialect:
    """The same dialect, which writes the statements of a world. Its compiled cache is its own."""
    if world is EVERYTHING:
        return dialect
    own: Any = copy(dialect)
    own.world, own.statement_compiler = world, _Compiler
    return own  # type: ignore[no-any-return]


def world_of_dialect(dialect: Dialect) -> World:
    """The world in which a statement is written, for elements that write SQL of their own."""
    return getattr(dialect, "world", EVERYTHING)


class _Compiler(PGCompiler_asyncpg):
    """Writes a table as the rows of it that exist in the dialect's world."""

    @cached_property
    def _world(self) -> World:
        return world_of_dialect(self.dialect)

    @cached_property
    def _open(self) -> list[Table]:
        """The tables whose rule is being written: in its own rule, a table is itself."""
        return []

    def visit_table(self, table: Table, *arguments: Any, **options: Any) -> str:
        written: str = super().visit_table(table, *arguments, **options)  # type: ignore[no-untyped-call]
        if not options.get("asfrom") or options.get("iscrud"):
            return written
        alias = options.get("enclosing_alias")
        is_named = alias is not None and alias.element is table
        rows = None if table in self._open else self._world.sources.get(table)
        if rows is None:
            query = self._world.changed_rows(table) or written
            return query if is_named or query == written else f"{query} AS {written}"
        self._open.append(table)
        # Nothing around the rule is correlated to it.
        self.stack.append(self._default_stack_entry)
        text = f"({self.process(rows, asfrom=True)})"
        self.stack.pop()
        self._open.pop()
        return text if is_named else f"{text} AS {written}"

    def visit_column(self, column: Any, *arguments: Any, **options: Any) -> str:
        table = column.table
        while isinstance(table, Alias):
            table = table.element
        if isinstance(table, Table) and table not in self._open:
            stored = table.c.get(column.key)
            if stored is not None and stored in self._world.hidden_columns:
                raise HiddenColumn(str(column))
        return str(super().visit_column(column, *arguments, **options))
