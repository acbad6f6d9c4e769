"""Texts are split into literals and what stands between, as graphql-core reads them."""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from graphql import GraphQLError, Lexer, Source, TokenKind

from graph.execution.documents import sharing
from graph.execution.documents.document import Document, Documents
from graph.execution.documents.limits import Limits
from graph.execution.documents.literals import split
from graph.store.schema import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = schema._schema  # noqa: SLF001  as Execution does
LITERALS = {TokenKind.INT, TokenKind.FLOAT, TokenKind.STRING, TokenKind.BLOCK_STRING}
PIECES = [
    *('"', '""', '"""', "\\", '\\"', '"a"', "a", "e", "E", "x1", "$v", "#", "\n", "\r", " ", ","),
    *("0", "1", "-", "+", "00", "1.5", "1e3", "-0", ".", "...", "(", ")", "[", "]", "{", "}", ":"),
    *("@", "é"),
]
REPEATED = "{ a: items(first: %s) { nodes { a: orderLines(first: 7) { totalCount } } } }"
MUTATION = """mutation {
  createItem(input: {name: "a", costPrice: "1", sellingPrice: %s}) { __typename }
}"""
CUSTOMER = "{{ customer(by: {{databaseId: {}}}) {{ email }} }}"


def literals_in(text: str) -> list[str] | None:
    """The literals that graphql-core reads; None if it reads none, or refuses the text."""
    lexer, found = Lexer(Source(text)), []
    with suppress(GraphQLError):
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            if token.kind in LITERALS:
                found.append(text[token.start : token.end])
        return found or None
    return None


def texts() -> Iterator[str]:
    source = Random(0)  # noqa: S311
    for _ in range(60_000):
        yield "".join(source.choices(PIECES, k=source.randint(1, 12)))


def test_literals_are_those_that_graphql_core_reads() -> None:
    compared = 0
    for text in texts():
        if (expected := literals_in(text)) is not None:
            parts = split(text)
            assert parts is not None, text
            assert parts[1] == expected, text
            compared += 1

    assert compared > 2_000


def test_two_texts_with_one_key_have_the_same_tokens_between_their_literals() -> None:
    kinds: dict[str, Any] = {}
    shared = 0
    for text in texts():
        if (parts := split(text)) is None or literals_in(text) is None:
            continue
        lexer, tokens = Lexer(Source(text)), []
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            tokens.append(None if token.kind in LITERALS else (token.kind, token.value))
        shared += parts[0] in kinds
        assert kinds.setdefault(parts[0], tokens) == tokens, text

    assert shared > 500


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ("{a(b: [1-2])}", ["1", "-2"]),
        ("{a1(b2: 3)}", ["3"]),
        ("{a(b: 007)}", None),
        ("{a(b: 1.)}", None),
        ("{a(b: 1e3)}", ["1e3"]),
        ("{a(b: -0)}", ["-0"]),
        ('{a(b: """x \\""" "y" """)}', ['"""x \\""" "y" """']),
        ('{a(b: "\\"" c: "")}', ['"\\""', '""']),
        ('{a(b: "c)}', ['"c)}']),  # it is refused when it is read
        ('{a} # "1"', None),
        ('{a(b: 1) # "2"\n}', ["1"]),
        ("{a(b: 1) \0}", None),
        ('{a(b: "\0")}', None),
        ('{a(b: "\ud800")}', None),
        ("{a(b: true c: RED d: null)}", None),
    ],
)
def test_literals(text: str, literals: list[str] | None) -> None:
    parts = split(text)

    assert (parts[1] if parts else None) == literals


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 12_000,
        '"""' + '\\"""' * 6_000,
        '"a' * 12_000,
        '"""a' * 6_000,
        '""' * 12_000,
        '"""' + '"" ' * 8_000,
        "1" * 25_000 + "a",
        "-1" * 12_000 + "a",
        "1.1e1" * 5_000,
        "1e" * 12_000,
        "#" * 25_000,
        '"a\n' * 8_000,
        '"""' + "\\" * 25_000,
    ],
    ids=lambda text: text[:8],
)
def test_splitting_takes_linear_time(text: str) -> None:
    def seconds(text: str) -> float:
        began = time.process_time()
        split(text)
        return time.process_time() - began

    # Squared time would be 2 seconds and more.
    assert min(seconds(text) for _ in range(3)) < 0.1


