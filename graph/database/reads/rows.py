"""The rows of one level, for the DataLoaders.

Every statement takes all keys of the level at once and returns the key of each row as `key`:

    rows_by_key     to-one edges, node(id:)     WHERE id = ANY(:keys)
    rows_by_text    look-ups by a unique text   unnest(:keys) JOIN
    pages           to-many edges, root lists   unnest(:keys) JOIN LATERAL (ORDER BY, LIMIT)
    counts          totalCount                  unnest(:keys), one count each

A page is cut per parent inside the LATERAL, so that the number of statements is the depth of the
query. The root is a level of one parent, whose key is `ROOT_KEY` and whose children are all rows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Integer, Select, String, any_, bindparam, exists, func, select, true

from graph.database.edges import mappers
from graph.database.reads.parts import (
    beyond_start,
    column_of,
    columns_of,
    count_of,
    matches,
    page_of,
    table_of,
)

if TYPE_CHECKING:
    from sqlalchemy import TableValuedAlias

    from graph.selection import Edge, PageShape

# The root's one parent. No row has it: keys are positive.
ROOT_KEY = 0


def all_columns(noun: str) -> tuple[str, ...]:
    """The names of a noun's columns, stored and computed."""
    return tuple(attribute.key for attribute in mappers()[noun].column_attrs)


@lru_cache(maxsize=1024)
def rows_by_key(edge: Edge, columns: frozenset[str]) -> Select[Any]:
    """`:keys` integers -> rows (key, id, *columns)."""
    key = column_of(edge.target, edge.target_column)
    return select(key.label("key"), *columns_of(edge.target, columns)).where(
        key == any_(bindparam("keys", type_=ARRAY(Integer)))
    )


@lru_cache(maxsize=1024)
def rows_by_text(edge: Edge, columns: frozenset[str]) -> Select[Any]:
    """`:keys` texts -> rows (key, id, *columns); `key` is the text as it was asked for."""
    keys = _unnested(String)
    return select(keys.c.key, *columns_of(edge.target, columns)).select_from(
        keys.join(table_of(edge.target), matches(edge, keys.c.key))
    )


@lru_cache(maxsize=1024)
def pages(
    edge: Edge, shape: PageShape, columns: frozenset[str], *, one_more: bool, other_side: bool
) -> Select[Any]:
    """`:keys`, `:limit`, `:after`, `:before` -> rows (key, id, *columns), in the page's direction.

    With `one_more` there is one row more than `:limit` where the list goes on.

    With `other_side` there is a column of this name too, which says whether rows lie beyond the
    cursor that the page begins at; and a parent without rows has one row whose id is NULL.
    """
    keys = _unnested(Integer, ordinality="nth")
    page = page_of(edge, shape, columns, key=keys.c.key, one_more=one_more).lateral("page")
    shown = [keys.c.key, *page.c]
    if other_side:
        beyond = beyond_start(edge, shape, key=keys.c.key).correlate(keys)
        shown.append(exists(beyond).label("other_side"))
    return (
        select(*shown)
        .select_from(keys.join(page, true(), isouter=other_side))
        .order_by(keys.c.nth, page.c.id.desc() if shape.backwards else page.c.id)
    )


@lru_cache(maxsize=256)
def counts(edge: Edge) -> Select[Any]:
    """`:keys` -> rows (key, total), one for each key."""
    keys = _unnested(Integer)
    total = count_of(edge, key=keys.c.key).correlate(keys).scalar_subquery()
    return select(keys.c.key, total.label("total"))


def _unnested(type_: type[Integer | String], ordinality: str | None = None) -> TableValuedAlias:
    keys = func.unnest(bindparam("keys", type_=ARRAY(type_)))
    if ordinality is None:
        return keys.table_valued("key").render_derived(name="parent")
    return keys.table_valued("key", with_ordinality=ordinality).render_derived(name="parent")
