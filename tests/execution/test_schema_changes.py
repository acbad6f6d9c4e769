"""The changes between two schemas, each written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.errors import InvalidSchemaFile
from graph.execution.schema_changes import changes_since, report
from graph.schema.schema import text_of
from graph.store.schema import schema

if TYPE_CHECKING:
    from pathlib import Path

OLD = """
type Query { item(by: By, size: Int = 20): Item, items: [Item!]! }
type Item { id: ID! name: String stock: Int }
input By { id: ID, name: String }
input Key @oneOf { id: ID }
enum Status { OPEN, CLOSED }
"""
CHANGES = {
    ("stock: Int }", "}"): "Breaking: Field Item.stock was removed.",
    ("id: ID! name", "id: Int! name"): ("Breaking: Field Item.id changed type from ID! to Int!."),
    ("by: By,", "by: By!,"): (
        "Breaking: Argument Query.item(by:) has changed type from By to By!."
    ),
    (", CLOSED", ""): "Breaking: Enum value Status.CLOSED was removed.",
    ("input By {", "input By { size: Int!"): "Breaking: A required field By.size was added.",
    ("input By {", "input By @oneOf {"): "Breaking: By became @oneOf.",
    (", CLOSED", ", CLOSED, LOST"): "Dangerous: Enum value Status.LOST was added.",
    ("size: Int = 20", "size: Int = 30"): (
        "Dangerous: Query.item(size:) has changed defaultValue from 20 to 30."
    ),
    ("input Key @oneOf {", "input Key {"): "Safe: Key is no longer @oneOf.",
    ("name: String stock", "name: String! stock"): (
        "Safe: Field Item.name changed type from String to String!."
    ),
    ("type Item {", "type Item { price: Int"): "Safe: Field Item.price was added.",
    ("type Item", '"""A\n\nthing."""\ntype Item'): (
        'Safe: Description of Item has changed to "A thing.".'
    ),
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    file = tmp_path / "old.graphql"
    file.write_text(OLD)
    return file


@pytest.mark.parametrize(("change", "expected"), CHANGES.items(), ids=CHANGES.values())
def test_a_change_has_its_severity(change: tuple[str, str], expected: str, old: Path) -> None:
    assert OLD.count(change[0]) == 1

    (found,) = changes_since(old, OLD.replace(*change))

    assert f"{found.severity.capitalize()}: {found.description}" == expected


def test_the_report_begins_with_the_worst(old: Path) -> None:
    new = OLD.replace("stock: Int", "price: Int").replace(", CLOSED", ", CLOSED, LOST")

    assert list(report(changes_since(old, new))) == [
        "Breaking: 1",
        "  Field Item.stock was removed.",
        "Dangerous: 1",
        "  Enum value Status.LOST was added.",
        "Safe: 1",
        "  Field Item.price was added.",
    ]


def test_a_schema_has_not_changed_since_itself(tmp_path: Path) -> None:
    file = tmp_path / "schema.graphql"
    file.write_bytes(b"\xef\xbb\xbf" + text_of(schema).encode())

    assert changes_since(file, text_of(schema)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "Syntax Error: Unexpected <EOF> (1:1)"),
        (b"type Query { a: [", "Syntax Error: Expected Name, found <EOF> (1:18)"),
        (b"\xff\xfet\x00", "it is not UTF-8 text"),
        (b"{ customers { totalCount } }", "Query root type must be provided"),
        (b"type Query { a: Lost }", "Unknown type 'Lost'"),
        (
            b"type Query { a: Int } type Query { b: Int }",
            "There can be only one type named 'Query'",
        ),
        (
            b"interface I { a: Int } type Query implements I { b: Int }",
            "Interface field I.a expected but Query does not provide it (1:15)",
        ),
        (b"type Query { a: " + b"[" * 10_000, "Syntax Error: Document is nested too deeply"),
    ],
)
def test_a_file_that_is_no_schema_is_refused_in_one_line(
    text: bytes, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "old.graphql"
    file.write_bytes(text)

    with pytest.raises(InvalidSchemaFile) as refused:
        changes_since(file, OLD)

    message = str(refused.value)
    assert message.startswith(f"{file} is not a schema that can be compared: {problem}")
    assert "\n" not in message
