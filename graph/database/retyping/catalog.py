"""What PostgreSQL's catalog holds of a table whose columns get another type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

# What stands in for a column, an index or a constraint, until it takes its place.
SUFFIX = "_new"


@dataclass(frozen=True, slots=True)
class OldColumn:
    """`default` is an SQL expression; `sequence` is the one that the column owns."""

    name: str
    not_null: bool
    default: str | None
    sequence: str | None

    @property
    def new(self) -> str:
        return f"{self.name}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Index:
    """`constraint` is 'PRIMARY KEY' or 'UNIQUE' where the index carries one of the same name."""

    name: str
    definition: str
    constraint: str | None

    @property
    def new(self) -> str:
        return f"{self.name}{SUFFIX}"

    def create_new(self, columns: Iterable[str]) -> str:
        """CREATE INDEX CONCURRENTLY for the columns that stand in for these."""
        head, columns_and_more = self.definition.split(" USING ", 1)
        head = head.replace(f"INDEX {self.name} ", f"INDEX CONCURRENTLY {self.new} ", 1)
        return f"{head} USING {_with_new(columns_and_more, columns)}"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key from a table to another, of which at least one changes its columns."""

    name: str
    table: str
    referenced: str
    definition: str

    @property
    def new(self) -> str:
        return f"{self.name}{SUFFIX}"

    def new_definition(self, table: str, columns: Iterable[str]) -> str:
        """The definition, with the columns of `table` that stand in for these."""
        here, there = self.definition.split(" REFERENCES ", 1)
        if self.table == table:
            here = _with_new(here, columns)
        if self.referenced == table:
            there = _with_new(there, columns)
        return f"{here} REFERENCES {there}"


def _with_new(definition: str, columns: Iterable[str]) -> str:
    for column in columns:
        definition = re.sub(rf"(?<=[(, ]){column}(?=[), ])", f"{column}{SUFFIX}", definition)
    return definition


_COLUMNS = """
    SELECT attname, attnotnull, pg_get_expr(adbin, adrelid) AS default,
           pg_get_serial_sequence(CAST(:table AS text), attname) AS sequence
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = CAST(CAST(:table AS text) AS regclass) AND attname = ANY(:columns)
    AND atttypid <> CAST(CAST(:type AS text) AS regtype)
    ORDER BY attnum
"""
_NUMBERS = """
    SELECT attnum FROM pg_attribute
    WHERE attrelid = CAST(CAST(:table AS text) AS regclass) AND attname = ANY(:columns)
"""
# An index that carries a constraint does not depend on its columns, but on the constraint.
_INDEXES = f"""
    SELECT relname, pg_get_indexdef(indexrelid),
           CASE contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    LEFT JOIN pg_constraint ON conindid = indexrelid AND contype IN ('p', 'u')
    WHERE indrelid = CAST(CAST(:table AS text) AS regclass)
    AND EXISTS (SELECT FROM ({_NUMBERS}) AS numbers
                WHERE attnum = ANY(indkey) OR EXISTS (
                    SELECT FROM pg_depend WHERE classid = CAST('pg_class' AS regclass)
                    AND objid = indexrelid AND refobjid = indrelid AND refobjsubid = attnum))
    ORDER BY relname
"""  # noqa: S608
_FOREIGN_KEYS = f"""
    SELECT conname, CAST(CAST(conrelid AS regclass) AS text),
           CAST(CAST(confrelid AS regclass) AS text),
           replace(pg_get_constraintdef(oid), ' NOT VALID', '')
    FROM pg_constraint WHERE contype = 'f'
    AND EXISTS (SELECT FROM ({_NUMBERS}) AS numbers
                WHERE conrelid = CAST(CAST(:table AS text) AS regclass) AND attnum = ANY(conkey)
                OR confrelid = CAST(CAST(:table AS text) AS regclass) AND attnum = ANY(confkey))
    ORDER BY conname
"""  # noqa: S608
_OBSTACLES = f"""
    SELECT 'it is not a plain table' FROM pg_class
    WHERE oid = CAST(CAST(:table AS text) AS regclass) AND (relkind <> 'r' OR relispartition)
    UNION ALL
    SELECT 'constraint ' || conname || ' would be lost' FROM pg_constraint
    WHERE conrelid = CAST(CAST(:table AS text) AS regclass) AND contype IN ('c', 'x')
    AND conkey && (SELECT array_agg(attnum) FROM ({_NUMBERS}) AS numbers)
    UNION ALL
    SELECT attname || ' is an identity column, a generated one, or has privileges of its own'
    FROM pg_attribute WHERE attrelid = CAST(CAST(:table AS text) AS regclass)
    AND attname = ANY(:columns)
    AND (attidentity <> '' OR attgenerated <> '' OR attacl IS NOT NULL)
    UNION ALL
    SELECT pg_describe_object(classid, objid, objsubid) || ' depends on it' FROM pg_depend
    WHERE refclassid = CAST('pg_class' AS regclass)
    AND refobjid = CAST(CAST(:table AS text) AS regclass)
    AND refobjsubid IN (SELECT attnum FROM ({_NUMBERS}) AS numbers)
    AND classid NOT IN (CAST('pg_class' AS regclass), CAST('pg_constraint' AS regclass),
                        CAST('pg_attrdef' AS regclass))
"""  # noqa: S608
_PRIMARY_KEY = """
    SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE indrelid = CAST(CAST(:table AS text) AS regclass) AND indisprimary AND indnatts = 1
"""
_TRIGGER_FUNCTIONS = """
    SELECT DISTINCT pg_get_functiondef(tgfoid) FROM pg_trigger
    WHERE tgrelid = CAST(CAST(:table AS text) AS regclass) AND NOT tgisinternal
"""


