"""Rows in a statement, and their columns."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, true
from sqlalchemy.sql.util import ClauseAdapter

from graph.database.relationships import mappers
from graph.database.search import FOUND, everything

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import FromClause, Label

    from graph.selection import Relationship

# Looked up without regard to case, and unique so: `customers_lower_email_key`.
_CASELESS = {("Customer", "email")}


@cache
def table_of(entity: str) -> FromClause:
    return everything(column_of) if entity == FOUND else mappers()[entity].local_table


def column_of(entity: str, name: str | None) -> ColumnElement[Any]:
    """The SQL of a column, stored or computed."""
    assert name is not None  # noqa: S101  the relationship leads to every row: it has no column
    if entity == FOUND:
        return table_of(entity).c[name]
    column: ColumnElement[Any] = mappers()[entity].column_attrs[name].columns[0]
    return column


def columns_of(entity: str, names: Iterable[str]) -> list[Label[Any]]:
    """The named columns in a fixed order; always the key, by which pages are sorted."""
    return [column_of(entity, name).label(name) for name in ("id", *sorted({*names} - {"id"}))]


def belongs(relationship: Relationship, key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a row of the relationship's target belongs to the source row with this key."""
    if relationship.target_column is None:
        return true()
    return column_of(relationship.target, relationship.target_column) == key


def matches(relationship: Relationship, value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a look-up by this value finds a row."""
    column = column_of(relationship.target, relationship.target_column)
    if (relationship.target, relationship.target_column) in _CASELESS:
        return func.lower(column) == func.lower(value)
    return column == value


class Row:
    """A row of an entity: the table itself, or an alias of it inside the table's own statement."""

    def __init__(
        self, entity: str, source: FromClause | None = None, *, names: Any | None = None
    ) -> None:
        self.entity = entity
        self.source = table_of(entity) if source is None else source
        self._adapter = None if source is None else ClauseAdapter(source)
        # The columns of a sub-select, by name, which has computed them already.
        self._names = names

    def column(self, name: str | None) -> ColumnElement[Any]:
        if self._names is not None:
            known: ColumnElement[Any] = self._names[name]
            return known
        column = column_of(self.entity, name)
        if self._adapter is None:
            return column
        return self._adapter.traverse(column)

    def across(self, relationship: Relationship) -> tuple[Row, ColumnElement[bool]]:
        """An alias of the relationship's target, and the condition that joins it to this row."""
        to = Row(relationship.target, table_of(relationship.target).alias())
        return to, to.column(relationship.target_column) == self.column(relationship.source_column)
