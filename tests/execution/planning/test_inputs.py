"""A rule gets the same values whether Strawberry's objects stand between or not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import strawberry
from graphql import coerce_input_value, get_named_type
from strawberry import UNSET
from strawberry.relay import GlobalID  # noqa: TC002  Strawberry reads the annotations
from strawberry.types.arguments import convert_argument

from graph.execution.planning.inputs import is_readable, values_of
from graph.schema.payloads import given
from graph.store.schema import schema

SCHEMA = schema._schema  # noqa: SLF001  Strawberry has no other way to it
MUTATIONS = sorted(SCHEMA.mutation_type.fields if SCHEMA.mutation_type else ())
_LEAVES: dict[str, list[Any]] = {
    "ID": ["Q3VzdG9tZXI6MQ==", ""],
    "String": [" a", "é"],
    "Int": [0, -7],
    "Boolean": [True, False],
    "Decimal": ["1.50", 2],
}


@strawberry.input
class Inner:
    tags: list[str] = strawberry.field(default_factory=list)


@strawberry.input
class Filled:
    inner: Inner


@strawberry.input
class Converted:
    id: GlobalID | None = UNSET


@strawberry.input
class Wrapped:
    name: strawberry.Maybe[str]


@strawberry.input
class Plain:
    name: str | None
    other: int | None = UNSET
    again: Plain | None = UNSET


@strawberry.type
class Query:
    @strawberry.field
    def a(self, f: Filled, c: Converted, w: Wrapped, p: Plain) -> str:
        return f"{f}{c}{w}{p}"


def a_value(type_: Any, random: Random) -> Any:
    """JSON that fits a type; optional members are left out, null or given."""
    text, named = str(type_), get_named_type(type_)
    if not text.endswith("!") and random.random() < 0.2:
        return None
    if text.startswith("["):
        element = getattr(type_, "of_type", type_)
        element = element.of_type if text.endswith("!") else element
        return [a_value(element, random) for _ in range(random.randint(0, 3))]
    if named.name in _LEAVES:
        return random.choice(_LEAVES[named.name])
    if hasattr(named, "values"):
        return random.choice(sorted(named.values))
    names = sorted(named.fields)
    if named.is_one_of:
        name = random.choice(names)
        inner = get_named_type(named.fields[name].type)
        return {name: random.choice(_LEAVES[inner.name])}
    return {
        name: a_value(named.fields[name].type, random)
        for name in names
        if str(named.fields[name].type).endswith("!") or random.random() < 0.6
    }


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_values_are_those_of_strawberrys_objects(name: str) -> None:
    assert SCHEMA.mutation_type
    mutation = SCHEMA.mutation_type.fields[name]
    argument = mutation.args["input"]
    random = Random(name)  # noqa: S311  no secret
    definition = mutation.extensions["strawberry-definition"]
    (declared,) = (each for each in definition.arguments if each.python_name == "input")
    assert is_readable(get_named_type(argument.type))
    for _ in range(50):
        coerced = coerce_input_value(a_value(argument.type, random), argument.type)
        made = convert_argument(
            coerced, declared.type, schema.schema_converter.scalar_registry, schema.config
        )
        assert values_of(coerced, get_named_type(argument.type)) == given(made)


def test_what_strawberry_converts_or_fills_in_is_left_to_it() -> None:
    types: Any = strawberry.Schema(Query)._schema.type_map  # noqa: SLF001  as above
    assert not is_readable(types["Converted"])
    assert not is_readable(types["Wrapped"])
    assert not is_readable(types["Filled"])
    assert is_readable(types["Plain"])
    assert values_of({"again": {"other": 1}}, types["Plain"]) == {
        "name": None,
        "again": {"name": None, "other": 1},
    }
