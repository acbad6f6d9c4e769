"""Imports a file in batches.

Each batch is a transaction that merges its rows and also says how far it has come, so an import
that was interrupted goes on where it ended, and no row is read twice. What is refused goes to side
files, whose length is part of what is said: what stands beyond it is of a batch that was lost.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from graph.database.transaction import RetryableConflict, transaction
from graph.database.transfer.files import Source
from graph.database.transfer.refused import RefusedRows, check_apart
from graph.database.transfer.rows import staged
from graph.errors import DomainError, FileProblemCode, Problem, ProblemCode, TransferFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from graph.database.engine import Database
    from graph.database.transaction import Transaction
    from graph.database.transfer.files import Format, Record
    from graph.database.transfer.rows import Entity

STANDARD_INPUT = Path("-")

_BATCH_ROWS = 10_000
_BATCH_BYTES = 8 * 1_048_576
_SAMPLED_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import has come: bytes and rows of the file, and what became of the rows.

    `superseded` are those that a later row of the same batch has replaced.
    """

    position: int = 0
    rows: int = 0
    added: int = 0
    changed: int = 0
    superseded: int = 0
    refused: int = 0
    refused_bytes: int = 0

    @property
    def unchanged(self) -> int:
        """Rows that the store had already, as they are in the file."""
        return self.rows - self.added - self.changed - self.superseded - self.refused


_COUNTS = ("added", "changed", "superseded")
_COLUMNS = [column.name for column in fields(Progress)]

_BEGIN = f"""
    INSERT INTO imports (source, position, rows, refused, refused_bytes) VALUES ($1, 0, 0, 0, 0)
    ON CONFLICT (source) DO UPDATE SET source = excluded.source
    RETURNING {", ".join(_COLUMNS)}
"""  # noqa: S608  all of it is ours
_GO_ON = f"""
    UPDATE imports SET ({", ".join(_COLUMNS)})
        = ROW({", ".join(f"${nth}::bigint" for nth in range(3, 3 + len(_COLUMNS)))})
    WHERE source = $1 AND position = $2 RETURNING 1
"""  # noqa: S608
_END = "DELETE FROM imports WHERE source = $1"


async def import_file(
    database: Database,
    path: Path,
    into: str,
    entity: Entity,
    format_: Format,
    *,
    bad_rows: Path,
    progress: Callable[[int, int], None],
    batch_rows: int = _BATCH_ROWS,
) -> Progress:
    """Merge the rows of a file into an entity; resume an earlier import of the same file.

    `progress` is called with the bytes read and the total.

    Raises:
        TransferFailed: the file cannot be read, has a column that the entity lacks, or is imported
            by another process; the side files cannot be written, or one of them is the file.
    """
    with _seekable(path) as file:
        check_apart(file, bad_rows)
        read = Source(file, format_)
        _check_columns(read, into, entity)
        identity, size = _identity(file, into)
        async with transaction(database) as tx:
            done = Progress(**await tx.first(_BEGIN, identity))
            await tx.commit()
        with RefusedRows(read, bad_rows) as refused:
            refused.go_on(rows=done.refused, size=done.refused_bytes)
            progress(done.position, size)
            records = read.records(offset=done.position, number=done.rows)
            for batch in _batches(records, batch_rows):
                done = await _committed(
                    database, entity, batch, done, refused=refused, identity=identity
                )
                progress(done.position, size)
            async with transaction(database) as tx:
                await tx.fetch(_END, identity)
                await tx.commit()
    return done


def _check_columns(read: Source, into: str, entity: Entity) -> None:
    for name in read.columns:
        if name not in entity.fields:
            raise TransferFailed(f"the head line has the column '{name}', which {into} do not have")


@contextmanager
def _seekable(path: Path) -> Iterator[IO[bytes]]:
    """A file open for reading. A pipe is copied to a temporary file, as parts are read twice."""
    try:
        with sys.stdin.buffer if path == STANDARD_INPUT else path.open("rb") as file:
            if file.seekable():
                yield file
                return
            with TemporaryFile() as copy:
                shutil.copyfileobj(file, copy)
                yield copy
    except OSError as error:
        raise TransferFailed(f"{path} cannot be read: {error.strerror}") from error


