"""Reads the records of a file one by one: NDJSON, or CSV with a header line."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# No record is longer: one that is would be a file without line breaks.
_LONGEST_LINE_BYTES = 1_048_576


class Format(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @classmethod
    def of(cls, path: Path) -> Format | None:
        """The format that a file's name implies, or None."""
        known = {".ndjson": cls.NDJSON, ".jsonl": cls.NDJSON, ".csv": cls.CSV}
        return known.get(path.suffix.lower())


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `values` is None if it is malformed.

    `ends_at` is the offset of the next record.
    """

    number: int
    values: dict[str, Any] | None
    text: str
    ends_at: int


class _Lines:
    """The lines of a file, and the number of bytes read so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.offset = file.tell()
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(_LONGEST_LINE_BYTES):
            self.offset += len(line)
            self.last = line.decode("utf-8", "replace")
            yield self.last


def records(file: IO[bytes], format_: Format, *, offset: int, number: int) -> Iterator[Record]:
    """The records from an offset on, at which record `number` begins (0 is the first)."""
    read = _ndjson if format_ is Format.NDJSON else _csv
    return read(file, offset, number)


def _ndjson(file: IO[bytes], offset: int, number: int) -> Iterator[Record]:
    file.seek(offset)
    lines = _Lines(file)
    for line in lines:
        if not line.strip():
            continue
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError:
            values = None
        given = values if isinstance(values, dict) else None
        yield Record(number, given, line.rstrip("\n"), lines.offset)
        number += 1


def _csv(file: IO[bytes], offset: int, number: int) -> Iterator[Record]:
    """The records of a CSV file.

    An empty value counts as missing: CSV does not distinguish them.
    """
    file.seek(0)
    head = _Lines(file)
    names = next(csv.reader(iter(head)), [])
    names = [name.removeprefix("\ufeff").strip() for name in names]
    if offset:
        file.seek(offset)
    lines = _Lines(file)
    # The reader takes as many lines as a record has: line breaks may stand in quotes.
    for row in csv.reader(iter(lines)):
        if not row:
            continue
        values = {name: value for name, value in zip(names, row, strict=False) if value != ""}
        given = values if len(row) == len(names) else None
        yield Record(number, given, lines.last.rstrip("\r\n"), lines.offset)
        number += 1
