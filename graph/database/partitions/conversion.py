"""Make a plain table a partitioned one while others read and write it, and the other way.

No row is moved: the table becomes the first partition of a new one that takes its name.

    bound     a CHECK that all keys are below the first partition's end, NOT VALID at first
    validate  the rows are read once, while others write
    swap      the table is renamed, and the new one takes its name, indexes, triggers, default
              values, sequence, privileges and views: one transaction of catalog changes

A lock that is not had within a quarter of a second is given up and tried again later
(`retyping.locks`). A run that was interrupted is run again, and goes on where it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from graph.database.partitions import (
    ROWS_PER_PARTITION,
    add_ahead,
    add_default,
    default_of,
    first_of,
    index_name,
    last_key,
    partitions_of,
)
from graph.database.retyping.locks import transaction
from graph.errors import MigrationRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sqlalchemy import Connection

_KIND = text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(:table)")
_BOUND = text("""
    SELECT convalidated, CAST(substring(pg_get_constraintdef(oid) FROM '\\d+') AS bigint)
    FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :name
""")
_DEFAULT = text("""
    SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute
    ON attrelid = adrelid AND attnum = adnum
    WHERE adrelid = to_regclass(:table) AND attname = 'id'
""")
_SEQUENCE = text("SELECT pg_get_serial_sequence(:table, 'id')")
_INDEXES = text("""
    SELECT relname, pg_get_indexdef(indexrelid), pg_get_constraintdef(pg_constraint.oid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    LEFT JOIN pg_constraint ON conindid = indexrelid AND contype IN ('p', 'u')
    WHERE indrelid = to_regclass(:table) ORDER BY relname
""")
_TRIGGERS = text("""
    SELECT pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal ORDER BY tgname
""")
_VIEWS = text("""
    SELECT DISTINCT CAST(CAST(ev_class AS regclass) AS text), pg_get_viewdef(ev_class)
    FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
    JOIN pg_class ON pg_class.oid = ev_class
    WHERE classid = CAST('pg_rewrite' AS regclass) AND refclassid = CAST('pg_class' AS regclass)
    AND refobjid = to_regclass(:table) AND ev_class <> refobjid
""")
_GRANTS = text("""
    SELECT format('GRANT %s ON %s TO %s%s', privilege_type, CAST(:table AS text),
                  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class CROSS JOIN aclexplode(relacl)
    WHERE pg_class.oid = to_regclass(:table) AND grantee <> relowner
    UNION ALL
    SELECT format('ALTER TABLE %s OWNER TO %s', CAST(:table AS text),
                  quote_ident(pg_get_userbyid(relowner)))
    FROM pg_class WHERE pg_class.oid = to_regclass(:table)
    AND pg_get_userbyid(relowner) <> current_user
""")
_OBSTACLES = text("""
    SELECT 'foreign key ' || conname || ' leads to it' FROM pg_constraint
    WHERE contype = 'f' AND confrelid = to_regclass(:table)
    UNION ALL
    SELECT 'policy ' || polname || ' would be lost' FROM pg_policy
    WHERE polrelid = to_regclass(:table)
    UNION ALL
    SELECT 'publication ' || pubname || ' names it' FROM pg_publication_rel
    JOIN pg_publication ON pg_publication.oid = prpubid WHERE prrelid = to_regclass(:table)
    UNION ALL
    SELECT 'column ' || attname || ' has privileges of its own' FROM pg_attribute
    WHERE attrelid = to_regclass(:table) AND attacl IS NOT NULL
    UNION ALL
    SELECT pg_describe_object(CAST('pg_class' AS regclass), ev_class, 0) || ' depends on '
        || pg_describe_object(refclassid, refobjid, 0)
    FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
    WHERE classid = CAST('pg_rewrite' AS regclass) AND refclassid = CAST('pg_class' AS regclass)
    AND ev_class <> refobjid AND refobjid IN (
        SELECT ev_class FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
        WHERE classid = CAST('pg_rewrite' AS regclass) AND refobjid = to_regclass(:table))
    UNION ALL
    SELECT 'materialized view ' || CAST(CAST(ev_class AS regclass) AS text) || ' depends on it'
    FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
    JOIN pg_class ON pg_class.oid = ev_class
    WHERE classid = CAST('pg_rewrite' AS regclass) AND refobjid = to_regclass(:table)
    AND relkind = 'm'
""")


def partition(
    connection: Connection, table: str, *, dry_run_keys: str, rows: int = ROWS_PER_PARTITION
) -> None:
    """Partition a plain table by its key `id`, with partitions of so many keys.

    `dry_run_keys` is the sequence in the key's default value whose keys are beyond all others: they
    are those of rows that are rolled back. The connection is in autocommit.

    Raises:
        MigrationRefused: something depends on the table that cannot be kept, or others hold it all
            the time.
    """
    if connection.scalar(_KIND, {"table": table}):
        return
    if reasons := _obstacles(connection, table):
        raise MigrationRefused(
            f"{table} cannot be partitioned while it is in use: {'; '.join(reasons)}"
        )
    upper = _bounded(connection, table, dry_run_keys, rows)
    connection.exec_driver_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {_bound_name(table)}")
    with transaction(connection, *_views(connection, table), table):
        _swap(connection, table, dry_run_keys, upper, rows)
    connection.exec_driver_sql(f"ANALYZE {table}")


def merge(connection: Connection, table: str) -> None:
    """Make a partitioned table a plain one again: its first partition, with the rows of all others.

    Nobody else can use the table meanwhile. The connection is in autocommit.
    """
    if not connection.scalar(_KIND, {"table": table}):
        return
    with transaction(connection, *_views(connection, table), table):
        found = [each.name for each in partitions_of(connection, table)]
        plain = [*found, default_of(table)][0]
        definition = _Definition.of(connection, table)
        definition.drop_views(connection)
        _run(
            connection,
            f"ALTER TABLE {table} DETACH PARTITION {plain}",
            f"INSERT INTO {plain} ({definition.columns}) SELECT {definition.columns} FROM {table}",  # noqa: S608
            f"ALTER SEQUENCE {definition.sequence} OWNED BY {plain}.id",
            f"DROP TABLE {table}",
            f"ALTER TABLE {plain} RENAME TO {table}",
            *(
                f"ALTER INDEX {index_name(table, plain, name)} RENAME TO {name}"
                for name, _, _ in definition.indexes
            ),
            *definition.grants,
        )
        definition.create_views(connection)


@dataclass(frozen=True, slots=True)
class _Definition:
    """What a table has beside its columns and CHECKs; `views` have their texts and grants."""

    columns: str
    default: str
    sequence: str
    indexes: Sequence[tuple[str, str, str | None]]
    triggers: Sequence[str]
    grants: Sequence[str]
    views: Mapping[str, tuple[str, Sequence[str]]]

    @classmethod
    def of(cls, connection: Connection, table: str) -> _Definition:
        def rows(query: Any, of: str = table) -> list[Any]:
            return list(connection.execute(query, {"table": of}))

        return cls(
            columns=", ".join(_columns(connection, table)),
            default=connection.scalar(_DEFAULT, {"table": table}) or "NULL",
            sequence=connection.scalar(_SEQUENCE, {"table": table}) or "",
            indexes=[tuple(row) for row in rows(_INDEXES)],
            triggers=[definition for (definition,) in rows(_TRIGGERS)],
            grants=[grant for (grant,) in rows(_GRANTS)],
            views={
                name: (query, [grant for (grant,) in rows(_GRANTS, name)])
                for name, query in rows(_VIEWS)
            },
        )

    def drop_views(self, connection: Connection) -> None:
        _run(connection, *(f"DROP VIEW {name}" for name in self.views))

    def create_views(self, connection: Connection) -> None:
        for name, (query, grants) in self.views.items():
            _run(connection, f"CREATE VIEW {name} AS {query}", *grants)


def _bounded(connection: Connection, table: str, dry_run_keys: str, rows: int) -> int:
    """Bound the keys of the table; return the end of its range as a first partition.

    Until the table is partitioned, dry runs take their keys from the end of the range.
    """
    name = _bound_name(table)
    found = connection.execute(_BOUND, {"table": table, "name": name}).one_or_none()
    if found is not None:
        upper: int = found[1]
        return upper
    with transaction(connection, table):
        last = last_key(connection, table)
        upper = (last // rows + 1) * rows
        if last > 0 and upper - last < rows // 2:
            upper += rows
        default = connection.scalar(_DEFAULT, {"table": table}) or "NULL"
        _run(
            connection,
            f"CREATE SEQUENCE {name} MINVALUE {upper - rows // 4} MAXVALUE {upper - 1} CYCLE",
            f"ALTER TABLE {table} ALTER id SET DEFAULT"
            " " + default.replace(f"'{dry_run_keys}'", f"'{name}'"),
            f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (id < {upper}) NOT VALID",
        )
    return upper


def _swap(connection: Connection, table: str, dry_run_keys: str, upper: int, rows: int) -> None:
    first, bound = first_of(table), _bound_name(table)
    definition = _Definition.of(connection, table)
    definition.drop_views(connection)
    default = definition.default.replace(f"'{bound}'", f"'{dry_run_keys}'")
    _run(
        connection,
        f"ALTER TABLE {table} ALTER id SET DEFAULT {default}",
        f"DROP SEQUENCE {bound}",
        f"ALTER TABLE {table} RENAME TO {first}",
        *(
            f"ALTER INDEX {name} RENAME TO {index_name(table, first, name)}"
            for name, _, _ in definition.indexes
        ),
        f"CREATE TABLE {table} (LIKE {first} INCLUDING ALL EXCLUDING INDEXES)"
        " PARTITION BY RANGE (id)",
        f"ALTER TABLE {table} DROP CONSTRAINT {bound}",
        f"ALTER SEQUENCE {definition.sequence} OWNED BY {table}.id",
        *(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} {constraint}" if constraint else index
            for name, index, constraint in definition.indexes
        ),
        *definition.triggers,
        f"ALTER TABLE {table} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ({upper})",
        f"ALTER TABLE {first} DROP CONSTRAINT {bound}",
        *definition.grants,
    )
    add_default(connection, table)
    add_ahead(connection, table, rows)
    definition.create_views(connection)


def _bound_name(table: str) -> str:
    return f"{table}_bound"


def _columns(connection: Connection, table: str) -> list[str]:
    names = text(
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = to_regclass(:table)"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    return list(connection.scalars(names, {"table": table}))


def _views(connection: Connection, table: str) -> list[str]:
    """The views of the table. Whoever reads one has locked it before the table."""
    return [name for name, _ in connection.execute(_VIEWS, {"table": table})]


def _obstacles(connection: Connection, table: str) -> list[str]:
    return list(connection.scalars(_OBSTACLES, {"table": table}))


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
