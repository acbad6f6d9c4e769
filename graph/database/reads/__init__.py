"""Compiles selections to statements.

    rows             the rows of one level, for the DataLoaders
    json_query       the JSON text of a whole tree: one statement for one operation
    connections, summaries, sql_fragments            the fragments of that text
    columns, expressions, nullability, keyset, lists     the clauses that both share
    parts            clauses as text, which SQLAlchemy writes once for each structure
    placeholders     the columns that a Python resolver needs, inside the text

Statements are built once per shape: the values of an operation's arguments are parameters.
"""

from graph.database.reads.columns import (
    is_computed,
    is_indexed,
    is_unique,
    key_of,
    kind_of_key,
    looks_elsewhere,
    scalar_of_column,
)
from graph.database.reads.expressions import can_be_null, scalar_of
from graph.database.reads.json_query import JsonQuery, JsonStatement, check_size, json_statement
from graph.database.reads.placeholders import (
    MARK,
    Decoder,
    decoders_of,
    names_in_placeholder,
)
from graph.database.reads.rows import (
    ROOT_KEY,
    aggregates,
    all_columns,
    counts,
    counts_up_to,
    groups,
    is_by_text,
    pages,
    rows_by_key,
    rows_by_text,
    stored_key,
)

__all__ = [
    "MARK",
    "ROOT_KEY",
    "Decoder",
    "JsonQuery",
    "JsonStatement",
    "aggregates",
    "all_columns",
    "can_be_null",
    "check_size",
    "counts",
    "counts_up_to",
    "decoders_of",
    "groups",
    "is_by_text",
    "is_computed",
    "is_indexed",
    "is_unique",
    "json_statement",
    "key_of",
    "kind_of_key",
    "looks_elsewhere",
    "names_in_placeholder",
    "pages",
    "rows_by_key",
    "rows_by_text",
    "scalar_of",
    "scalar_of_column",
    "stored_key",
]
