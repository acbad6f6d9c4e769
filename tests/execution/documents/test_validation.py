"""Documents are validated as graphql-core does it: the same errors, in order, at the same places.

Run on each upgrade of graphql-core: the documents are drawn, mutated, and the project's own.
"""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from graphql import (
    GraphQLError,
    Lexer,
    NoSchemaIntrospectionCustomRule,
    Source,
    TokenKind,
    get_introspection_query,
    parse,
    validate,
)

from graph.execution.documents.validation import RULES, errors_in
from graph.store.schema import schema
from tests.docs.pages import PAGES, blocks
from tests.execution.generator import Known
from tests.execution.generator.choices import Choices
from tests.execution.generator.operations import _Writer
from tests.server.probes import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DocumentNode

SCHEMA = schema._schema  # noqa: SLF001  as Execution does
CLOSED = (*RULES, NoSchemaIntrospectionCustomRule)
SEED = int(os.environ.get("GRAPH_TEST_SEED", "0"))
DRAWN, MUTATIONS = 400, 9
# Longer ones, most of them hostile, are not mutated.
LONG = 1_000
NAMES = [
    *SCHEMA.type_map,
    *(name for type_ in SCHEMA.type_map.values() for name in getattr(type_, "fields", ())),
    *("first", "where", "by", "orderBy", "if", "label", "v0", "F1", "nothing"),
]
PIECES = [
    *("$v0", "...F1", "... on Order", "... { id }", "@skip(if: true)", "@include(if: $v0)"),
    *("@defer", '@stream(label: "a")', "@idempotent", "@nothing", "first: 1", "id", "__typename"),
    *("query A", "mutation", "subscription", "fragment F1 on Customer { ...F1 }", "(by: {id: 1})"),
    *("{ id }", "{ }", "a: id", "[1, null]", '"text"', "{eq: 1, eq: 2}", "null", "1.5", "ASC"),
]


def drawn() -> Iterator[str]:
    for number in range(DRAWN):
        choices = Choices(Random(SEED * DRAWN + number))  # noqa: S311
        yield _Writer(SCHEMA, Known(), choices).operation().text


def own() -> Iterator[str]:
    yield get_introspection_query(input_value_deprecation=True)
    for page in PAGES:
        yield from (block.text for block in blocks(page) if block.language == "graphql")
    for probe in REFUSED.values():
        with suppress(ValueError, KeyError, TypeError):
            yield str(orjson.loads(probe.body)["query"])


def mutated(text: str, source: Random) -> str:
    """The text with a few of its names deleted, replaced, or with something new behind them."""
    tokens, lexer = [""], Lexer(Source(text))
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens.append(text[token.start : token.end])
    names = [number for number, token in enumerate(tokens) if token.isidentifier()] or [0]
    for _ in range(source.randint(1, 3)):
        place = source.choice(names)
        match source.randrange(4):
            case 0:
                tokens[place] += " " + source.choice(PIECES)
            case 1:
                tokens[place] = source.choice(NAMES)
            case 2:
                tokens[place] = tokens[source.choice(names)]
            case _:
                tokens[place] = ""
    return " ".join(tokens)


def documents() -> Iterator[tuple[str, DocumentNode]]:
    source = Random(SEED)  # noqa: S311
    for text in (*drawn(), *own()):
        for number in range(1 + MUTATIONS):
            with suppress(GraphQLError):
                changed = mutated(text, source) if number else text
                yield changed, parse(changed, max_tokens=5_000)
            if len(text) > LONG:
                break


def seen(errors: list[GraphQLError]) -> list[Any]:
    return [(type(error), error.message, error.locations, error.path) for error in errors]


def test_the_errors_are_those_of_graphql_core() -> None:
    valid = invalid = 0
    for number, (text, node) in enumerate(documents()):
        rules, hide = (RULES, False) if number % 3 else (CLOSED, True)
        expected = validate(SCHEMA, node, rules, max_errors=20, hide_suggestions=hide)
        found = errors_in(SCHEMA, text, node, rules, 20, hide_suggestions=hide)
        assert seen(found) == seen(expected), text
        invalid, valid = invalid + bool(expected), valid + (not expected)

    assert valid > 500
    assert invalid > 1_500


@pytest.mark.parametrize("rules", [RULES, CLOSED])
def test_no_rule_looks_at_names_or_edits_the_document(rules: tuple[Any, ...]) -> None:
    for rule in rules:
        assert not hasattr(rule, "enter_name"), rule
        assert not hasattr(rule, "leave_name"), rule


def test_a_document_leaves_no_garbage() -> None:
    text = "query ($n: Int) { customers(first: $n) { nodes { ...F } } } fragment F on Node { id }"
    node = parse(text)
    errors_in(SCHEMA, text, node, RULES, 20)
    gc.collect()

    errors_in(SCHEMA, text, node, RULES, 20)

    assert gc.collect() == 0
