"""A second store, small and nasty: it has all that the engine says it can say.

models    tables of every kind of column, key and relationship       types, queries    its schema
rows      rows of these tables, in SQL and in memory                 schema            all of it

It needs nothing but the engine, and no stage knows of it.
"""
