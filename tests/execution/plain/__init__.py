"""Filters, sorts, pages and groups in plain Python over rows in memory.

An oracle: it contains no SQL, and shares no code with `graph`.

    shop      the rows and their relationships
    filters   the rows that match a `where`, and aggregates of rows
    lists     rows sorted by an `orderBy`, cut into pages, and grouped
"""
