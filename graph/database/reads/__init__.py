"""Selections become statements: the one place where a row is asked for.

    parts   columns, pages, bounds, orders: what both shapes are made of
    rows    the rows of one level, for the DataLoaders
    text    the JSON text of a whole tree: one statement for one operation
    pieces  what that text is put together from

Statements are built once per shape: what an operation's arguments say are parameters.
"""

from graph.database.reads.rows import (
    ROOT_KEY,
    all_columns,
    counts,
    pages,
    rows_by_key,
    rows_by_text,
)
from graph.database.reads.text import TextQuery, TextStatement, text_statement

__all__ = [
    "ROOT_KEY",
    "TextQuery",
    "TextStatement",
    "all_columns",
    "counts",
    "pages",
    "rows_by_key",
    "rows_by_text",
    "text_statement",
]
