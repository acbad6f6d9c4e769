"""Records of a file, one at a time: NDJSON, or CSV with a head line (RFC 4180), both in UTF-8.

Text that is no record is a record with a problem, and the next one begins on the next line: nothing
in a file holds up an import. A record knows where it stands, so that its text need not be kept.
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from graph.errors import FileProblemCode, Problem, ProblemCode, TransferFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Values: TypeAlias = dict[str, Any]

# A longer record is a file without line breaks, or a quote that is never closed.
_LONGEST_RECORD_BYTES = 1_048_576
_PIECE_BYTES = 1_048_576

_UTF16_MARKS = {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}


class Format(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @classmethod
    def of(cls, path: Path) -> Format | None:
        """The format that a file's name implies, or None."""
        known = {".ndjson": cls.NDJSON, ".jsonl": cls.NDJSON, ".csv": cls.CSV}
        return known.get(path.suffix.lower())


class Number(str):
    """A number of a JSON text, digit by digit: a float is not exact, and `1e3` is none of ours."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Record:
    """`values` is None where the text is no record: `problem` says why.

    Records count from 0, lines from 1; `starts_at` and `ends_at` are offsets in bytes.
    """

    number: int
    line: int
    starts_at: int
    ends_at: int
    values: Values | None
    problem: Problem | None


class Source:
    """A file of records that can be read from any of them on."""

    def __init__(self, file: IO[bytes], format_: Format) -> None:
        """Read the head line of CSV.

        Raises:
            TransferFailed: the file is UTF-16, or has no head line that can be read.
        """
        self.file = file
        self._format = format_
        # Whatever stands there has to stand before any selection of the records, too.
        self.head_ends_at = 0
        # Those of CSV, as the head line names them.
        self.columns: list[str] = []
        file.seek(0)
        if file.read(len(codecs.BOM_UTF16_LE)) in _UTF16_MARKS:
            raise TransferFailed("line 1, byte 1 is not UTF-8: the file is UTF-16")
        if format_ is Format.CSV:
            self._read_head()

    def records(self, *, offset: int, number: int) -> Iterator[Record]:
        """The records from an offset on, where record `number` begins; 0 is the first there is."""
        lines = _Lines(self.file, max(offset, self.head_ends_at))
        read = _csv_fields(lines) if self._format is Format.CSV else _ndjson_lines(lines)
        for lines_of_record, content in read:
            first, ends_at = lines_of_record[0], lines_of_record[-1].ends_at
            values, problem = self._read(lines_of_record, content)
            yield Record(number, first.number, first.starts_at, ends_at, values, problem)
            number += 1

    def _read(
        self, lines: list[_Line], content: list[bytes] | _Malformed
    ) -> tuple[Values | None, Problem | None]:
        if isinstance(content, _Malformed):
            return None, content.problem
        try:
            return self._values(lines, content), None
        except _Malformed as error:
            return None, error.problem

    def _values(self, lines: list[_Line], content: list[bytes]) -> Values:
        texts = _decoded(lines, content)
        if self._format is Format.NDJSON:
            return _json_object(texts[0])
        if len(texts) != len(self.columns):
            raise _Malformed(f"It has {len(texts)} values for {len(self.columns)} columns.")
        # An empty value is as good as none: CSV does not tell them apart.
        return {name: text for name, text in zip(self.columns, texts, strict=True) if text != ""}

    def _read_head(self) -> None:
        head = next(_csv_fields(_Lines(self.file, 0)), None)
        if head is None:
            return
        lines, content = head
        try:
            self.columns = [name.strip() for name in _head(lines, content)]
        except _Malformed as error:
            raise TransferFailed(f"the head line cannot be read: {error}") from error
        if repeated := _repeated(self.columns):
            raise TransferFailed(f"the head line has the column '{repeated}' twice")
        self.head_ends_at = lines[-1].ends_at


@dataclass(frozen=True, slots=True)
class _Line:
    """`text` is None where a line is too long to be kept."""

    number: int
    starts_at: int
    ends_at: int
    text: bytes | None


class _Lines:
    """The lines of a file from an offset on, each with its LF; without the mark that is a BOM."""

    def __init__(self, file: IO[bytes], offset: int) -> None:
        self._file = file
        self._number = 1 + _line_breaks(file, offset)
        self._offset = offset
        file.seek(offset)

    def read(self) -> _Line | None:
        """The next line; None at the end of the file."""
        text = self._file.readline(_LONGEST_RECORD_BYTES + 1)
        if not text:
            return None
        number, starts_at = self._number, self._offset
        self._number += 1
        self._offset += len(text)
        if len(text) > _LONGEST_RECORD_BYTES:
            while not text.endswith(b"\n") and (text := self._file.readline(_PIECE_BYTES)):
                self._offset += len(text)
            return _Line(number, starts_at, self._offset, None)
        if starts_at == 0 and text.startswith(codecs.BOM_UTF8):
            starts_at = len(codecs.BOM_UTF8)
            text = text[starts_at:]
        return _Line(number, starts_at, self._offset, text)

    def go_back_to_end_of(self, line: _Line) -> None:
        self._offset, self._number = line.ends_at, line.number + 1
        self._file.seek(line.ends_at)


class _Malformed(Exception):
    """The text is no record."""

    def __init__(
        self, message: str, code: ProblemCode | FileProblemCode = FileProblemCode.INVALID
    ) -> None:
        super().__init__(message)
        self.problem = Problem((), code, message)


def _too_long() -> _Malformed:
    return _Malformed(
        f"A record has {_LONGEST_RECORD_BYTES:,} bytes at most.", ProblemCode.TOO_LONG
    )


def _ndjson_lines(lines: _Lines) -> Iterator[tuple[list[_Line], list[bytes] | _Malformed]]:
    while (line := lines.read()) is not None:
        if line.text is None:
            yield [line], _too_long()
        elif line.text.strip():
            yield [line], [line.text]


def _csv_fields(lines: _Lines) -> Iterator[tuple[list[_Line], list[bytes] | _Malformed]]:
    """The lines of each record, and its fields.

    A record that breaks the rules of quoting is its first line: where it was meant to end cannot be
    known, and the lines that it would swallow may be good ones.
    """
    while (line := lines.read()) is not None:
        read, fields, size = [line], _Fields(), 0
        try:
            while not fields.take(read[-1].text):
                size += len(read[-1].text or b"")
                more = lines.read()
                if more is None or more.text is None or size > _LONGEST_RECORD_BYTES:
                    raise _Malformed("A quote is opened and never closed.")  # noqa: TRY301
                read.append(more)
        except _Malformed as error:
            lines.go_back_to_end_of(line)
            yield [line], error
        else:
            if (line.text or b"").strip(b"\r\n"):
                yield read, fields.done


class _Fields:
    """The fields of one record of CSV, which is taken line by line: quoted text has line breaks."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        # The parts of a quoted field that is not closed yet.
        self._quoted: list[bytes] | None = None

    def take(self, line: bytes | None) -> bool:
        """Take a line; return whether the record ends with it.

        Raises:
            _Malformed: it breaks the rules of quoting, or is too long.
        """
        if line is None:
            raise _too_long()
        if self._quoted is None and b'"' not in line:
            text = _without_break(line)
            _check_breaks(text)
            self.done = text.split(b",")
            return True
        place = 0
        while True:
            if self._quoted is None and line[place : place + 1] != b'"':
                place = self._take_plain(line, place)
            else:
                place = self._take_quoted(line, place)
            if place < 0:
                return False
            if line[place : place + 1] != b",":
                break
            place += 1
        if line[place:] not in {b"", b"\n", b"\r", b"\r\n"}:
            raise _Malformed("Text stands behind a closing quote: a quote in a field is doubled.")
        return True

    def _take_plain(self, line: bytes, place: int) -> int:
        """Take a field without quotes around it; return where it ends."""
        text = _without_break(line)
        ends_at = text.find(b",", place)
        ends_at = len(text) if ends_at < 0 else ends_at
        _check_breaks(text[place:ends_at])
        self.done.append(text[place:ends_at])
        return ends_at

    def _take_quoted(self, line: bytes, place: int) -> int:
        """Take a quoted field, or more of it; return where it ends, -1 if not in this line."""
        if self._quoted is None:
            self._quoted, place = [], place + 1
        while (ends_at := line.find(b'"', place)) >= 0:
            if line[ends_at + 1 : ends_at + 2] != b'"':
                self.done.append(b"".join([*self._quoted, line[place:ends_at]]))
                self._quoted = None
                return ends_at + 1
            self._quoted.append(line[place : ends_at + 1])
            place = ends_at + 2
        self._quoted.append(line[place:])
        return -1


