"""Rows by the million: from files, and into them.

    files        NDJSON and CSV, record by record, and where in the file each ends
    staging      what is read from a file, by entity: what a row must be, and how it becomes rows
    importing    batch by batch, each a transaction that also says how far it has come
    exporting    a table as a file, as PostgreSQL writes it

Memory holds one batch, whatever the file's size.
"""
