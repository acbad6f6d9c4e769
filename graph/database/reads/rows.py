"""The rows of one level, for the DataLoaders.

Every statement takes all keys of the level at once and returns the key of each row as `key`:

    rows_by_key     to-one relationships, node(id:)     WHERE id = ANY(:keys)
    rows_by_text    look-ups by a unique text   unnest(:keys) JOIN
    pages           to-many relationships, root lists   unnest(:keys) JOIN LATERAL (ORDER BY, LIMIT)
    counts, aggregates, groups                  unnest(:keys), one list each

A page is cut per parent inside the LATERAL, so that the number of statements is the depth of the
query. The root is a level of one parent, whose key is `ROOT_KEY` and whose children are all rows.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Integer,
    Select,
    String,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    true,
)

from graph.database.kinds import ScalarKind
from graph.database.reads.columns import (
    column_key_type,
    column_of,
    columns_of,
    key_type_of,
    matches,
    scalar_of_column,
    table_of,
)
from graph.database.reads.keyset import Ordering
from graph.database.reads.lists import Paged, RowList
from graph.database.relationships import mapper_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, TableValuedAlias
    from sqlalchemy.types import TypeEngine

    from graph.selection import Condition, GroupingShape, PageShape, Relationship, Term

# The root's one parent.
ROOT_KEY = 0


def all_columns(entity: str) -> tuple[str, ...]:
    """The names of an entity's columns, stored and computed."""
    return tuple(attribute.key for attribute in mapper_of(entity).column_attrs)


@cache
def is_by_text(relationship: Relationship) -> bool:
    """Whether it is a look-up by a text, which may ignore case: `rows_by_text`."""
    if relationship.source is not None or relationship.target_column is None:
        return False
    return scalar_of_column(relationship.target, relationship.target_column).kind is ScalarKind.TEXT


def stored_key(entity: str, key: Any) -> Any:
    """The key of an entity's row, from an id of a union."""
    kind = scalar_of_column(entity, "id").kind
    return UUID(str(key)) if kind is ScalarKind.UUID else int(key)


@lru_cache(maxsize=1024)
def rows_by_key(relationship: Relationship, columns: frozenset[str]) -> Select[Any]:
    """`:keys` -> rows (key, id, *columns)."""
    key = column_of(relationship.target, relationship.target_column)
    type_ = column_key_type(relationship.target, str(relationship.target_column))
    return select(key.label("key"), *columns_of(relationship.target, columns)).where(
        key == any_(bindparam("keys", type_=ARRAY(type_)))
    )


@lru_cache(maxsize=1024)
def rows_by_text(relationship: Relationship, columns: frozenset[str]) -> Select[Any]:
    """`:keys` texts -> rows (key, id, *columns); `key` is the requested text."""
    keys = _unnested(String())
    return select(keys.c.key, *columns_of(relationship.target, columns)).select_from(
        keys.join(table_of(relationship.target), matches(relationship, keys.c.key))
    )


@lru_cache(maxsize=1024)
def pages(
    relationship: Relationship,
    shape: PageShape,
    columns: frozenset[str],
    *,
    one_more: bool,
    other_side: bool,
    cursors: bool,
) -> Select[Any]:
    """`:keys` and the page's parameters -> rows (key, id, *columns), in the page's direction.

    With `one_more` there is one row more than `:limit` if the list continues; with `cursors` a
    column `cursor`. With `other_side` a column of this name tells whether the list has rows before
    the page, in its direction, and a parent without rows has one row whose id is NULL.
    """
    keys = _unnested(key_type_of(relationship), ordinality="nth")
    paged = Paged(RowList(relationship, shape.where, key=_parent(relationship)), shape)
    page = paged.rows(columns, one_more=one_more).lateral("page")
    order = Ordering(relationship.target, shape.order)
    shown = [keys.c.key, page.c.id, *(page.c[name] for name in sorted(columns - {"id"}))]
    if cursors:
        shown.append(literal_column(order.cursor_text("page")).label("cursor"))
    if other_side:
        shown.append(paged.begins_later().label("other_side"))
    order = order.backwards if shape.backwards else order
    return (
        select(*shown)
        .select_from(keys.join(page, true(), isouter=other_side))
        .order_by(keys.c.nth, *order.clauses([page.c[name] for name in order.names]))
    )


@lru_cache(maxsize=256)
def counts(relationship: Relationship, where: Condition | None) -> Select[Any]:
    """`:keys` -> rows (key, total), one for each key."""
    keys = _unnested(key_type_of(relationship))
    total = RowList(relationship, where, key=_parent(relationship)).count().scalar_subquery()
    return select(keys.c.key, total.label("total"))


@lru_cache(maxsize=256)
def counts_up_to(relationship: Relationship, where: Condition | None) -> Select[Any]:
    """`:keys`, `:limit` -> rows (key, total), one for each key; no total exceeds limit + 1."""
    keys = _unnested(key_type_of(relationship))
    limit = bindparam("limit", type_=Integer)
    counted = (
        RowList(relationship, where, key=_parent(relationship))
        .count_up_to(limit)
        .lateral("counted")
    )
    return select(keys.c.key, counted.c.total).select_from(keys.join(counted, true()))


@lru_cache(maxsize=256)
def aggregates(
    relationship: Relationship, where: Condition | None, terms: tuple[Term, ...]
) -> Select[Any]:
    """`:keys` -> rows (key, t0, t1, ...), one for each key."""
    keys = _unnested(key_type_of(relationship))
    measured = (
        RowList(relationship, where, key=_parent(relationship))
        .aggregates(terms)
        .lateral("measured")
    )
    return select(keys.c.key, *measured.c).select_from(keys.join(measured, true()))


@lru_cache(maxsize=256)
def groups(
    relationship: Relationship,
    where: Condition | None,
    shape: GroupingShape,
    terms: tuple[Term, ...],
) -> Select[Any]:
    """`:keys`, and `g.` parameters of the grouping -> rows (key, t0, t1, ...), groups in order."""
    keys = _unnested(key_type_of(relationship), ordinality="argument_index")
    found = (
        RowList(relationship, where, key=_parent(relationship))
        .groups(shape, terms, own="g.")
        .lateral("grouped")
    )
    columns = [column for column in found.c if column.name != "nth"]
    return (
        select(keys.c.key, *columns)
        .select_from(keys.join(found, true()))
        .order_by(keys.c.argument_index, found.c.nth)
    )


def _parent(relationship: Relationship) -> ColumnElement[Any]:
    """The key, in words: there is nothing to correlate, however deep in a statement it stands."""
    return literal_column("parent.key", key_type_of(relationship))


def _unnested(type_: TypeEngine[Any], ordinality: str | None = None) -> TableValuedAlias:
    keys = func.unnest(bindparam("keys", type_=ARRAY(type_)))
    if ordinality is None:
        return keys.table_valued("key").render_derived(name="parent")
    return keys.table_valued("key", with_ordinality=ordinality).render_derived(name="parent")
