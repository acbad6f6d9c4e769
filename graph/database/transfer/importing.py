"""Imports a file in batches.

Each batch is a transaction that merges its rows and stores the progress. An interrupted import
resumes after its last batch, and reads no row twice. Refused rows go to a side file, whose length
is part of the progress: anything beyond it belongs to a batch that was lost.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import orjson

from graph.database.transaction import RetryableConflict, transaction
from graph.database.transfer.files import records
from graph.database.transfer.rows import staged
from graph.errors import DomainError, Problem, TransferFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from graph.database.engine import Database
    from graph.database.transaction import Transaction
    from graph.database.transfer.files import Format, Record
    from graph.database.transfer.rows import Entity

_BATCH_ROWS = 10_000
_SAMPLED_BYTES = 1_048_576

_BEGIN = """
    INSERT INTO imports (source, position, rows, refused, refused_bytes) VALUES ($1, 0, 0, 0, 0)
    ON CONFLICT (source) DO UPDATE SET source = excluded.source
    RETURNING position, rows, refused, refused_bytes
"""
_GO_ON = """
    UPDATE imports SET position = $3, rows = $4, refused = $5, refused_bytes = $6
    WHERE source = $1 AND position = $2 RETURNING 1
"""
_END = "DELETE FROM imports WHERE source = $1"


@dataclass(slots=True)
class Progress:
    """The progress of an import: bytes and rows of the file, rows and bytes of the side file."""

    position: int = 0
    rows: int = 0
    refused: int = 0
    refused_bytes: int = 0


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
        TransferFailed: another process is importing the same file, or rows stay locked.
    """
    source, size = _identity(path, into)
    with path.open("rb") as file, bad_rows.open("ab") as side:
        async with transaction(database) as tx:
            begun = Progress(*(await tx.first(_BEGIN, source)).values())
            await tx.commit()
        side.truncate(begun.refused_bytes)
        done = begun
        read = records(file, format_, offset=done.position, number=done.rows)
        progress(done.position, size)
        while batch := list(islice(read, batch_rows)):
            done = await _committed(database, entity, batch, done, side=side, source=source)
            progress(done.position, size)
        async with transaction(database) as tx:
            await tx.fetch(_END, source)
            await tx.commit()
    _remove_if_empty(bad_rows)
    return done


async def _committed(
    database: Database,
    entity: Entity,
    batch: Sequence[Record],
    before: Progress,
    *,
    side: IO[bytes],
    source: str,
) -> Progress:
    """Merge one batch and commit; return the progress after it."""
    try:
        async with transaction(database) as tx:
            wrong = await _merge(tx, entity, batch)
            after = Progress(
                position=batch[-1].ends_at,
                rows=before.rows + len(batch),
                refused=before.refused + len(wrong),
                refused_bytes=before.refused_bytes + _write_refused(side, batch, wrong),
            )
            moved = (after.position, after.rows, after.refused, after.refused_bytes)
            if not await tx.fetch(_GO_ON, source, before.position, *moved):
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
) -> dict[int, list[Problem]]:
    """Merge a batch; return the problems of its rows, by index in the batch."""
    await tx.fetch("SET LOCAL statement_timeout = 0")
    wrong = await _stage(tx, entity, batch)
    for row in await tx.fetch(entity.refuse):
        nth, field, code, message = row.values()
        wrong.setdefault(nth, []).append(Problem(tuple(field.split(".")), code, message))
    for statement in entity.merge:
        await tx.fetch(statement, list(wrong))
    return wrong


async def _stage(
    tx: Transaction, entity: Entity, batch: Sequence[Record]
) -> dict[int, list[Problem]]:
    """Copy the valid rows; return the problems of the others, by index in the batch."""
    wrong: dict[int, list[Problem]] = {}
    tables: dict[str, list[Any]] = {}
    for nth, record in enumerate(batch):
        if record.values is None:
            wrong[nth] = [Problem((), "INVALID", "This is no record.")]
            continue
        rows, problems = staged(entity, nth, record.values)
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
    return wrong


def _write_refused(
    side: IO[bytes], batch: Sequence[Record], wrong: dict[int, list[Problem]]
) -> int:
    """Write refused rows with their problems, and sync the file to disk."""
    written = 0
    for nth in sorted(wrong):
        problems = [
            {"path": problem.path, "code": problem.code, "message": problem.message}
            for problem in wrong[nth]
        ]
        record = batch[nth]
        given = record.text if record.values is None else record.values
        line = {"row": record.number + 1, "problems": problems, "given": given}
        written += side.write(orjson.dumps(line) + b"\n")
    side.flush()
    os.fsync(side.fileno())
    return written


def _remove_if_empty(path: Path) -> None:
    if not path.stat().st_size:
        path.unlink()


def _identity(path: Path, into: str) -> tuple[str, int]:
    """A hash that identifies the file by its content, independent of its path.

    And its size in bytes.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(f"{into} {size} ".encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLED_BYTES))
        file.seek(max(0, size - _SAMPLED_BYTES))
        digest.update(file.read(_SAMPLED_BYTES))
    return digest.hexdigest(), size
