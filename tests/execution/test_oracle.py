"""Compiled statements compared with Strawberry's executor, which is the oracle.

Operations are drawn over the schema (`tests.execution.generator`) and run on small random stores;
both answers must be the same text. `GRAPH_TEST_EXAMPLES` is the number of operations, and
`GRAPH_TEST_SEED` the number of the first store: store 17 has the same rows and operations in every
run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from graphql import (
    REMOVE,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    NullValueNode,
    ObjectValueNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_argument_values,
    get_named_type,
    is_input_object_type,
    print_ast,
    strip_ignored_characters,
    visit,
)
from hypothesis import assume
from hypothesis_graphql import queries

from graph.database.reads import json_statement
from graph.execution.failures import RequestRejected
from graph.execution.planning.variables import Variables, argument_reader
from graph.relay import to_global_id
from graph.schema.node import ENTITIES
from tests.conftest import recorded
from tests.execution.generator import Drawn, Known, operations
from tests.execution.oracle import (
    PER_STORE,
    SCHEMA,
    both_ways,
    by_the_book,
    for_all,
    is_valid,
    parsed,
    parts_of,
)
from tests.rows import cursor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graphql import (
        ArgumentNode,
        DocumentNode,
        ObjectFieldNode,
        SelectionSetNode,
        ValueNode,
        VisitorAction,
    )
    from graphql.execution.values import VariableValues


EXAMPLES = int(os.environ.get("GRAPH_TEST_EXAMPLES", "1200"))
FIRST_STORE = int(os.environ.get("GRAPH_TEST_SEED", "0"))
STORES = range(FIRST_STORE, FIRST_STORE + max(EXAMPLES // PER_STORE, 1))


@pytest.mark.parametrize("store", STORES, ids=lambda store: f"store {store}")
def test_the_compiled_answer_is_that_of_the_standard_executor(
    database_url: str, store: int
) -> None:
    with both_ways(database_url, store) as (runner, both):

        @for_all(operations(SCHEMA, both.known), store=store, examples=PER_STORE)
        def check(drawn: Drawn) -> None:
            runner.run(both.check(drawn))


@pytest.mark.parametrize("store", STORES[::20], ids=lambda store: f"store {store}")
def test_so_it_is_for_operations_from_elsewhere(database_url: str, store: int) -> None:
    """hypothesis-graphql knows nothing of this schema's cursors and ids."""
    texts = queries(SCHEMA, allow_x00=False, print_ast=with_one_field_for_one_of)
    elsewhere = texts.map(lambda text: Drawn(text, ({},)))
    with both_ways(database_url, store) as (runner, both):

        @for_all(elsewhere, store=store, examples=PER_STORE)
        def check(drawn: Drawn) -> None:
            assume(is_valid(drawn.text))
            runner.run(both.check(drawn))


def with_one_field_for_one_of(document: DocumentNode) -> str:
    """Print a document whose oneOf inputs may have several fields, with one field in each.

    hypothesis-graphql does not know the directive: three of four operations would be invalid.
    """
    info = TypeInfo(SCHEMA)
    return print_ast(visit(document, TypeInfoVisitor(info, WithOneField(info))))


