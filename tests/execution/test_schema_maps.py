"""What clients need beside the schema says what the introspection of the schema says."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from graphql import introspection_from_schema

from graph.execution import schema_maps
from graph.schema.scalars import SCALARS, client_type
from graph.store.schema import schema
from tests.command_line import complaint, graph, output_of

SERVED = schema._schema  # noqa: SLF001
INTROSPECTION: Any = introspection_from_schema(SERVED)
TYPES = [
    type_ for type_ in INTROSPECTION["__schema"]["types"] if not type_["name"].startswith("__")
]
SPECIFIED = {"Boolean", "Float", "ID", "Int", "String"}


def test_possible_types_are_those_of_unions_and_interfaces() -> None:
    made = json.loads(schema_maps.possible_types(SERVED))

    assert made == {
        type_["name"]: sorted(each["name"] for each in type_["possibleTypes"])
        for type_ in TYPES
        if type_["kind"] in {"UNION", "INTERFACE"}
    }
    assert made["Node"] == ["Customer", "Event", "Item", "Order", "OrderLine"]


def test_keyless_types_are_objects_without_an_id() -> None:
    made = json.loads(schema_maps.keyless_types(SERVED))

    with_id = {
        type_["name"]
        for type_ in TYPES
        if type_["kind"] == "OBJECT" and any(field["name"] == "id" for field in type_["fields"])
    }
    objects = {type_["name"] for type_ in TYPES if type_["kind"] == "OBJECT"}
    assert set(made) == objects - with_id - {"Query", "Mutation", "Subscription"}
    assert len(set(made)) == len(made) > 50


def test_generators_get_a_type_for_each_scalar() -> None:
    scalars = {type_["name"] for type_ in TYPES if type_["kind"] == "SCALAR"} - SPECIFIED

    typescript = json.loads(schema_maps.typescript_scalars(SERVED))
    python = tomllib.loads(schema_maps.python_scalars(SERVED))["tool"]["ariadne-codegen"]

    assert typescript.keys() == python["scalars"].keys() == scalars
    assert typescript["BigInt"] == {"input": "string | number", "output": "string"}
    assert python["scalars"]["Decimal"] == {"type": "decimal.Decimal"}


def test_only_json_may_be_any_value_in_a_client() -> None:
    unknown = {
        each.name for each in SCALARS.values() if client_type(str(each.name)).received == "unknown"
    }

    assert unknown == {"JSON"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--possible-types"], schema_maps.possible_types),
        (["--keyless-types"], schema_maps.keyless_types),
        (["--scalars", "typescript"], schema_maps.typescript_scalars),
        (["--scalars", "python"], schema_maps.python_scalars),
    ],
)
def test_a_command_prints_them(options: list[str], expected: Any) -> None:
    assert output_of(graph("schema", *options)) == expected(SERVED)


def test_they_are_printed_one_at_a_time() -> None:
    both = graph("schema", "--possible-types", "--scalars", "python")

    assert complaint(both) == "--scalars is invalid: it does not go with --possible-types."
