"""What an import refuses: the rows in one file, as they stood, and the reasons in another.

The file of the rows has the format of the one that they come from, so that it can be imported as
it is once the rows are corrected. Beside it, `FILE.problems.ndjson` has a line for each row: its
number and its line in the file that was imported, and all that is wrong with it.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Self

from graph.errors import TransferFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from graph.database.transfer.files import Record, Source
    from graph.errors import Problem

_PIECE_BYTES = 1_048_576


def problems_path(rows: Path) -> Path:
    """Where the reasons are, by the path of the refused rows."""
    return rows.with_name(f"{rows.name}.problems.ndjson")


def check_apart(source: IO[bytes], rows: Path) -> None:
    """Return when neither file is the one that is imported, by whatever name.

    Raises:
        TransferFailed: one is.
    """
    imported = os.fstat(source.fileno())
    for path in (rows, problems_path(rows)):
        if path.exists() and os.path.samestat(imported, path.stat()):
            raise TransferFailed(f"{path} is the file that is imported: refused rows go elsewhere")


class RefusedRows:
    """The two files, open as long as an import runs. One that is empty then is removed."""

    def __init__(self, source: Source, path: Path) -> None:
        self._source = source
        self._paths = (path, problems_path(path))
        self._files = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._rows, self._problems = (
                self._files.enter_context(path.open("a+b")) for path in self._paths
            )
        except OSError as error:
            self._files.close()
            raise TransferFailed(f"{error.filename} cannot be written: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        for path in self._paths:
            if not path.stat().st_size:
                path.unlink()

    def go_on(self, *, rows: int, size: int) -> None:
        """Cut off what stands beyond so many rows and bytes: it is of a batch that was lost."""
        if self._rows.seek(0, os.SEEK_END) > size:
            self._rows.truncate(size)
        self._problems.seek(0)
        for _ in range(rows):
            self._problems.readline()
        self._problems.truncate()

    def add(self, batch: Sequence[Record], wrong: Mapping[int, list[Problem]]) -> int:
        """Add rows of a batch, so that they survive a crash of the machine; return the size."""
        for nth in sorted(wrong):
            record = batch[nth]
            if not self._rows.seek(0, os.SEEK_END):
                self._copy(0, self._source.head_ends_at)
            self._copy(record.starts_at, record.ends_at)
            problems = [
                {"path": problem.path, "code": problem.code, "message": problem.message}
                for problem in wrong[nth]
            ]
            line = {"row": record.number + 1, "line": record.line, "problems": problems}
            self._problems.write(json.dumps(line).encode() + b"\n")
        for file in (self._problems, self._rows):
            file.flush()
            os.fsync(file.fileno())
        return self._rows.tell()

    def _copy(self, starts_at: int, ends_at: int) -> None:
        """Copy text as it stands, and give it a line break if it is the last of its file."""
        read_from = self._source.file.tell()
        self._source.file.seek(starts_at)
        piece = b"\n"
        while starts_at < ends_at:
            piece = self._source.file.read(min(ends_at - starts_at, _PIECE_BYTES))
            self._rows.write(piece)
            starts_at += len(piece)
        if not piece.endswith(b"\n"):
            self._rows.write(b"\n")
        self._source.file.seek(read_from)
