"""Selections become statements: the one place where a row is asked for.

Rows of one level, for the DataLoaders. Every statement takes all keys of the level at once and
returns the key of each row as `key`:

    rows_by_key     to-one edges, node(id:)     WHERE id = ANY(:keys)
    rows_by_text    look-ups by a unique text   unnest(:keys) JOIN
    pages           to-many edges, root lists   unnest(:keys) JOIN LATERAL (ORDER BY, LIMIT)
    counts          totalCount                  unnest(:keys), one count each

A page is cut per parent inside the LATERAL, so that the number of statements is the depth of the
query. The root is a level of one parent, whose key is `ROOT_KEY` and whose children are all rows.

Statements are built once per shape: values (keys, sizes, cursors) are parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Label,
    Select,
    String,
    any_,
    bindparam,
    exists,
    func,
    select,
    true,
)

from graph.database.edges import mappers

if TYPE_CHECKING:
    from sqlalchemy import FromClause, TableValuedAlias

    from graph.selection import Edge, Page

# The root's one parent. No row has it: keys are positive.
ROOT_KEY = 0

# Looked up without regard to case, and unique so: `customers_lower_email_key`.
_CASELESS = {("Customer", "email")}


def all_columns(noun: str) -> tuple[str, ...]:
    """The names of a noun's columns, stored and computed."""
    return tuple(attribute.key for attribute in mappers()[noun].column_attrs)


@dataclass(frozen=True, slots=True)
class PageShape:
    """All of a page that changes its statement's text, and none of its values."""

    backwards: bool
    after: bool
    before: bool
    other_side: bool

    @classmethod
    def of(cls, page: Page, *, other_side: bool) -> PageShape:
        """`other_side`: tell whether rows lie beyond the cursor that the page begins at."""
        start = page.before if page.backwards else page.after
        return cls(
            backwards=page.backwards,
            after=page.after is not None,
            before=page.before is not None,
            other_side=other_side and start is not None,
        )


@lru_cache(maxsize=1024)
def rows_by_key(edge: Edge, columns: frozenset[str]) -> Select[Any]:
    """`:keys` integers -> rows (key, id, *columns)."""
    key = _column(edge.target, edge.target_column)
    return select(key.label("key"), *_columns(edge.target, columns)).where(
        key == any_(bindparam("keys", type_=ARRAY(Integer)))
    )


@lru_cache(maxsize=1024)
def rows_by_text(edge: Edge, columns: frozenset[str]) -> Select[Any]:
    """`:keys` texts -> rows (key, id, *columns); `key` is the text as it was asked for."""
    keys = _unnested(String)
    found: ColumnElement[Any] = _column(edge.target, edge.target_column)
    asked: ColumnElement[Any] = keys.c.key
    if (edge.target, edge.target_column) in _CASELESS:
        found, asked = func.lower(found), func.lower(asked)
    return select(keys.c.key, *_columns(edge.target, columns)).select_from(
        keys.join(_table(edge.target), found == asked)
    )


@lru_cache(maxsize=1024)
def pages(edge: Edge, shape: PageShape, columns: frozenset[str]) -> Select[Any]:
    """`:keys`, `:limit`, `:after`, `:before` -> rows (key, id, *columns), in the page's direction.

    With `shape.other_side` there is a column `other_side` too, and a parent without rows has one
    row whose id is NULL.
    """
    keys = _unnested(Integer, ordinality="nth")
    id_ = _column(edge.target, "id")
    page = (
        select(*_columns(edge.target, columns))
        .where(_belongs(edge, keys), *_between(id_, shape))
        .order_by(id_.desc() if shape.backwards else id_)
        .limit(bindparam("limit", type_=Integer))
        .lateral("page")
    )
    rows = keys.join(page, true(), isouter=shape.other_side)
    shown = [keys.c.key, *page.c]
    if shape.other_side:
        shown.append(_beyond_start(edge, shape, keys))
    order = page.c.id.desc() if shape.backwards else page.c.id
    return select(*shown).select_from(rows).order_by(keys.c.nth, order)


@lru_cache(maxsize=256)
def counts(edge: Edge) -> Select[Any]:
    """`:keys` -> rows (key, total), one for each key."""
    keys = _unnested(Integer)
    counted = select(func.count()).select_from(_table(edge.target)).where(_belongs(edge, keys))
    return select(keys.c.key, counted.correlate(keys).scalar_subquery().label("total"))


def _table(noun: str) -> FromClause:
    return mappers()[noun].local_table


def _column(noun: str, name: str | None) -> ColumnElement[Any]:
    assert name is not None  # noqa: S101  such an edge leads to every row
    column: ColumnElement[Any] = mappers()[noun].column_attrs[name].columns[0]
    return column


def _columns(noun: str, names: frozenset[str]) -> list[Label[Any]]:
    """The named columns in a fixed order; always the key, by which pages are sorted."""
    return [_column(noun, name).label(name) for name in ("id", *sorted(names - {"id"}))]


def _unnested(type_: type[Integer | String], ordinality: str | None = None) -> TableValuedAlias:
    keys = func.unnest(bindparam("keys", type_=ARRAY(type_)))
    if ordinality is None:
        return keys.table_valued("key").render_derived(name="parent")
    return keys.table_valued("key", with_ordinality=ordinality).render_derived(name="parent")


def _belongs(edge: Edge, keys: TableValuedAlias) -> ColumnElement[bool]:
    if edge.target_column is None:
        return true()
    return _column(edge.target, edge.target_column) == keys.c.key


def _between(id_: ColumnElement[int], shape: PageShape) -> list[ColumnElement[bool]]:
    bounds = []
    if shape.after:
        bounds.append(id_ > bindparam("after", type_=Integer))
    if shape.before:
        bounds.append(id_ < bindparam("before", type_=Integer))
    return bounds


def _beyond_start(edge: Edge, shape: PageShape, keys: TableValuedAlias) -> Label[bool]:
    """Whether the list has rows before the page's start: its cursor's own row counts."""
    id_ = _column(edge.target, "id")
    beyond = (
        id_ >= bindparam("before", type_=Integer)
        if shape.backwards
        else id_ <= bindparam("after", type_=Integer)
    )
    rows = select(1).select_from(_table(edge.target)).where(_belongs(edge, keys), beyond)
    return exists(rows.correlate(keys)).label("other_side")
