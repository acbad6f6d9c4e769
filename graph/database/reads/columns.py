"""Rows in a statement, and their columns."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, true
from sqlalchemy.sql.util import ClauseAdapter

from graph.database.edges import mappers
from graph.database.search import FOUND, everything

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import FromClause, Label

    from graph.selection import Edge

# Looked up without regard to case, and unique so: `customers_lower_email_key`.
_CASELESS = {("Customer", "email")}


@cache
def table_of(noun: str) -> FromClause:
    return everything(column_of) if noun == FOUND else mappers()[noun].local_table


def column_of(noun: str, name: str | None) -> ColumnElement[Any]:
    """The SQL of a column, stored or computed."""
    assert name is not None  # noqa: S101  the edge leads to every row: it has no column
    if noun == FOUND:
        return table_of(noun).c[name]
    column: ColumnElement[Any] = mappers()[noun].column_attrs[name].columns[0]
    return column


def columns_of(noun: str, names: Iterable[str]) -> list[Label[Any]]:
    """The named columns in a fixed order; always the key, by which pages are sorted."""
    return [column_of(noun, name).label(name) for name in ("id", *sorted({*names} - {"id"}))]


def belongs(edge: Edge, key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a row of the edge's target belongs to the source row with this key."""
    if edge.target_column is None:
        return true()
    return column_of(edge.target, edge.target_column) == key


def matches(edge: Edge, value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a look-up by this value finds a row."""
    column = column_of(edge.target, edge.target_column)
    if (edge.target, edge.target_column) in _CASELESS:
        return func.lower(column) == func.lower(value)
    return column == value


class Row:
    """A row of a noun: the table itself, or an alias of it inside the table's own statement."""

    def __init__(
        self, noun: str, source: FromClause | None = None, *, names: Any | None = None
    ) -> None:
        self.noun = noun
        self.source = table_of(noun) if source is None else source
        self._adapter = None if source is None else ClauseAdapter(source)
        # The columns of a sub-select, by name, which has computed them already.
        self._names = names

    def column(self, name: str | None) -> ColumnElement[Any]:
        if self._names is not None:
            known: ColumnElement[Any] = self._names[name]
            return known
        column = column_of(self.noun, name)
        if self._adapter is None:
            return column
        return self._adapter.traverse(column)

    def across(self, edge: Edge) -> tuple[Row, ColumnElement[bool]]:
        """Any row that the edge leads to from this one, under an alias; and what says so."""
        to = Row(edge.target, table_of(edge.target).alias())
        return to, to.column(edge.target_column) == self.column(edge.source_column)