def _without_break(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _check_breaks(text: bytes) -> None:
    if b"\r" in text:
        raise _Malformed("CR stands alone: lines end with LF or CRLF, and fields are quoted.")


def _head(lines: list[_Line], content: list[bytes] | _Malformed) -> list[str]:
    if isinstance(content, _Malformed):
        raise content
    return _decoded(lines, content)


def _decoded(lines: list[_Line], content: list[bytes]) -> list[str]:
    try:
        return [text.decode() for text in content]
    except UnicodeDecodeError:
        for line in lines:
            text = line.text or b""
            try:
                text.decode()
            except UnicodeDecodeError as error:
                place = f"Line {line.number}, byte {error.start + 1}"
                raise _Malformed(f"{place} is not UTF-8.") from None
        raise


def _json_object(text: str) -> Values:
    try:
        values = _JSON.decode(text)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}"
        raise _Malformed(f"It is not JSON: {error.msg.lower()} at {place}.") from None
    except RecursionError:
        raise _Malformed("It is nested too deep.") from None
    if not isinstance(values, dict):
        raise _Malformed("A record is a JSON object.")
    return values


def _object(pairs: list[tuple[str, Any]]) -> Values:
    values = dict(pairs)
    if len(values) < len(pairs):
        repeated = _repeated([name for name, _ in pairs])
        raise _Malformed(f"The key '{repeated}' stands there twice.", ProblemCode.REPEATED)
    return values


def _no_number(text: str) -> None:
    raise _Malformed(f"{text} is no number.")


_JSON = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_no_number
)


def _repeated(names: list[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _line_breaks(file: IO[bytes], offset: int) -> int:
    """How many lines end before an offset."""
    file.seek(0)
    found = 0
    while offset and (piece := file.read(min(offset, _PIECE_BYTES))):
        found += piece.count(b"\n")
        offset -= len(piece)
    return found
