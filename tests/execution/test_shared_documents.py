"""Texts that share a document are answered as each would be by itself, errors included.

Operations are drawn as for the oracle, and written again with other literals, some careless.
`GRAPH_TEST_EXAMPLES` and `GRAPH_TEST_SEED` are those of `test_oracle`.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import zip_longest
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from graph.execution.documents.document import Documents
from graph.execution.documents.literals import split
from graph.execution.running.request import Request
from graph.viewer import SYSTEM
from tests.execution.generator import Drawn, operations
from tests.execution.oracle import SCHEMA, both_ways, for_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.execution.running.execute import Execution
    from graph.execution.running.request import Answer
    from tests.execution.generator import Known

EXAMPLES = int(os.environ.get("GRAPH_TEST_EXAMPLES", "100"))
FIRST_STORE = int(os.environ.get("GRAPH_TEST_SEED", "0"))
PER_STORE = 20
STORES = range(FIRST_STORE, FIRST_STORE + max(EXAMPLES // PER_STORE, 1))
VARIATIONS = 20
NUMBERS = [
    *("-1", "-0", "100", "101", "2147483647", "2147483648", "1.5", "1e3", "1E-2", "007", "1."),
    *('"1"', "9" * 30, "9" * 5_000, "99999999.99", "1 2", "1-2", "null", "$v0", "1a", "[1]"),
]
STRINGS = [
    *('""', '"a"', '"\\u0041"', '"\\uD83D\\uDE00"', '"\\uD83D"', '"\\u0000"', '"\\x"', '"\\""'),
    *('"""block"""', '"""\n  b\n   c\n"""', '"""\\""" q"""', '"#"', '"\n"', '"', '"""', '"a" # b'),
    *("5", "1.5", '"UTC"', '"2026-01-31T12:00:00Z"', '"10.5"', "null", '["a"]', '"é"', "x"),
]


class Literals:
    """Literals that may stand for another: strings are grouped by their form."""

    def __init__(self, known: Known, source: Random) -> None:
        self._source = source
        self._strings = defaultdict[str, list[str]](list)
        found = {*map(str, known.values["String"]), "", "word"}
        found.update(*known.ids.values(), *known.cursors.values(), map(str, known.values["ID"]))
        found.update(map(str, known.values["DateTime"]), map(str, known.values["Decimal"]))
        for text in sorted(found):
            if not re.search(r'["\\\n\r\0]', text):
                self._strings[_form(text)].append(f'"{text}"')

    def varied(self, text: str) -> Iterator[str]:
        """The text with other literals; in a third of the texts some are careless."""
        parts = split(text)
        if parts is None:
            return
        key, literals = parts
        between = key.split("\0")
        for _ in range(VARIATIONS):
            careless, share = self._source.random() < 0.25, self._source.choice((0.3, 0.6, 1))
            made = [
                self._other(each, careless=careless) if self._source.random() < share else each
                for each in literals
            ]
            yield "".join(map("".join, zip_longest(between, made, fillvalue="")))

    def _other(self, literal: str, *, careless: bool) -> str:
        is_string = literal[0] == '"'
        if careless and self._source.random() < 0.3:
            return self._source.choice(STRINGS if is_string else NUMBERS)
        if is_string:
            return self._source.choice(self._strings.get(_form(literal[1:-1]), [literal]))
        return str(self._source.randint(0, 12))


def _form(text: str) -> str:
    """What a string looks like: an id of an entity, a cursor, a moment, a number, or any text."""
    with suppress(ValueError):
        text = b64decode(text, validate=True).decode()
    return re.sub(r"\d+", "9", text) if re.search(r"\d", text) else ""


class Twice:
    """Answers each text with a shared document, if there is one, and by itself."""

    def __init__(self, execution: Execution) -> None:
        self.met = Counter[str]()
        self._execution = execution
        self._planner = execution._planner  # noqa: SLF001
        self._documents = self._planner.documents
        self._alone = Documents(SCHEMA)
        self._alone.shared = lambda _: None  # type: ignore[method-assign, assignment]
        self._find = self._planner.shared
        self._planner.shared = self._counted  # type: ignore[method-assign]

    def _counted(self, request: Request, viewer: Any) -> Any:
        work = self._find(request, viewer)
        self.met["shared"] += work is not None
        return work

    async def answers(self, request: Request) -> tuple[Answer, Answer]:
        shared = await self._execution.answer(request, SYSTEM)
        self._planner.documents = self._alone
        alone = await self._execution.answer(request, SYSTEM)
        self._planner.documents = self._documents
        self.met["errors" if b'"errors"' in alone.body else "data"] += 1
        return shared, alone


def priced(body: bytes) -> Any:
    """The answer with its price, without the measured time."""
    answer = json.loads(body, object_pairs_hook=list)
    return re.sub(r"\['(actual|time)[^]]*\]|\('(actual|time)[^)]*\)", "", str(answer))


@pytest.mark.parametrize("store", STORES, ids=lambda store: f"store {store}")
def test_a_shared_document_answers_as_the_text_itself(database_url: str, store: int) -> None:
    with both_ways(database_url, store) as (runner, both):
        twice = Twice(both.compiled.execution)
        literals = Literals(both.known, Random(store))  # noqa: S311

        @for_all(operations(SCHEMA, both.known), store=store, examples=PER_STORE, shrinks=False)
        def check(drawn: Drawn) -> None:
            for text in (drawn.text, *literals.varied(drawn.text)):
                for variables in drawn.variables:
                    request = Request(text, variables, drawn.name)
                    one, other = runner.run(twice.answers(request))
                    assert one == other, text
                with_cost = Request(text, drawn.variables[0], drawn.name, wants_cost=True)
                one, other = runner.run(twice.answers(with_cost))
                assert priced(one.body) == priced(other.body), text

        assert twice.met["shared"] > PER_STORE
        assert twice.met["data"]
        assert twice.met["errors"]
