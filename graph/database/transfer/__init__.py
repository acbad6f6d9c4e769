"""Import and export of files with millions of rows.

    files        reads the records of NDJSON and CSV files, with their offsets
    rows         checks the fields and types of a record
    importing    imports in batches; each is a transaction that also stores the progress

Memory holds one batch, whatever the file's size.
"""