def shared(*texts: str, limits: Limits | None = None) -> tuple[Document, dict[str, Any]] | None:
    """What the last of the texts shares with the others, which were read before."""
    documents = Documents(SCHEMA, limits)
    *known, last = texts
    for text in known:
        documents.read(text)
    return documents.shared(last)


def test_the_third_text_shares_the_document_of_the_second() -> None:
    one, two, three = (CUSTOMER.format(number) for number in (1, 2, 3))

    assert shared(one, two) is None
    assert shared(one, two, two) is None  # it is known
    found = shared(one, two, three)

    assert found is not None
    assert list(found[1].values()) == [3]


@pytest.mark.parametrize(
    ("text", "literals", "expected"),
    [
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", "3"), [3]),
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", "-0"), [0]),
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", "1e3"), None),
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", '"3"'), None),
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", "2147483648"), None),
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", "9" * 5_000), None),
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", "007"), None),
        ("{ customers(first: %s) { nodes { id } } }", ("1", "2", "null"), None),
        ("{ node(id: %s) { id } }", ('"a"', '"b"', '"""\n  c\n   d"""'), ["c\n d"]),
        ("{ node(id: %s) { id } }", ('"a"', '"b"', "7"), ["7"]),
        ("{ node(id: %s) { id } }", ('"a"', '"b"', '"\\u00e9"'), ["é"]),
        ("{ node(id: %s) { id } }", ('"a"', '"b"', '"\\x"'), None),
        ("{ node(id: %s) { id } }", ('"a"', '"b"', "1.5"), None),
        ("{ nodes(ids: [%s]) { id } }", ('"a"', '"b"', '"c"'), ["c"]),
        ("{ nodes(ids: %s) { id } }", ('"a"', '"b"', '"c"'), [["c"]]),
        ("query ($n: Int = %s) { customers(first: $n) { totalCount } }", ("1", "2", "3"), None),
        (REPEATED, ("1", "2", "3"), None),
        (MUTATION, ('"1"', '"2"', '"3"'), None),
        ("query A { customers(first: %s) { totalCount } } query B { __typename }", "123", [3]),
    ],
)  # fmt: skip
def test_what_is_shared(text: str, literals: Any, expected: list[Any] | None) -> None:
    found = shared(*(text % literal for literal in literals))

    assert (list(found[1].values()) if found else None) == expected


def test_a_wrong_literal_in_another_operation_is_found() -> None:
    text = (
        "query A { items(first: 1) { totalCount } } query B { b: items(first: %s) { totalCount } }"
    )

    assert shared(*(text % number for number in (1, 2, 3))) is not None
    assert shared(*(text % number for number in (1, 2, "1.5"))) is None


def test_what_must_be_the_same_is_compared() -> None:
    text = "query ($n: Int = %s) { customers(first: $n, offset: %s) { totalCount } }"

    assert shared(text % (1, 1), text % (1, 2), text % (1, 3)) is not None
    assert shared(text % (1, 1), text % (1, 2), text % (2, 3)) is None


def test_a_long_text_is_read_by_itself() -> None:
    one, two, three = (CUSTOMER.format(number) for number in (1, 2, 3))

    assert shared(one, two, three, limits=Limits(document_bytes=4 * len(three))) is not None
    assert shared(one, two, three, limits=Limits(document_bytes=4 * len(three) - 1)) is None


def test_the_documents_of_one_key_are_bounded() -> None:
    documents = Documents(SCHEMA)
    text = "query ($n: Int = %s) { customers(first: $n, offset: %s) { totalCount } }"
    for default in range(20):
        documents.read(text % (default, default))

    shares = [documents.shared(text % (default, 77)) is not None for default in range(20)]

    assert sum(shares) == sharing._MAX_PER_KEY  # noqa: SLF001
    assert shares[-1]
