"""Operations as tools: names, descriptions, the schemas of their arguments, and dry runs."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values
from jsonschema import Draft202012Validator

from graph.errors import InvalidSetting
from graph.execution.documents.document import Documents
from graph.execution.tools import Tool, tools_of
from graph.store.schema import schema

SERVED: Any = schema._schema  # noqa: SLF001
DOCUMENTS = Documents(SERVED)


def tools(*texts: str) -> dict[str, Tool]:
    found = tools_of(SERVED, {str(number): text for number, text in enumerate(texts)}, DOCUMENTS)
    return {tool.name: tool for tool in found}


def one(text: str) -> Tool:
    (tool,) = tools(text).values()
    return tool


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ('"""Own."""\nquery A { viewer { role } }', "Own."),
        ("# Above,\n#  in two lines\nquery A { viewer { role } }", "Above,\nin two lines"),
        ("query A { viewer { role } }", SERVED.query_type.fields["viewer"].description),
    ],
)
def test_a_description_is_the_operations_own_or_a_comment_or_that_of_its_field(
    text: str, description: str
) -> None:
    assert one(text).description == description


def test_each_operation_of_a_document_is_a_tool_but_for_subscriptions() -> None:
    found = tools(
        "query A { ...F } query B { ...F } fragment F on Query { viewer { role } }",
        "subscription C { live { viewer { role } } }",
    )

    assert list(found) == ["A", "B"]
    assert found["A"].text == found["B"].text


@pytest.mark.parametrize(
    ("type_", "use", "good", "bad"),
    [
        ("Int!", "items(first: $v) { nodes { id } }", [1, -3], [None, "1", 1.5, 2**31]),
        ("Int", "items(first: $v) { nodes { id } }", [1, None], ["1"]),
        ("ID!", "node(id: $v) { id }", ["a", 1], [None, 1.5]),
        ("[ID!]!", "nodes(ids: $v) { id }", [["a"], []], [[None], None, [1.5]]),
        (
            "BigInt!",
            "customer(by: {databaseId: $v}) { id }",
            ["17", 17],
            [1.5, None, True],
        ),
        (
            "[CustomerOrderBy!]",
            "customers(orderBy: $v) { nodes { id } }",
            [[{"town": "ASC"}], None, []],
            [[{}], [{"town": "ASC", "email": "ASC"}], [{"town": None}], [{"town": "UP"}]],
        ),
        (
            "CustomerWhere",
            "customers(where: $v) { nodes { id } }",
            [{}, {"and": [{"town": {"eq": "x"}}], "or": None}, {"town": {"eq": None}}],
            [{"city": {}}, {"town": "x"}, {"and": [None]}],
        ),
    ],
)
def test_a_schema_accepts_what_graphql_accepts(
    type_: str, use: str, good: list[Any], bad: list[Any]
) -> None:
    text = f"query A($v: {type_}) {{ {use} }}"
    schema_ = one(text).input_schema
    Draft202012Validator.check_schema(schema_)
    operation = parse(text).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)

    for value in (*good, *bad):
        by_schema = Draft202012Validator(schema_).is_valid({"v": value})
        coerced = get_variable_values(SERVED, operation.variable_definitions or (), {"v": value})
        assert by_schema is not isinstance(coerced, list), value
        assert by_schema is (value in good), value


def test_variables_have_their_defaults_and_descriptions() -> None:
    tool = one("query A($first: Int = 7, $id: ID!) { items(first: $first) { nodes { id } }"
               " node(id: $id) { id } }")  # fmt: skip
    first = tool.input_schema["properties"]["first"]

    assert first["default"] == 7
    assert first["description"].startswith("Return at most this many")
    assert tool.input_schema["required"] == ["id"]
    assert tool.input_schema["additionalProperties"] is False


def test_enums_name_their_values_and_what_they_mean() -> None:
    tool = one("mutation A($i: AdvanceOrderInput!) { advanceOrder(input: $i) { __typename } }")
    action = tool.input_schema["$defs"]["AdvanceOrderInput"]["properties"]["action"]

    assert action == {
        "type": "string",
        "enum": ["PAY", "SHIP", "DELIVER"],
        "description": "The step.\nA step that advances an order.\nPAY: The order was paid.\n"
        "SHIP: The order was shipped.\nDELIVER: The order was delivered.",
    }


def test_input_fields_have_their_defaults() -> None:
    tool = one(
        "query A($b: [OrderGroupBy!]!) { orders { groups(by: $b) { aggregates { count } } } }"
    )

    assert tool.input_schema["$defs"]["TimeBucket"]["properties"]["timeZone"]["default"] == "UTC"


@pytest.mark.parametrize(
    ("argument", "variables", "arguments"),
    [
        ("", "$i: AdjustStockInput!", {"i", "dryRun"}),
        (", dryRun: false", "$i: AdjustStockInput!", {"i", "dryRun"}),
        (", dryRun: $dryRun", "$i: AdjustStockInput!, $dryRun: Boolean! = false", {"i", "dryRun"}),
        (", dryRun: $d", "$i: AdjustStockInput!, $d: Boolean!", {"i", "dryRun"}),
        (", dryRun: true", "$i: AdjustStockInput!", {"i"}),
    ],
)
def test_a_mutation_is_a_dry_run_whatever_its_document_says(
    argument: str, variables: str, arguments: set[str]
) -> None:
    field = f"adjustStock(input: $i{argument}) {{ __typename }}"
    for text in (
        f"mutation A({variables}) {{ a: {field} }}",
        f"mutation A({variables}) {{ ...F }} fragment F on Mutation {{ a: {field} }}",
    ):
        tool = one(text)

        assert set(tool.input_schema["properties"]) == arguments
        assert validate(SERVED, parse(tool.text)) == []
        assert "dryRun: $d)" not in tool.text
        if "dryRun" in arguments:
            assert tool.input_schema["properties"]["dryRun"]["default"] is True
            assert "dryRun: $dryRun)" in tool.text
            assert "$dryRun: Boolean! = true" in tool.text
        else:
            assert "dryRun: true)" in tool.text


def test_a_mutation_with_keys_is_idempotent() -> None:
    with_key = one(
        "mutation A($i: AdjustStockInput!, $k: String!)"
        " { adjustStock(input: $i) @idempotent(key: $k) { __typename } }"
    )
    without = one("mutation A($i: AdjustStockInput!) { adjustStock(input: $i) { __typename } }")

    assert (with_key.is_mutation, with_key.is_idempotent) == (True, True)
    assert (without.is_mutation, without.is_idempotent) == (True, False)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["{ viewer { role } }"], "a tool is an operation with a name"),
        (["query A { viewer { role } }", "query A { viewer { id } }"], "have the name A"),
        (["query A { nothing }"], "Cannot query field 'nothing'"),
    ],
)
def test_documents_that_are_no_tools_are_refused(texts: list[str], problem: str) -> None:
    with pytest.raises(InvalidSetting, match=problem):
        tools(*texts)


def test_a_mutation_without_a_dry_run_is_refused() -> None:
    other = build_schema("type Query { a: Int } type Mutation { a(x: Int): Int }")

    with pytest.raises(InvalidSetting, match="a has no dry run"):
        tools_of(other, {"a": "mutation A { a(x: 1) }"}, Documents(other))
