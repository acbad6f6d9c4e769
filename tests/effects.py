"""What a migration does to a database in use, measured: `graph.database.effects` has the words.

It runs on tables without rows. After each of its statements, `pg_locks` has the locks that its
transaction holds, and the catalog shows what had to read or write all rows: a new file of a table,
an index, a constraint that has become valid. A statement that would be a transaction of its own is
put into one, so that its locks can be seen. One that cannot be in any (CONCURRENTLY, VACUUM) locks
its table in SHARE UPDATE EXCLUSIVE mode, as PostgreSQL's manual says.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from graph.database.migrate import _run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from graph.database.revisions import Chain

# By strength. Readers, and writers of other rows, pass the first three.
MODES = (
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
HARMLESS = MODES[:3]
_OUTSIDE = re.compile(
    r"\s*(?:(?:CREATE|DROP)\s+(?:UNIQUE\s+)?INDEX CONCURRENTLY.*?(?: ON (?P<built>\w+)|$)"
    r"|VACUUM.*? (?P<vacuumed>\w+)$)",
    re.DOTALL,
)
_CONTROL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SET|RESET|SELECT|LOCK)\b")
_OWN = ("alembic_version", "engine_version", "applied_migrations")

_TABLES = """
    SELECT c.oid, relname, coalesce(pg_relation_filenode(c.oid), 0),
           (SELECT count(*) FROM pg_inherits WHERE inhrelid = c.oid) > 0
    FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
"""
_COLUMNS = """
    SELECT attrelid, attnum, attname, attnotnull, atttypid, atthasdef OR attidentity <> ''
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
    AND attnum > 0 AND NOT attisdropped
"""
_CONSTRAINTS = """
    SELECT oid, conrelid, convalidated, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE contype IN ('c', 'f') AND conrelid <> 0
"""
_INDEXES = "SELECT indexrelid, indrelid FROM pg_index"
_HELD = """
    SELECT relation, mode FROM pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
