"""The codes of errors are enums of the schema: all that are raised, and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import graph
from graph.errors import (
    ErrorCode,
    FileProblemCode,
    Problem,
    ProblemCode,
    ReasonCode,
    ValidationFailed,
    codes,
)
from graph.store.models import OrderStatus
from graph.store.transfer import merging
from tests.docs.pages import rows
from tests.docs.test_tables import API, errors_with_codes, names_in
from tests.mutations import SCHEMA

if TYPE_CHECKING:
    from enum import StrEnum

    from tests.conftest import Client

SHOWN = (ErrorCode, ProblemCode, ReasonCode)
ENUMS = (*SHOWN, FileProblemCode)
SOURCES = [
    path
    for path in Path(graph.__file__).parent.rglob("*.py")
    if path != Path(codes.__file__)
    and not {"migrations", "node_modules", "graphiql"} & set(path.parts)
]
TREES = {path: ast.parse(path.read_text("utf-8")) for path in SOURCES}


def raised(enum: type[StrEnum]) -> set[str]:
    """The members that the code names; statements in SQL name them as texts."""
    named = {
        node.attr
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == enum.__name__
        and node.attr != "__members__"
    }
    if enum is ReasonCode:
        named |= {f"IS_{status}" for status in OrderStatus}
    if enum is ProblemCode:  # of an error that refuses one of many rows
        named |= {error.code for error in errors_with_codes()} & set(ProblemCode)
    if enum is FileProblemCode:
        named |= codes_in_sql() - set(ProblemCode)
    return named


def codes_in_sql() -> set[str]:
    statements = " ".join(
        (*merging.REFUSE_CUSTOMERS, *merging.REFUSE_ITEMS, *merging.REFUSE_ORDERS)
    )
    return set(re.findall(r"'([A-Z]+(?:_[A-Z]+)*)'", statements))


@pytest.mark.parametrize("enum", ENUMS)
def test_every_code_is_raised_somewhere_and_every_raised_code_is_a_member(
    enum: type[StrEnum],
) -> None:
    assert raised(enum) == set(enum)


def test_statements_that_check_rows_of_files_have_codes_of_the_enums() -> None:
    assert codes_in_sql() <= {*ProblemCode, *FileProblemCode}
    assert "TAKEN" in codes_in_sql()


def test_no_code_is_written_as_a_text() -> None:
    """So that the type checker sees every code that is raised."""
    known = {code for enum in ENUMS for code in enum}
    texts = {
        (path.name, node.value)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in known
    }

    assert texts == set()


def test_every_error_that_a_client_can_meet_has_a_code_of_the_enum() -> None:
    found = list(errors_with_codes())

    assert len(found) > 30
    assert all(isinstance(error.code, ErrorCode) for error in found)


@pytest.mark.parametrize("enum", SHOWN)
def test_the_schema_has_the_codes_with_their_descriptions(enum: Any) -> None:
    shown: Any = SCHEMA.type_map[enum.__name__]

    assert shown.description
    assert {name: value.description for name, value in shown.values.items()} == {
        code.name: code.description for code in enum
    }
    assert all(code.name == code.value and code.description.endswith(".") for code in enum)


def test_every_type_with_a_code_has_an_enum_for_it() -> None:
    types: list[Any] = list(SCHEMA.type_map.values())
    coded = {
        type_.name: str(type_.fields["code"].type)
        for type_ in types
        if "code" in getattr(type_, "fields", {}) and not type_.name.startswith("__")
    }
    errors = [type_.name for type_ in SCHEMA.get_possible_types(SCHEMA.type_map["Error"])]  # type: ignore[arg-type]

    assert coded == dict.fromkeys(["Error", *errors], "ErrorCode!") | {
        "Problem": "ProblemCode!",
        "Reason": "ReasonCode!",
    }


def test_the_documentation_lists_the_codes_of_problems_and_reasons() -> None:
    for heading, enum in (("problems", ProblemCode), ("reasons", ReasonCode)):
        shown = [row[0] for row in rows(API, f"Codes of {heading}")]
        assert names_in(shown) == set(enum)


async def test_a_client_can_ask_the_schema_for_the_codes(client: Client) -> None:
    query = """{ __type(name: "ErrorCode") { enumValues { name } } }"""
    names = [value["name"] for value in (await client(query))["__type"]["enumValues"]]

    assert names == list(ErrorCode)


@pytest.mark.parametrize(
    ("count", "rest"),
    [(3, ""), (4, " There is 1 more problem."), (6, " There are 3 more problems.")],
)
def test_a_message_tells_how_many_problems_it_leaves_out(count: int, rest: str) -> None:
    problems = [Problem((), ProblemCode.BLANK, f"{number}.") for number in range(count)]
    assert ValidationFailed(problems).message == f"0. 1. 2.{rest}"


def test_a_message_names_the_values() -> None:
    paths = [("input",), ("input", "lines", "0", "quantity"), ("other",)]
    problems = [Problem(path, ProblemCode.BLANK, "It is blank.") for path in paths]

    message = ValidationFailed(problems).message

    assert message == "It is blank. lines.0.quantity: It is blank. other: It is blank."
