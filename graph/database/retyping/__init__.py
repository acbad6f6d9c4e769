"""Change the type of columns while others read and write the table.

ALTER COLUMN ... TYPE writes a whole table and its indexes anew, and nobody may even read it
meanwhile. A table that is small is changed so. A large one goes through these steps:

    begin    a column of the new type beside each old one, kept equal by a trigger
    fill     what the rows have already, batch by batch, each its own transaction
    check    that no row is left, where the old column is NOT NULL
    index    the old columns' indexes, built again CONCURRENTLY for the new ones
    refer    the foreign keys from and to them, added NOT VALID and then validated
    swap     the new foreign keys take the places of the old ones, and then the new columns,
             with the default values and sequences: one transaction of catalog changes each

Whoever uses the table waits for a few catalog changes at most, some times.
A lock that is not had within a quarter of a second is given up, and tried again later (`locks`), so
nobody queues behind it. Each step looks into the catalog for what is there already (`catalog`): a
run that was interrupted is run again, and goes on where it ended.

The new columns come last in their table. A row keeps the four or eight bytes of each old column
until it is next written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import text

from graph.database.retyping import catalog
from graph.database.retyping.locks import brief_waits, patiently, settings, transaction
from graph.errors import MigrationRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from graph.database.retyping.catalog import ForeignKey, Index, OldColumn

__all__ = ["change_types", "patiently", "transaction"]

logger = logging.getLogger(__name__)

# So much is written anew in less than a tenth of a second.
SMALL_BYTES = 1 << 20
# The rows of a batch are locked until it ends: less than a tenth of a second.
_BATCH_ROWS = 1_000
_LEAST_KEY = -(2**63)


def change_types(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    type_: str,
    *,
    while_filling: Mapping[str, str],
) -> None:
    """Give integer columns of a table the type `bigint` or `integer`, and their sequences too.

    The connection is in autocommit. Filling updates every row once: `while_filling` are settings
    of the session by which the table's own triggers know to do nothing about it.

    Raises:
        MigrationRefused: something depends on the columns that cannot be kept; values that the
            type cannot hold; others hold the table all the time.
    """
    found = catalog.old_columns(connection, table, columns, type_)
    if not found:
        return
    _refuse_values_beyond(connection, table, found, type_)
    change = _Change(connection, table, found, type_)
    tables = {table, *(key.table for key in change.foreign_keys)}
    small = all(catalog.bytes_of(connection, each) <= SMALL_BYTES for each in tables)
    if small and not change.has_begun():
        change.rewrite()
    else:
        change.online(dict(while_filling))


def _refuse_values_beyond(
    connection: Connection, table: str, columns: Sequence[OldColumn], type_: str
) -> None:
    if type_ != "integer":
        return
    for column in columns:
        numbers = [f"(SELECT max({column.name}) FROM {table})"]  # noqa: S608
        if column.sequence is not None:
            numbers.append(f"(SELECT last_value FROM {column.sequence})")  # noqa: S608
        most = connection.scalar(text(f"SELECT greatest({', '.join(numbers)})"))
        if most is not None and most >= 2**31:
            raise MigrationRefused(f"{table}.{column.name} has come to {most}: no integer holds it")


@dataclass(slots=True)
class _Change:
    """One table on its way; its indexes and foreign keys are read before anything changes."""

    connection: Connection
    table: str
    columns: list[OldColumn]
    type: str
    indexes: list[Index] = field(init=False)
    foreign_keys: list[ForeignKey] = field(init=False)

    def __post_init__(self) -> None:
        self.indexes = catalog.indexes(self.connection, self.table, self.names)
        self.foreign_keys = catalog.foreign_keys(self.connection, self.table, self.names)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def has_begun(self) -> bool:
        return catalog.has_column(self.connection, self.table, self.columns[0].new)

    def rewrite(self) -> None:
        """Change a small table in place."""
        changes = ", ".join(f"ALTER {column} TYPE {self.type}" for column in self.names)
        with transaction(self.connection, *self._neighbours()):
            self._run(f"ALTER TABLE {self.table} {changes}")
            for column in self.columns:
                if column.sequence is not None:
                    self._run(f"ALTER SEQUENCE {column.sequence} AS {self.type}")
            self._compile_triggers_anew()

    def online(self, while_filling: dict[str, str]) -> None:
        """Change a table that others use."""
        if reasons := catalog.obstacles(self.connection, self.table, self.names):
            raise MigrationRefused(
                f"{self.table} ({', '.join(self.names)}) cannot become {self.type} while it is"
                f" in use: {'; '.join(reasons)}"
            )
        logger.info("%s: %s become %s", self.table, ", ".join(self.names), self.type)
        if not self.has_begun():
            self._begin()
        with settings(self.connection, brief_waits(self.connection) | while_filling):
            self._fill()
        self._check_filled()
        self._index()
        self._refer()
        self._run(f"VACUUM (ANALYZE, TRUNCATE false) {self.table}")
        self._swap_foreign_keys()
        self._swap()

    def _begin(self) -> None:
        table, function = self.table, f"{self.table}{catalog.SUFFIX}"
        with transaction(self.connection, table):
            for column in self.columns:
                self._run(f"ALTER TABLE {table} ADD {column.new} {self.type}")
                if column.not_null:
                    self._run(
                        f"ALTER TABLE {table} ADD CONSTRAINT {column.new}"
                        f" CHECK ({column.new} IS NOT NULL) NOT VALID"
                    )
            equal = " ".join(f"NEW.{each.new} := NEW.{each.name};" for each in self.columns)
            self._run(
                f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql"
                f" AS $$ BEGIN {equal} RETURN NEW; END $$"
            )
            # Triggers run in the order of their names: this one sees what others have made.
            self._run(
                f"CREATE TRIGGER zz{catalog.SUFFIX} BEFORE INSERT OR UPDATE ON {table}"
                f" FOR EACH ROW EXECUTE FUNCTION {function}()"
            )

    def _fill(self) -> None:
        key = catalog.primary_key(self.connection, self.table)
        last = self.connection.scalar(text(f"SELECT max({key}) FROM {self.table}"))  # noqa: S608
        next_batch = text(
            f"SELECT max({key}) FROM (SELECT {key} FROM {self.table}"  # noqa: S608
            f" WHERE {key} > CAST(:after AS bigint) ORDER BY {key} LIMIT {_BATCH_ROWS}) AS batch"
        )
        sets = ", ".join(f"{column.new} = {column.name}" for column in self.columns)
        differ = " OR ".join(
            f"{column.new} IS DISTINCT FROM {column.name}" for column in self.columns
        )
        fill = text(
            f"UPDATE {self.table} SET {sets}"  # noqa: S608
            f" WHERE {key} > CAST(:after AS bigint) AND {key} <= CAST(:to AS bigint) AND ({differ})"
        )
        after = _LEAST_KEY
        while last is not None and after < last:
            batch = {"after": after, "to": self.connection.scalar(next_batch, {"after": after})}
            if batch["to"] is None:  # the last rows have been deleted meanwhile
                break
            patiently(
                self.connection,
                lambda batch=batch: self.connection.execute(fill, batch),  # type: ignore[misc]
                what=self.table,
            )
            after = batch["to"]

    def _check_filled(self) -> None:
        for column in self.columns:
            if column.not_null and not self._has_valid(self.table, column.new):
                self._run(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {column.new}")

    def _index(self) -> None:
        for index in self.indexes:
            valid = catalog.index_is_valid(self.connection, index.new)
            if valid is False:
                self._run(f"DROP INDEX CONCURRENTLY {index.new}")
            if not valid:
                self._run(index.create_new(self.names))

    def _refer(self) -> None:
        for key in self.foreign_keys:
            valid = self._has_valid(key.table, key.new)
            if valid is None:
                definition = key.new_definition(self.table, self.names)
                both = dict.fromkeys((key.referenced, key.table))
                with transaction(self.connection, *both, mode="SHARE ROW EXCLUSIVE"):
                    self._run(
                        f"ALTER TABLE {key.table} ADD CONSTRAINT {key.new} {definition} NOT VALID"
                    )
            if not valid:
                self._run(f"ALTER TABLE {key.table} VALIDATE CONSTRAINT {key.new}")

    def _swap_foreign_keys(self) -> None:
        """Leave it to the new ones: each is two tables' affair, and the rest the table's own."""
        for key in self.foreign_keys:
            with transaction(self.connection, *dict.fromkeys((key.referenced, key.table))):
                self._run(f"ALTER TABLE {key.table} DROP CONSTRAINT {key.name}")
                self._run(f"ALTER TABLE {key.table} RENAME CONSTRAINT {key.new} TO {key.name}")

    def _swap(self) -> None:
        table = self.table
        with transaction(self.connection, table):
            self._run(f"DROP TRIGGER zz{catalog.SUFFIX} ON {table}")
            self._run(f"DROP FUNCTION {table}{catalog.SUFFIX}()")
            for column in self.columns:
                self._swap_column(column)
            for index in self.indexes:
                if index.constraint is None:
                    self._run(f"ALTER INDEX {index.new} RENAME TO {index.name}")
                else:
                    self._run(
                        f"ALTER TABLE {table} ADD CONSTRAINT {index.name}"
                        f" {index.constraint} USING INDEX {index.new}"
                    )
            self._compile_triggers_anew()

    def _swap_column(self, column: OldColumn) -> None:
        """Put the new column in the old one's place; the indexes of the old one go with it."""
        table, name = self.table, column.name
        if column.sequence is not None:
            self._run(f"ALTER SEQUENCE {column.sequence} AS {self.type} OWNED BY NONE")
        self._run(f"ALTER TABLE {table} DROP {name}")
        self._run(f"ALTER TABLE {table} RENAME {column.new} TO {name}")
        if column.default is not None:
            self._run(f"ALTER TABLE {table} ALTER {name} SET DEFAULT {column.default}")
        if column.not_null:  # proved by the CHECK: the rows are not read again
            self._run(f"ALTER TABLE {table} ALTER {name} SET NOT NULL")
            self._run(f"ALTER TABLE {table} DROP CONSTRAINT {column.new}")
        if column.sequence is not None:
            self._run(f"ALTER SEQUENCE {column.sequence} OWNED BY {table}.{name}")

    def _compile_triggers_anew(self) -> None:
        """A session would go on with what it has compiled for the rows as they were."""
        for definition in catalog.trigger_functions(self.connection, self.table):
            self._run(definition)

    def _neighbours(self) -> list[str]:
        """The table, and those that foreign keys lead to or come from."""
        both = [(key.referenced, key.table) for key in self.foreign_keys]
        return list(dict.fromkeys([self.table, *(table for pair in both for table in pair)]))

    def _has_valid(self, table: str, constraint: str) -> bool | None:
        return catalog.constraint_is_valid(self.connection, table, constraint)

    def _run(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement)