"""


@dataclass
class State:
    """The catalog at one moment; tables by their oid."""

    tables: dict[int, str]
    files: dict[int, int]
    partitions: set[int]
    columns: dict[tuple[int, int], tuple[str, bool, int, bool]]
    constraints: dict[int, tuple[int, bool, str]]
    indexes: dict[int, int]

    @classmethod
    def of(cls, query: Any) -> State:
        tables = [row for row in query(_TABLES) if row[1] not in _OWN]
        known = {row[0] for row in tables}
        return cls(
            {oid: name for oid, name, _, _ in tables},
            {oid: file for oid, _, file, _ in tables},
            {oid for oid, _, _, is_partition in tables if is_partition},
            {(row[0], row[1]): tuple(row[2:]) for row in query(_COLUMNS) if row[0] in known},
            {row[0]: tuple(row[1:]) for row in query(_CONSTRAINTS) if row[1] in known},
            {row[0]: row[1] for row in query(_INDEXES) if row[1] in known},
        )

    def names(self) -> set[str]:
        """Each table, and each column as `table.column`; partitions are part of their table."""
        whole = {name for oid, name in self.tables.items() if oid not in self.partitions}
        columns = {
            f"{self.tables[oid]}.{column[0]}"
            for (oid, _), column in self.columns.items()
            if oid not in self.partitions
        }
        return whole | columns


@dataclass
class Measured:
    locks: dict[str, str] = field(default_factory=dict)
    # Tables and columns whose rows are lost.
    drops: tuple[str, ...] = ()
    # Why code from before the migration does not work after it.
    breaks: tuple[str, ...] = ()

    def slow(self) -> list[str]:
        """Tables that others cannot use, or not change, for as long as all rows take."""
        return [table for table, lock in self.locks.items() if ", " in lock]


def measure(connection: Connection, chain: Chain, to: str) -> Measured:
    """Apply or undo migrations, one as a rule; return what they did."""
    connection.rollback()
    observer = _Observer(State.of(_query(connection)))
    connection.rollback()
    with _listening(connection, observer):
        _run(connection, chain, to)
    after = State.of(_query(connection))
    connection.rollback()
    return Measured(observer.locks(), _drops(observer.start, after), _breaks(observer.start, after))


class _Observer:
    def __init__(self, start: State) -> None:
        self.start = start
        self.before = start
        self.modes: dict[int, str] = {}
        self.work: dict[int, str] = {}

    def saw(self, state: State, held: dict[int, str]) -> None:
        for oid, mode in held.items():
            self.modes[oid] = max(self.modes.get(oid, MODES[0]), mode, key=MODES.index)
            if mode not in HARMLESS and oid in state.tables:
                self._saw_work(oid, state)
        self.before = state

    def locks(self) -> dict[str, str]:
        """By table that existed: the strongest lock, and what had to be done with all rows."""
        roots = {self.start.tables[oid]: oid for oid in self.modes if oid in self.start.tables}
        return {
            table: f"{self.modes[oid]}{self.work.get(oid, '')}"
            for table, oid in sorted(roots.items())
            if oid not in self.start.partitions
        }

    def _saw_work(self, oid: int, state: State) -> None:
        if state.files[oid] != self.before.files.get(oid):
            self.work[oid] = ", writes all rows"
        elif self._has_read(oid, state):
            self.work.setdefault(oid, ", reads all rows")

    def _has_read(self, oid: int, state: State) -> bool:
        indexes = {key for key, table in state.indexes.items() if table == oid}
        valid = _valid(state, oid).keys() - _valid(self.before, oid).keys()
        proofs = set(_valid(self.before, oid).values())
        unproven = [
            name
            for (table, number), (name, not_null, _, _) in state.columns.items()
            if table == oid
            and not_null
            and (was := self.before.columns.get((table, number))) is not None
            and not was[1]
            and f"CHECK (({name} IS NOT NULL))" not in proofs
        ]
        return bool(indexes - self.before.indexes.keys() or valid or unproven)


def _valid(state: State, oid: int) -> dict[int, str]:
    return {
        key: definition
        for key, (table, valid, definition) in state.constraints.items()
        if table == oid and valid
    }


@contextmanager
def _listening(connection: Connection, observer: _Observer) -> Iterator[None]:
    wrapped = False

    def before(conn: Connection, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal wrapped
        is_autocommit = conn.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        alone = is_autocommit and not conn.connection.driver_connection.is_in_transaction()  # type: ignore[union-attr]
        wrapped = alone and not (_OUTSIDE.match(statement) or _CONTROL.match(statement))
        if wrapped:
            cursor.execute("BEGIN")

    def after(conn: Connection, cursor: Any, statement: str, *_: Any) -> None:
        query = _query(conn)
        held: dict[int, str] = {}
        for oid, mode in query(_HELD):
            spelled = re.sub(r"(?<!^)(?=[A-Z])", " ", mode.removesuffix("Lock")).upper()
            if spelled in MODES:
                held[oid] = max(held.get(oid, MODES[0]), spelled, key=MODES.index)
        if outside := _OUTSIDE.match(statement):
            names = {name: oid for oid, name in observer.start.tables.items()}
            table = names.get(outside["built"] or outside["vacuumed"] or "")
            held |= {table: "SHARE UPDATE EXCLUSIVE"} if table else {}
        if not statement.lstrip().startswith(("COMMIT", "ROLLBACK")):
            observer.saw(State.of(query), held)
        if wrapped:
            cursor.execute("COMMIT")

    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", before)
        event.remove(connection, "after_cursor_execute", after)


def _query(connection: Connection) -> Any:
    """Queries past the events of SQLAlchemy."""

    def query(statement: str) -> Any:
        cursor = connection.connection.cursor()
        try:
            cursor.execute(statement)
            return cursor.fetchall()
        finally:
            cursor.close()

    return query


def _drops(start: State, after: State) -> tuple[str, ...]:
    kept = after.names()
    names = start.names()
    tables = {name for name in names if "." not in name} - kept
    renamed = {name for oid, name in start.tables.items() if oid in after.tables}
    columns = {
        f"{start.tables[oid]}.{column[0]}"
        for (oid, number), column in start.columns.items()
        if (oid, number) not in after.columns and start.tables[oid] not in tables
        if oid not in start.partitions
    } - kept
    return tuple(sorted((tables - renamed) | columns))


def _breaks(start: State, after: State) -> tuple[str, ...]:
    gone = [f"{name} is gone" for name in sorted(start.names() - after.names())]
    types = {(oid, name): type_ for (oid, _), (name, _, type_, _) in start.columns.items()}
    new = []
    for (oid, _), (name, not_null, type_, has_default) in after.columns.items():
        where = f"{start.tables.get(oid)}.{name}"
        if oid in start.tables and (oid, name) not in types and not_null and not has_default:
            new.append(f"{where} is NOT NULL and has no default")
        if types.get((oid, name), type_) != type_:
            new.append(f"{where} has another type")
    return (*gone, *sorted(new))
