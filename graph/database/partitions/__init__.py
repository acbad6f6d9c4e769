"""A table that is partitioned by ranges of its key `id`, such as a log.

    events                        the table itself, without rows
    events_from_0                 keys below 10,000,000
    events_from_10000000          and so on; one partition that is still empty is kept ahead
    events_other                  the DEFAULT partition: keys beyond all ranges

No INSERT fails for want of a partition: what no range takes goes to the default one. That is so for
dry runs, whose keys are beyond all others and are rolled back, and where nobody made partitions
ahead for too long. Each partition has the table's own triggers of statements, which guard a
partition that is named directly as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import event, text

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

# An event takes some 230 bytes: a partition takes 2 to 4 GB with its indexes.
ROWS_PER_PARTITION = 10_000_000

_PARTITIONS = text("""
    SELECT relname, pg_get_expr(relpartbound, pg_class.oid)
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = to_regclass(:table) AND relpartbound IS NOT NULL
""")
_BOUNDS = re.compile(r"FROM \((?:MINVALUE|'(-?\d+)')\) TO \('(\d+)'\)")
_STATEMENT_TRIGGERS = text("""
    SELECT pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal AND tgtype & 1 = 0 ORDER BY tgname
""")
_ON_TABLE = re.compile(r" ON \S+ (?=FOR EACH|REFERENCING)")
_INDEXES = text("""
    SELECT part.relname, whole.relname
    FROM pg_index JOIN pg_class AS part ON part.oid = indexrelid
    JOIN pg_inherits ON inhrelid = indexrelid JOIN pg_class AS whole ON whole.oid = inhparent
    WHERE indrelid = to_regclass(:table)
""")
_LAST_KEY = text("""
    SELECT coalesce(pg_sequence_last_value(to_regclass(pg_get_serial_sequence(:table, 'id'))), 0)
""")


@dataclass(frozen=True, slots=True)
class Partition:
    """The keys from `lower` on and below `upper`; a first partition has no lower bound."""

    name: str
    lower: int | None
    upper: int


def partitions_of(connection: Connection, table: str) -> list[Partition]:
    """The partitions with bounds, in the order of their keys."""
    found = []
    for name, bounds in connection.execute(_PARTITIONS, {"table": table}):
        if match := _BOUNDS.search(bounds):
            lower, upper = match.groups()
            found.append(Partition(name, None if lower is None else int(lower), int(upper)))
    return sorted(found, key=lambda partition: partition.upper)


def default_of(table: str) -> str:
    return f"{table}_other"


def first_of(table: str) -> str:
    return f"{table}_from_0"


def add_default(connection: Connection, table: str) -> None:
    """Add the partition of all keys that no other takes."""
    _add(connection, table, default_of(table), "DEFAULT")


def add_partition(connection: Connection, table: str, lower: int | None, upper: int) -> None:
    """Add an empty partition; the default one must not have such keys.

    It locks the default partition, and lets others write to the rest.
    """
    name = first_of(table) if lower is None else f"{table}_from_{lower}"
    bound = "MINVALUE" if lower is None else str(lower)
    _add(connection, table, name, f"FOR VALUES FROM ({bound}) TO ({upper})")


def add_ahead(
    connection: Connection, table: str, rows_per_partition: int = ROWS_PER_PARTITION
) -> list[str]:
    """Add what is missing until an empty partition is ahead; return the names of new ones.

    Where keys have gone beyond all partitions, the next one begins above them: their rows stay in
    the default partition.
    """
    last = last_key(connection, table)
    found = partitions_of(connection, table)
    top = found[-1].upper if found else 0
    if is_late := last >= top:
        # Others write meanwhile: none of their keys reaches the second boundary from here.
        top = (last // rows_per_partition + 2) * rows_per_partition
    added: list[str] = []
    while top <= last + rows_per_partition or (is_late and not added):
        add_partition(connection, table, top, top + rows_per_partition)
        added.append(f"{table}_from_{top}")
        top += rows_per_partition
    return added


def last_key(connection: Connection, table: str) -> int:
    """The last key that was given away; 0 if there was none."""
    return connection.scalar(_LAST_KEY, {"table": table}) or 0


def add_first(connection: Connection, table: str) -> None:
    """Make an empty table's partitions those that a new table has."""
    found = partitions_of(connection, table)
    if found and found[0].lower is None:
        return
    for each in found:
        connection.exec_driver_sql(f"DROP TABLE {each.name}")
    add_partition(connection, table, None, ROWS_PER_PARTITION)
    add_ahead(connection, table)


def create_with(metadata: MetaData, table: str) -> None:
    """Let `create_all` create the first partitions as well; triggers of the table come before."""

    def create(_target: MetaData, connection: Connection, **_options: object) -> None:
        add_default(connection, table)
        add_first(connection, table)

    event.listen(metadata, "after_create", create)


def index_name(table: str, partition: str, index: str) -> str:
    """The name of a partition's index, after that of the table's index."""
    return f"{partition}_{index.removeprefix(table).lstrip('_')}"


def _add(connection: Connection, table: str, name: str, bounds: str) -> None:
    # The table's indexes are built with ATTACH, which finds no rows yet.
    connection.exec_driver_sql(
        f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL EXCLUDING INDEXES)"
    )
    for trigger in list(connection.scalars(_STATEMENT_TRIGGERS, {"table": table})):
        connection.exec_driver_sql(_ON_TABLE.sub(f" ON {name} ", trigger, count=1))
    connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} {bounds}")
    for given, whole in list(connection.execute(_INDEXES, {"table": name})):
        wanted = index_name(table, name, whole)
        if given != wanted:
            connection.exec_driver_sql(f"ALTER INDEX {given} RENAME TO {wanted}")
