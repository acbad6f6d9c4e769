"""Full-text search: words, beginnings of words, and words with a typing error.

A row's document joins its searched columns. `search_functions` defines the tiers in which a row can
match. Each tier is one look-up in one index, so no match is ranked by itself:

    customers.id IN (SELECT id FROM (SELECT id FROM customers AS found
        WHERE graph_search_document(...) @@ (SELECT graph_search_query($1, 5)) OFFSET 0) ...)

The query is a sub-select, so that PostgreSQL plans without its value: it assumes that every text is
rare, and never computes the documents of a whole table. OFFSET 0 keeps it from testing each row of
another order.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, String, Text, case, func, select, tuple_, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy import literal_column as raw_sql

from graph.database.catalog import catalog
from graph.database.search_functions import MISSPELLED, WHOLE_WORD

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, FromClause
    from sqlalchemy.types import TypeEngine


def document_of(entity: str, column: Callable[[str], ColumnElement[Any]]) -> ColumnElement[Any]:
    """The searched text of a row, given its columns. The indexes are on this expression."""
    if entity in catalog.unions:
        return column("document")
    first, *rest = (column(name) for name in catalog.searched[entity])
    return reduce(lambda text, part: text.op("||")(raw_sql("' '")).op("||")(part), rest, first)


def everything(
    union: str, column: Callable[[str, str], ColumnElement[Any]], key: TypeEngine[Any]
) -> FromClause:
    """Id, entity and document of all rows of a union's entities, given their columns.

    PostgreSQL pushes a condition on the document down to each table, and so to its indexes, if all
    of them have the same types; `key` is the type of the ids.
    """

    def id_of(entity: str) -> ColumnElement[Any]:
        id_ = column(entity, "id")
        return id_ if type(id_.type) is type(key) else sql_cast(id_, key)

    tables = [
        select(
            id_of(entity).label("id"),
            raw_sql(f"'{entity}'::text", String).label("entity"),
            sql_cast(document_of(entity, partial(column, entity)), Text).label("document"),
        )
        for entity in catalog.unions[union]
    ]
    return union_all(*tables).subquery("found")


def index_expression(entity: str) -> str:
    """The SQL expression of the index on an entity's documents."""
    document = " || ' ' || ".join(catalog.searched[entity])
    return f"graph_search_document({document})"


def is_found(  # noqa: PLR0917
    entity: str,
    column: Callable[[str], ColumnElement[Any]],
    others: FromClause,
    column_of_others: Callable[[str], ColumnElement[Any]],
    text: ColumnElement[Any],
    tier: int = MISSPELLED,
) -> ColumnElement[bool]:
    """Whether the row with these columns is in a tier, or a better one, of those a text finds.

    `others` are all rows of the entity. Text without words finds none.
    """
    query = select(func.graph_search_query(text, raw_sql(str(tier)))).scalar_subquery()
    is_union = entity in catalog.unions
    if is_union and tier == MISSPELLED:  # it is the whole condition of its list
        return _has(document_of(entity, column), query)
    keys = ("entity", "id") if is_union else ("id",)
    found = (
        select(*(column_of_others(key).label(key) for key in keys))
        .select_from(others)
        .where(_has(document_of(entity, column_of_others), query))
    )
    fenced = found.offset(raw_sql("0")).subquery()
    return tuple_(*map(column, keys)).in_(select(*(fenced.c[key] for key in keys)))


def _has(document: ColumnElement[Any], query: ColumnElement[Any]) -> ColumnElement[bool]:
    words: ColumnElement[Any] = func.graph_search_document(document)
    return words.op("@@", is_comparison=True)(query)


def rank_of(is_in_tier: Callable[[int], ColumnElement[bool]]) -> ColumnElement[int]:
    """The best tier that a row is in; that of the worst if it is in none."""
    better = ((is_in_tier(tier), _number(tier)) for tier in range(WHOLE_WORD, MISSPELLED, -1))
    return case(*better, else_=_number(MISSPELLED))


def _number(tier: int) -> ColumnElement[int]:
    return raw_sql(str(tier), Integer)
