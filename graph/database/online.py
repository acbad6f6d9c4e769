"""The steps of a migration that changes a table while others use it.

Each step runs in transactions of its own, leaves nothing undone that it has done before, and holds
a lock that others wait for only for a change of the catalog. So a migration that was interrupted
between two steps is run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import op
from sqlalchemy import text

from graph.database.retyping.catalog import constraint_is_valid, index_is_valid
from graph.database.retyping.locks import transaction

if TYPE_CHECKING:
    from sqlalchemy import Connection

_IS_NOT_NULL = text("""
    SELECT attnotnull FROM pg_attribute
    WHERE attrelid = to_regclass(:table) AND attname = :column
""")


def add_column(table: str, column: str) -> None:
    """Add a column, as in `nickname varchar(50)`. One that is NOT NULL needs a constant default."""
    _change(table, f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}")


def drop_column(table: str, column: str) -> None:
    """Drop a column that no running version of graph reads or writes any more."""
    _change(table, f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}")


def create_index(name: str, on: str, *, unique: bool = False) -> None:
    """Build an index while others read and write, as in `items (supplier_id, id)`."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        valid = index_is_valid(connection, name)
        if valid is False:  # an attempt that was interrupted
            connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {name}")
        if not valid:
            connection.exec_driver_sql(f"CREATE {kind} CONCURRENTLY {name} ON {on}")


def drop_index(name: str) -> None:
    with op.get_context().autocommit_block():
        op.get_bind().exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def add_constraint(table: str, name: str, definition: str, *, references: str = "") -> None:
    """Add a CHECK or a foreign key; the rows are checked while others read and write.

    `references` is the table that a foreign key leads to.
    """
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        valid = constraint_is_valid(connection, table, name)
        if valid is None:
            tables = dict.fromkeys([table, references or table])
            mode = "SHARE ROW EXCLUSIVE" if references else "ACCESS EXCLUSIVE"
            with transaction(connection, *tables, mode=mode):
                connection.exec_driver_sql(
                    f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID"
                )
        if not valid:
            connection.exec_driver_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def set_not_null(table: str, column: str) -> None:
    """Make a column NOT NULL; a CHECK proves it first, while others read and write."""
    proof = f"{table}_{column}_is_set"
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        if connection.scalar(_IS_NOT_NULL, {"table": table, "column": column}):
            return
    add_constraint(table, proof, f"CHECK ({column} IS NOT NULL)")
    _change(
        table,
        f"ALTER TABLE {table} ALTER {column} SET NOT NULL",
        f"ALTER TABLE {table} DROP CONSTRAINT {proof}",
    )


def _change(table: str, *statements: str) -> None:
    with op.get_context().autocommit_block():
        connection: Connection = op.get_bind()
        with transaction(connection, table):
            for statement in statements:
                connection.exec_driver_sql(statement)