class WithOneField(Visitor):
    """Leaves the first field that is not null; without one the whole value is left out."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info = info

    def enter_argument(self, node: ArgumentNode, *_: Any) -> VisitorAction:
        return REMOVE if self._chosen(node.value) == [] else None

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> VisitorAction:
        return REMOVE if self._chosen(node.value) == [] else None

    def enter_object_value(self, node: ObjectValueNode, *_: Any) -> Any:
        match self._chosen(node):
            case [field]:
                return replace(node, fields=(field,))
            case []:
                return REMOVE  # from a list
        return None

    def _chosen(self, value: ValueNode) -> list[ObjectFieldNode] | None:
        """The field of a oneOf input, if it has one; None for any other value."""
        type_ = get_named_type(self._info.get_input_type())
        if not (isinstance(value, ObjectValueNode) and is_input_object_type(type_)):
            return None
        fields = [each for each in value.fields if not isinstance(each.value, NullValueNode)]
        return fields[:1] if type_.is_one_of else None


def test_so_it_is_before_postgresql_17(database_url: str) -> None:
    """There, JSON is made by another function; the newest PostgreSQL has it too."""
    with (
        patch("graph.database.server.json_function", lambda _driver: "to_json"),
        both_ways(database_url, store=2) as (runner, both),
        recorded(both.compiled.database) as statements,
    ):

        @for_all(operations(SCHEMA, both.known), store=2, examples=PER_STORE)
        def check(drawn: Drawn) -> None:
            runner.run(both.check(drawn))

    assert any("to_json(" in text for text in statements.texts)
    assert not any("json_scalar(" in text for text in statements.texts)


def test_another_name_spacing_or_fragment_is_the_same_statement(database_url: str) -> None:
    with both_ways(database_url, store=1) as (runner, both):

        @for_all(operations(SCHEMA, both.known), store=1, examples=PER_STORE)
        def check(drawn: Drawn) -> None:
            before = runner.run(both.compiled.answers(drawn))
            assume(all(answer.status == 200 for answer in before))
            written = json_statement.cache_info().misses
            for text in other_texts(drawn):
                after = runner.run(both.compiled.answers(Drawn(text, drawn.variables, "Renamed")))
                if not any(b'"errors"' in answer.body for answer in before):
                    assert after == before
            assert json_statement.cache_info().misses == written


def other_texts(drawn: Drawn) -> Iterator[str]:
    """The same operation, named `Renamed`: without its fragments, printed widely and narrowly."""
    operation, fragments = parts_of(parsed(drawn.text), drawn.name)
    renamed = replace(operation, name=NameNode(value="Renamed"))
    inlined = visit(renamed, WithoutFragments(fragments))
    yield print_ast(inlined)
    yield strip_ignored_characters(print_ast(inlined))


class WithoutFragments(Visitor):
    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        super().__init__()
        self._fragments = fragments

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> InlineFragmentNode:
        fragment = self._fragments[node.name.value]
        return InlineFragmentNode(
            type_condition=NamedTypeNode(name=fragment.type_condition.name),
            directives=node.directives,
            selection_set=fragment.selection_set,
        )


# What needs no store: something to name is enough.
SOMETHING = Known()
for entity in ENTITIES:
    SOMETHING.ids[entity] = [to_global_id(entity, key) for key in range(1, 5)]
    SOMETHING.cursors[entity] = [cursor_of(entity, key) for key in range(1, 5)]


def test_variables_and_arguments_are_read_as_graphql_core_reads_them() -> None:
    @for_all(operations(SCHEMA, SOMETHING), store=0, examples=300)
    def check(drawn: Drawn) -> None:
        assume(is_valid(drawn.text) and not drawn.met["mangled document"])
        document = parsed(drawn.text)
        for given_ in drawn.variables:
            operation, _ = parts_of(document, drawn.name)
            expected = by_the_book(operation, given_)
            read = outcome_of(Variables(SCHEMA, operation.variable_definitions or ()), given_)
            if isinstance(expected, list):
                assert isinstance(read, RequestRejected)
                assert list(map(str, read.errors)) == list(map(str, expected))
            else:
                assert not isinstance(read, RequestRejected)
                assert read.coerced == expected.coerced
                visit(document, TypeInfoVisitor(info := TypeInfo(SCHEMA), Arguments(info, read)))


def outcome_of(variables: Variables, given_: dict[str, Any]) -> VariableValues | RequestRejected:
    try:
        return variables.coerced(given_)
    except RequestRejected as refused:
        return refused


class Arguments(Visitor):
    """Compares both ways to the arguments of all fields that it meets."""

    def __init__(self, info: TypeInfo, variables: VariableValues) -> None:
        super().__init__()
        self._info = info
        self._variables = variables

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        definition = self._info.get_field_def()
        assert definition
        read = argument_reader(definition, node)
        expected = self._outcome(lambda: get_argument_values(definition, node, self._variables))
        assert self._outcome(lambda: read(self._variables)) == expected

    def _outcome(self, read: Callable[[], dict[str, Any]]) -> Any:
        try:
            return read()
        except GraphQLError as error:
            return str(error)


def test_operations_of_every_kind_are_drawn() -> None:
    met: Counter[str] = Counter()
    invalid = 0

    @for_all(operations(SCHEMA, SOMETHING), store=0, examples=300)
    def check(drawn: Drawn) -> None:
        nonlocal invalid
        met.update(set(drawn.met))
        if not drawn.met["bad value"] and not drawn.met["mangled document"]:
            with suppress(AttributeError, KeyError):
                invalid += not is_valid(drawn.text)

    assert not invalid
    assert set(met) >= {
        *("alias", "alias that is another field's name", "merged field", "__typename"),
        *("fragment", "fragment in a fragment", "fragment spread again", "inline fragment"),
        *("condition on another type", "condition by literal", "condition by variable"),
        *("variable", "variable used again", "variable left out", "variable in an object"),
        *("variable deep in an object", "default", "null", "oneOf", "either end by variables"),
        *("bad value", "one for a list", "empty list"),
        *("first", "last", "after", "before", "offset", "limit", "by", "id", "ids"),
        *("where", "and", "or", "not", "some", "every", "none", "count", "sum", "avg"),
        *("part of a text", "in another case", "rank", "orderBy"),
        *("after under a sort", "before under a sort", "having", "groups by a key's order"),
        *("id of no row", "several operations", "introspection", "mangled document"),
    }


def test_generated_arguments_often_match_rows(database_url: str) -> None:
    """A filter that nothing meets, or a cursor that nothing follows, would test little."""
    asked: Counter[str] = Counter()
    found: Counter[str] = Counter()
    with both_ways(database_url, store=3) as (runner, both):

        @for_all(operations(SCHEMA, both.known), store=3, examples=400)
        def check(drawn: Drawn) -> None:
            answer = json.loads(runner.run(both.compiled.answer(drawn)).body)
            if "errors" not in answer:
                operation, fragments = parts_of(parsed(drawn.text), drawn.name)
                for names, has_rows in lists_in(operation.selection_set, fragments, answer["data"]):
                    asked.update(names)
                    found.update(names if has_rows else ())

    few = {name: (found[name], asked[name]) for name in asked if found[name] < asked[name] / 5}
    assert not few
    assert min(asked[name] for name in ("where", "orderBy", "by", "having")) > 20
    assert min(asked[name] for name in ("after", "before", "offset")) > 3


def lists_in(
    node: SelectionSetNode | None, fragments: dict[str, FragmentDefinitionNode], data: Any
) -> Iterator[tuple[set[str], bool]]:
    """For each list in an answer, the names of its arguments and whether it has elements."""
    for selection in node.selections if node else ():
        if isinstance(selection, FragmentSpreadNode):
            spread = fragments[selection.name.value].selection_set
            yield from lists_in(spread, fragments, data)
        elif isinstance(selection, InlineFragmentNode):
            yield from lists_in(selection.selection_set, fragments, data)
        elif isinstance(selection, FieldNode):
            value = data.get((selection.alias or selection.name).value)
            names = {argument.name.value for argument in selection.arguments or ()}
            listed = value if isinstance(value, list) else [value] if value else []
            for each in listed:
                if not isinstance(each, dict):
                    continue
                rows = [rows for rows in each.values() if isinstance(rows, list)]
                if rows:
                    yield names, any(rows)
                yield from lists_in(selection.selection_set, fragments, each)
            if names & {"by"} and isinstance(value, list):
                yield names, bool(value)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("fragment F on Query { order(by: {id: $id}) { id } } query ($id: ID!) { ...F }", True),
        (
            """query A($id: ID!) { ...F } query B { __typename }
               fragment F on Query { order(by: {id: $id}) { id } }""",
            True,
        ),
        ("{ order(by: {id: $id}) { id } }", False),
    ],
)
def test_a_variable_in_a_one_of_input_is_found_wherever_it_stands(text: str, valid: bool) -> None:
    assert is_valid(text) is valid
