"""What filters, sorts, pages and groups mean, in plain Python over rows in memory.

An oracle: nothing here knows SQL, or anything of how `graph` answers.

shop      rows, and how they belong together
filters   which rows meet a `where`, and what aggregates of rows are
lists     rows in the order of an `orderBy`, cut into pages, put together into groups
"""
