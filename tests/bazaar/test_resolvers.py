"""Python resolvers inside the statement answer what the standard executor would answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bazaar.rows import write_bazaar
from tests.bazaar.schema import schema
from tests.execution.generator import Drawn
from tests.execution.oracle import both_ways

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from tests.execution.oracle import Both

# Each of these fails for every row, for each second one, or for none.
FAILING = ("risk", "doubt", "nothing", "marks", "looseMarks", "portrait")
BELOW = {"portrait": " { title mood parts { title height(unknown: true) subject(fail: true) } }"}
PLACES = (
    "{ traders(first: 9) { nodes { name FIELD } pageInfo { hasNextPage } } }",
    "{ traders(first: 9) { edges { cursor node { FIELD } } nodes { mentor { FIELD } } } }",
    "{ deals(first: 20) { totalCount nodes { seller { FIELD } buyer { FIELD name } } } }",
    "{ traders(first: 9) { nodes { stall { keeper { FIELD pupils { nodes { FIELD } } } } } } }",
    "{ a: deals(first: 2) { nodes { id } } b: traders(first: 3) { nodes { FIELD } } }",
)


@pytest.fixture
def both(empty_url: str) -> Iterator[tuple[asyncio.Runner, Both]]:
    with both_ways(empty_url, 1, schema=schema, write=write_bazaar) as (runner, both):
        both.same_bytes, both.may_fail = False, True
        yield runner, both


@pytest.mark.parametrize("every", [None, 1, 2])
def test_errors_and_nulls_are_those_of_the_standard_executor(
    both: tuple[asyncio.Runner, Both], every: int | None
) -> None:
    runner, ways = both
    for place in PLACES:
        for name in FAILING:
            field = f"{name}(every: $every){BELOW.get(name, '')}"
            text = f"query ($every: Int) {place.replace('FIELD', field)}"
            runner.run(ways.check(Drawn(text, ({"every": every},))))


def test_several_fields_of_one_object_fail(both: tuple[asyncio.Runner, Both]) -> None:
    runner, ways = both
    fields = " ".join(f"{name}(every: 2){BELOW.get(name, '')}" for name in FAILING)
    for place in PLACES:
        runner.run(ways.check(Drawn(place.replace("FIELD", fields), ({},))))


def test_arguments_aliases_fragments_and_conditions(both: tuple[asyncio.Runner, Both]) -> None:
    runner, ways = both
    text = """
        query ($word: String = "Ho", $call: Call, $is: Boolean!) {
          traders(first: 5) { nodes {
            greeting a: greeting(word: $word) b: greeting(word: "\\"é\\u0001", times: 2)
            calls(call: $call) c: calls(call: {words: ["x"], mood: STORMY}, moods: [SUNNY, null])
            ...F @include(if: $is) ... @skip(if: $is) { otherMood }
          } }
        }
        fragment F on Trader { other: otherMood place card friends { nodes { card place } } }"""
    call = {"words": ["y", "\x7f"], "times": 3}
    given = ({"is": True}, {"is": False, "call": call}, {"is": True, "word": None, "call": None})
    runner.run(ways.check(Drawn(text, given)))