def old_columns(
    connection: Connection, table: str, columns: Sequence[str], type_: str
) -> list[OldColumn]:
    """Those of the columns that do not have the type yet."""
    found = connection.execute(
        text(_COLUMNS), {"table": table, "columns": list(columns), "type": type_}
    )
    return [OldColumn(*row) for row in found]


def indexes(connection: Connection, table: str, columns: Sequence[str]) -> list[Index]:
    """All indexes that have one of the columns, or an expression of it."""
    found = connection.execute(text(_INDEXES), {"table": table, "columns": list(columns)})
    return [Index(*row) for row in found]


def foreign_keys(connection: Connection, table: str, columns: Sequence[str]) -> list[ForeignKey]:
    """All foreign keys that lead from the columns, or to them."""
    found = connection.execute(text(_FOREIGN_KEYS), {"table": table, "columns": list(columns)})
    return [ForeignKey(*row) for row in found]


def obstacles(connection: Connection, table: str, columns: Sequence[str]) -> list[str]:
    """What would be lost with the old columns, and is not built again."""
    found = connection.scalars(text(_OBSTACLES), {"table": table, "columns": list(columns)})
    reasons = list(found)
    if primary_key(connection, table) is None:
        reasons.append("its primary key is not one column")
    return reasons


def primary_key(connection: Connection, table: str) -> str | None:
    """The column that is the primary key; None if there is no such one."""
    name: str | None = connection.scalar(text(_PRIMARY_KEY), {"table": table})
    return name


def trigger_functions(connection: Connection, table: str) -> list[str]:
    """CREATE OR REPLACE FUNCTION for each function that the table's triggers call."""
    return list(connection.scalars(text(_TRIGGER_FUNCTIONS), {"table": table}))


def bytes_of(connection: Connection, table: str) -> int:
    size = text("SELECT pg_relation_size(CAST(CAST(:table AS text) AS regclass))")
    return connection.scalar(size, {"table": table}) or 0


def has_column(connection: Connection, table: str, column: str) -> bool:
    found = text(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attname = :column"
        " AND attrelid = CAST(CAST(:table AS text) AS regclass))"
    )
    return bool(connection.scalar(found, {"table": table, "column": column}))


def index_is_valid(connection: Connection, index: str) -> bool | None:
    """None where there is no such index; False where CREATE INDEX CONCURRENTLY was interrupted."""
    valid: bool | None = connection.scalar(
        text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"),
        {"name": index},
    )
    return valid


def constraint_is_valid(connection: Connection, table: str, constraint: str) -> bool | None:
    """None where the table has no such constraint; False where old rows were not looked at."""
    valid: bool | None = connection.scalar(
        text(
            "SELECT convalidated FROM pg_constraint WHERE conname = :name"
            " AND conrelid = CAST(CAST(:table AS text) AS regclass)"
        ),
        {"name": constraint, "table": table},
    )
    return valid
