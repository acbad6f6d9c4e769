"""What statements are made of: a noun's columns, and the pages of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Integer, bindparam, func, literal_column, select, true

from graph.database.edges import mappers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import FromClause, Label, Select

    from graph.selection import Edge, PageShape

# Looked up without regard to case, and unique so: `customers_lower_email_key`.
_CASELESS = {("Customer", "email")}


def table_of(noun: str) -> FromClause:
    return mappers()[noun].local_table


def column_of(noun: str, name: str | None) -> ColumnElement[Any]:
    """The SQL of a column, stored or computed."""
    assert name is not None  # noqa: S101  the edge leads to every row: it has no column
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


def page_of(
    edge: Edge,
    shape: PageShape,
    names: Iterable[str],
    *,
    key: ColumnElement[Any],
    one_more: bool,
    prefix: str = "",
) -> Select[Any]:
    """The rows of one parent's page in the page's direction: id, and the named columns.

    Its parameters are `limit`, `after` and `before`, behind the prefix. `one_more` row than the
    limit tells whether the list goes on.
    """
    id_ = column_of(edge.target, "id")
    limit = bindparam(f"{prefix}limit", type_=Integer)
    return (
        select(*columns_of(edge.target, names))
        .where(belongs(edge, key), *_between(id_, shape, prefix))
        .order_by(id_.desc() if shape.backwards else id_)
        .limit(limit + literal_column("1") if one_more else limit)
    )


def beyond_start(
    edge: Edge, shape: PageShape, *, key: ColumnElement[Any], prefix: str = ""
) -> Select[Any]:
    """A row for each that lies beyond the cursor that the page begins at; its own row does."""
    id_ = column_of(edge.target, "id")
    if shape.backwards:
        beyond = id_ >= bindparam(f"{prefix}before", type_=Integer)
    else:
        beyond = id_ <= bindparam(f"{prefix}after", type_=Integer)
    return select(1).select_from(table_of(edge.target)).where(belongs(edge, key), beyond)


def count_of(edge: Edge, *, key: ColumnElement[Any]) -> Select[Any]:
    """How many rows the edge leads to, on all pages."""
    return select(func.count()).select_from(table_of(edge.target)).where(belongs(edge, key))


def _between(
    id_: ColumnElement[int], shape: PageShape, prefix: str
) -> Iterable[ColumnElement[bool]]:
    if shape.after:
        yield id_ > bindparam(f"{prefix}after", type_=Integer)
    if shape.before:
        yield id_ < bindparam(f"{prefix}before", type_=Integer)
