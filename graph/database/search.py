"""Full-text search: words, beginnings of words, and similar words.

Full-text search matches words by their beginning, and trigrams match words with typing errors. Both
have a GIN index over the same document, which joins the searched columns.
"""

from __future__ import annotations

import re
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

from sqlalchemy import Numeric, String, Text, func, or_, select, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy import literal_column as raw_sql

from graph.database.catalog import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, FromClause
    from sqlalchemy.types import TypeEngine

# How much of a word must be there for it to be taken for a typing error, as a share of its
# trigrams: "jonh" has 0.4 of "john". It is set for each connection.
LIKENESS = "0.4"

_CONFIGURATION: ColumnElement[Any] = raw_sql("'simple'::regconfig")
_DIGITS_OF_RANK: ColumnElement[Any] = raw_sql("6")
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The distinct words of a search text."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))


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


def index_expressions(entity: str) -> tuple[str, str]:
    """The SQL expressions of the indexes for words and for trigrams."""
    document = " || ' ' || ".join(catalog.searched[entity])
    return f"to_tsvector('simple'::regconfig, {document})", f"({document}) gin_trgm_ops"


def is_like(document: ColumnElement[Any], word: ColumnElement[Any]) -> ColumnElement[bool]:
    words: ColumnElement[Any] = func.to_tsvector(_CONFIGURATION, document)
    beginning = func.to_tsquery(_CONFIGURATION, word.op("||")(raw_sql("':*'")))
    found: ColumnElement[bool] = words.op("@@", is_comparison=True)(beginning)
    # The more expensive of the two is looked at last.
    return or_(word.op("<%", is_comparison=True)(document), found)


def rank_of(
    document: ColumnElement[Any], words: Sequence[ColumnElement[Any]]
) -> ColumnElement[Any]:
    """The share of each word that matches, 1 for all of it: exact, so that a cursor can hold it."""
    likenesses = reduce(add, (func.word_similarity(word, document) for word in words))
    return func.round(sql_cast(likenesses, Numeric()), _DIGITS_OF_RANK)
