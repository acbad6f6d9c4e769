"""Records are read from files of any bytes: what is none has a problem; the next one follows."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.database.transfer.files import Format, Source
from graph.errors import TransferFailed

if TYPE_CHECKING:
    from graph.database.transfer.files import Record

GOOD = {"a": "1", "b": "2"}


def read(data: bytes, format_: Format) -> list[Record]:
    return list(Source(io.BytesIO(data), format_).records(offset=0, number=0))


def csv_of(*lines: bytes) -> list[Record]:
    return read(b"".join([b"a,b\n", *lines]), Format.CSV)


def told(record: Record) -> Any:
    return record.problem.message if record.problem else record.values


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b'{"a": "\xe9"}\n', "Line 2, byte 8 is not UTF-8."),
        (b"{\r\n", "It is not JSON: expecting property name enclosed in double quotes"),
        (b'{"a": 1}\r{"a": 1}\n', "It is not JSON: extra data at column 10."),
        (b"\x00\n", "It is not JSON: expecting value at column 1."),
        (b'{"a": "\x00"}\n', "It is not JSON: invalid control character"),
        (b'{"a": NaN}\n', "NaN is no number."),
        (b'{"a": "1", "b": "2", "a": "1"}\n', "The key 'a' stands there twice."),
        (b'{"a": [{"b": 1, "b": 1}]}\n', "The key 'b' stands there twice."),
        (b"[]\n", "A record is a JSON object."),
        (b"[" * 200_000 + b"\n", "It is nested too deep."),
        (b'{"a": "' + b"x" * 3_000_000 + b'"}\n', "A record has 1,048,576 bytes at most."),
    ],
)
def test_what_is_no_json_is_one_record_and_the_next_one_is_read(bad: bytes, message: str) -> None:
    good = json.dumps(GOOD).encode() + b"\n"

    records = read(good + bad + good, Format.NDJSON)

    assert [record.values for record in records] == [GOOD, None, GOOD]
    assert told(records[1]).startswith(message)
    assert (records[1].line, records[1].number) == (2, 1)
    assert (good + bad + good)[records[1].starts_at : records[1].ends_at] == bad


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"\xe9,2\n", "Line 3, byte 1 is not UTF-8."),
        (b'"x\n\xe9",2\n', "Line 4, byte 1 is not UTF-8."),
        (b"1\r2,2\n", "CR stands alone"),
        (b'"1",2\r3\n', "CR stands alone"),
        (b'"1\r\n', "A quote is opened and never closed."),
        (b'1,"2\n', "A quote is opened and never closed."),
        (b'"1"x,2\n', "Text stands behind a closing quote"),
        (b'"1\n2",2,3\n', "It has 3 values for 2 columns."),
        (b"1\n", "It has 1 values for 2 columns."),
        (b"x" * 3_000_000 + b",2\n", "A record has 1,048,576 bytes at most."),
    ],
)
def test_what_breaks_the_rules_of_csv_is_refused_and_the_next_one_is_read(
    bad: bytes, message: str
) -> None:
    good = b"1,2\r\n"

    records = csv_of(good, bad, good, good)

    assert [record.values for record in records] == [GOOD, None, GOOD, GOOD]
    assert told(records[1]).startswith(message)
    whole = b"".join([b"a,b\n", good, bad, good, good])
    assert whole[records[1].starts_at : records[1].ends_at] == bad


def test_a_quote_that_is_closed_by_another_row_takes_none_with_it() -> None:
    records = csv_of(b'"1,2\n', b"1,2\n", b'1,"2"\n', b'"1","2"\n')

    assert [record.values for record in records] == [None, GOOD, GOOD, GOOD]


def test_a_long_field_is_one() -> None:
    (record,) = csv_of(b'"' + b"x" * 200_000 + b'",2\n')

    assert record.values == {"a": "x" * 200_000, "b": "2"}


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_utf_16_is_refused(format_: Format, encoding: str) -> None:
    data = ("\ufeff" if encoding != "utf-16" else "") + 'a,b\n{"a": "1"}\n'

    with pytest.raises(TransferFailed, match="byte 1 is not UTF-8: the file is UTF-16"):
        read(data.encode(encoding), format_)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"a,b,a\n", "has the column 'a' twice"),
        (b"a, a\n", "has the column 'a' twice"),
        (b"a,\xff\n", "Line 1, byte 3 is not UTF-8"),
        (b"a,b\r1,2\r", "CR stands alone"),
        (b'a,"b\n1,2\n', "A quote is opened and never closed"),
        (b"x" * 2_000_000, "A record has"),
    ],
)
def test_a_head_line_that_cannot_be_read_is_an_error(head: bytes, why: str) -> None:
    with pytest.raises(TransferFailed, match=why):
        read(head, Format.CSV)


@pytest.mark.parametrize("format_", Format)
def test_a_mark_at_the_beginning_is_no_text(format_: Format) -> None:
    data = b"a,b\n1,2" if format_ is Format.CSV else json.dumps(GOOD).encode()

    assert [record.values for record in read(b"\xef\xbb\xbf" + data, format_)] == [GOOD]


def test_an_empty_file_has_no_records() -> None:
    assert read(b"", Format.CSV) == read(b"", Format.NDJSON) == read(b"\n\r\n", Format.CSV) == []


cells = st.text(st.sampled_from('ab",\r\n \\\x00é') | st.characters(codec="utf-8"))


@given(
    rows=st.lists(st.tuples(cells, cells).filter(any)), line_break=st.sampled_from(["\n", "\r\n"])
)
def test_csv_is_what_python_writes(rows: list[tuple[str, str]], line_break: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator=line_break).writerows(
        [("a", "b"), *rows]
    )

    records = read(written.getvalue().encode(), Format.CSV)

    expected = [
        {name: cell for name, cell in zip("ab", row, strict=True) if cell != ""} for row in rows
    ]
    assert [record.values for record in records] == expected


@given(data=st.binary() | st.lists(st.sampled_from(list(b'",\r\n{}:a\xff\xc3\xa9\0'))).map(bytes))
def test_every_byte_is_read_whatever_it_is(data: bytes) -> None:
    """Each record can be read from its own place, and between records are only line breaks."""
    for format_, head in ((Format.NDJSON, b""), (Format.CSV, b"a,b\n")):
        whole = head + data
        try:
            source = Source(io.BytesIO(whole), format_)
        except TransferFailed:
            continue
        records = list(source.records(offset=0, number=0))
        ends_at = len(head)
        for record in records:
            assert whole[ends_at : record.starts_at].strip(b"\r\n \t\x0b\x0c\xef\xbb\xbf") == b""
            ends_at = record.ends_at
            assert (record.values is None) is (record.problem is not None)
        assert whole[ends_at:].strip() == b""
        if len(records) > 1:
            rest = list(source.records(offset=records[0].ends_at, number=1))
            assert rest == records[1:]
