"""Each answer is valid by the schema that is derived from what its operation selects."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume
from jsonschema import Draft202012Validator

from graph.execution.answer_schema import answer_schema
from tests.execution.generator import operations
from tests.execution.oracle import (
    PER_STORE,
    SCHEMA,
    both_ways,
    for_all,
    is_valid,
    parsed,
    parts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.execution.generator import Drawn


def schema_of(text: str, name: str | None = None) -> dict[str, Any]:
    document = parsed(text)
    schema = answer_schema(SCHEMA, document, parts_of(document, name)[0])
    Draft202012Validator.check_schema(schema)
    return schema


def data_of(text: str) -> dict[str, Any]:
    data: dict[str, Any] = schema_of(text)["$defs"]["data"]
    return data


def is_answer(text: str, data: Any) -> bool:
    return bool(Draft202012Validator(schema_of(text)).is_valid(data))


@pytest.mark.parametrize("store", range(2), ids=lambda store: f"store {store}")
def test_answers_are_valid_and_what_differs_from_them_is_not(database_url: str, store: int) -> None:
    met = Counter[str]()
    with both_ways(database_url, store) as (runner, both):

        @for_all(operations(SCHEMA, both.known), store=store, examples=PER_STORE)
        def check(drawn: Drawn) -> None:
            assume(is_valid(drawn.text))
            validator = Draft202012Validator(schema_of(drawn.text, drawn.name))
            for answer in runner.run(both.compiled.answers(drawn)):
                content = json.loads(answer.body)
                content.pop("extensions", None)
                if content.get("data") is None:
                    content.pop("data", None)
                validator.validate(content if "errors" in content else content["data"])
                met["error" if "errors" in content else "data"] += 1
                if "errors" not in content:
                    for other in altered(content["data"]):
                        assert not validator.is_valid(other), other
                        met["altered"] += 1

    assert min(met[kind] for kind in ("data", "altered")) > PER_STORE / 2


def altered(data: dict[str, Any]) -> Iterator[Any]:
    """The same answer with a member more at each level, and of another type."""
    yield {**data, "another": None}
    for key, value in data.items():
        yield {**data, key: {"another": value}}
        if isinstance(value, dict):
            yield {**data, key: {**value, "another": None}}
        break


def test_an_object_has_the_members_that_are_selected() -> None:
    item = data_of('{ a: item(by: {databaseId: "1"}) { id stock sellingPrice createdOn: name } }')
    (found, null) = item["properties"]["a"]["anyOf"]

    assert item["required"] == ["a"]
    assert null == {"type": "null"}
    assert found["required"] == ["id", "stock", "sellingPrice", "createdOn"]
    assert found["additionalProperties"] is False
    assert found["properties"]["id"]["type"] == "string"
    assert found["properties"]["sellingPrice"]["type"] == "string"
    assert found["properties"]["stock"]["description"]
    assert {"type": "null"} in found["properties"]["stock"]["anyOf"]


@pytest.mark.parametrize(
    ("selected", "required"),
    [
        ("role id @include(if: $v)", ["role"]),
        ("role @skip(if: $v) ... @include(if: $v) { id }", []),
        ("role @skip(if: true) id @include(if: true)", ["id"]),
        ("role @skip(if: $v) role", ["role"]),
        ("... on Viewer @skip(if: $v) { role } ... F", ["id"]),
        ("role @include(if: true) @skip(if: $v)", []),
    ],
)
def test_what_depends_on_a_variable_is_not_required(selected: str, required: list[str]) -> None:
    fragment = "fragment F on Viewer { id }" if "F" in selected else ""
    text = f"query ($v: Boolean!) {{ viewer {{ {selected} }} }} {fragment}"

    assert data_of(text)["properties"]["viewer"]["required"] == required


def test_members_of_a_field_that_is_selected_twice_are_those_of_both() -> None:
    text = "query ($v: Boolean!) { viewer { id } viewer @include(if: $v) { role } }"
    once = "query ($v: Boolean!) { viewer @include(if: $v) { role } }"

    assert is_answer(text, {"viewer": {"id": "a"}})
    assert is_answer(text, {"viewer": {"id": "a", "role": "clerk"}})
    assert not is_answer(text, {"viewer": {"role": "clerk"}})
    assert not is_answer(once, {"viewer": {}})
    assert is_answer(once, {})


CHANGE = """mutation ($i: AdjustStockInput!) { adjustStock(input: $i) {
    kind: __typename ... on ItemSaved { item { stock } } ... on Error { code message } } }"""


def test_types_of_the_same_shape_share_a_schema() -> None:
    shapes, null = data_of(CHANGE)["properties"]["adjustStock"]["anyOf"]
    saved, refused = shapes["anyOf"]
    codes = {"kind": "InsufficientStock", "code": "INSUFFICIENT_STOCK", "message": "m"}

    assert null == {"type": "null"}
    assert saved["properties"]["kind"]["enum"] == ["ItemSaved"]
    assert "InsufficientStock" in refused["properties"]["kind"]["enum"]
    assert set(refused["properties"]) == {"kind", "code", "message"}
    assert is_answer(CHANGE, {"adjustStock": codes})
    assert is_answer(CHANGE, {"adjustStock": {"kind": "ItemSaved", "item": {"stock": 1}}})
    assert not is_answer(CHANGE, {"adjustStock": codes | {"kind": "ItemSaved"}})
    assert not is_answer(CHANGE, {"adjustStock": {"kind": "ItemSaved", "item": None}})


def test_an_interface_and_introspection_have_schemas() -> None:
    node = 'query { node(id: "x") { __typename id ... on Item { name } } __typename }'
    introspection = '{ __schema { types { name kind } } __type(name: "Item") { name } }'

    assert is_answer(node, {"node": None, "__typename": "Query"})
    assert is_answer(
        node, {"node": {"__typename": "Item", "id": "a", "name": "b"}, "__typename": "Query"}
    )
    assert not is_answer(node, {"node": {"__typename": "Item", "id": "a"}, "__typename": "Query"})
    types = [{"name": "Item", "kind": "OBJECT"}]
    assert is_answer(introspection, {"__schema": {"types": types}, "__type": None})
    assert not is_answer(introspection, {"__schema": {"types": [{}]}, "__type": None})


def test_an_answer_may_be_errors_with_and_without_data() -> None:
    text = "{ viewer { role } }"
    error = {"message": "m", "path": ["viewer", 0], "extensions": {"code": "C"}}

    assert is_answer(text, {"errors": [{"message": "m"}]})
    assert is_answer(text, {"errors": [error], "data": {"viewer": {"role": "clerk"}}})
    assert not is_answer(text, {"errors": []})
    assert not is_answer(text, {"errors": [error], "data": {"viewer": 1}})