def _batches(records: Iterator[Record], most_rows: int) -> Iterator[list[Record]]:
    """As many records as memory has room for."""
    batch: list[Record] = []
    begins_at = 0
    for record in records:
        begins_at = begins_at if batch else record.starts_at
        batch.append(record)
        if len(batch) == most_rows or record.ends_at - begins_at >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


async def _committed(
    database: Database,
    entity: Entity,
    batch: Sequence[Record],
    before: Progress,
    *,
    refused: RefusedRows,
    identity: str,
) -> Progress:
    """Merge one batch and commit; return the progress after it."""
    try:
        async with transaction(database) as tx:
            wrong, counts = await _merge(tx, entity, batch)
            after = Progress(
                position=batch[-1].ends_at,
                rows=before.rows + len(batch),
                refused=before.refused + len(wrong),
                refused_bytes=refused.add(batch, wrong),
                **{name: getattr(before, name) + counts[name] for name in _COUNTS},
            )
            if not await tx.fetch(_GO_ON, identity, before.position, *asdict(after).values()):
                raise TransferFailed("another process imports the same file")
            await tx.commit()
    except (RetryableConflict, DomainError) as error:
        raise TransferFailed(
            f"others were changing the same rows at row {before.rows + 1:,};"
            " what came before is in the store: run it again to go on"
        ) from error
    return after


async def _merge(
    tx: Transaction, entity: Entity, batch: Sequence[Record]
) -> tuple[dict[int, list[Problem]], dict[str, int]]:
    """Put a batch into the store.

    Return what is wrong with rows, by their number in the batch, and what became of the others.
    """
    await tx.fetch("SET LOCAL statement_timeout = 0")
    wrong = await _stage(tx, entity, batch)
    for statement in entity.resolve:
        await tx.fetch(statement)
    # A row may need another one that is refused.
    while await _refuse(tx, entity, wrong):
        pass
    counts = dict.fromkeys(_COUNTS, 0)
    for statement in entity.merge:
        for name, number in (await tx.first(statement) or {}).items():
            if name in counts:
                counts[name] += number
    return wrong, counts


async def _refuse(tx: Transaction, entity: Entity, wrong: dict[int, list[Problem]]) -> bool:
    """Note what is wrong with rows beside others, and delete them; return whether any was."""
    before = len(wrong)
    for statement in entity.refuse:
        found = await tx.fetch(statement)
        for nth, field, code, message in (row.values() for row in found):
            wrong.setdefault(nth, []).append(_problem(field, code, message))
        nths = list({row["nth"] for row in found})
        for table in entity.tables if nths else ():
            await tx.fetch(f"DELETE FROM {table} WHERE nth = ANY($1::integer[])", nths)  # noqa: S608
    return len(wrong) > before


def _problem(field: str, code: str, message: str) -> Problem:
    """A problem that a statement found; the field is a path with points."""
    codes = ProblemCode if code in ProblemCode.__members__ else FileProblemCode
    return Problem(tuple(field.split(".")), codes[code], message)


async def _stage(
    tx: Transaction, entity: Entity, batch: Sequence[Record]
) -> dict[int, list[Problem]]:
    """Copy the valid rows; return the problems of the others, by index in the batch."""
    wrong: dict[int, list[Problem]] = {}
    tables: dict[str, list[Any]] = {}
    for nth, record in enumerate(batch):
        if record.problem is not None:
            wrong[nth] = [record.problem]
            continue
        rows, problems = staged(entity, nth, record.values or {})
        if problems:
            wrong[nth] = problems
            continue
        for table, more in rows.items():
            tables.setdefault(table, []).extend(more)
    for table, columns in entity.tables.items():
        declared = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
        await tx.fetch(f"CREATE TEMPORARY TABLE {table} ({declared}) ON COMMIT DROP")
        if all_rows := tables.get(table):
            await tx.copy(table, list(columns)[: len(all_rows[0])], all_rows)
            await tx.fetch(f"ANALYZE {table}")
    return wrong


def _identity(file: IO[bytes], into: str) -> tuple[str, int]:
    """A hash that identifies the file by its content, independent of its path.

    And its size in bytes.
    """
    size = file.seek(0, 2)
    digest = hashlib.sha256(f"{into} {size} ".encode())
    for place in (0, max(0, size - _SAMPLED_BYTES)):
        file.seek(place)
        digest.update(file.read(_SAMPLED_BYTES))
    return digest.hexdigest(), size
