"""One operation, two ways to its answer: the compiled statement, and Strawberry's executor.

The executor is the oracle. Operations are drawn over the schema (`tests.execution.generator`) and
run on small random stores; both answers must be the same text. `GRAPH_TEST_EXAMPLES` says how many
operations are drawn, and `GRAPH_TEST_SEED` with which store they begin: store 17 has the same rows
and operations in every run.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_argument_values,
    get_variable_values,
    parse,
    print_ast,
    strip_ignored_characters,
    validate,
    visit,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields
from hypothesis import HealthCheck, Phase, assume, given, note, seed
from hypothesis import settings as hypothesis_settings
from hypothesis_graphql import queries

from graph.database.reads import text_statement
from graph.execution.compile import Compiled, compile_plan
from graph.execution.execute import Answer, Execution, Request
from graph.execution.failures import Refused
from graph.execution.variables import Variables, argument_reader
from graph.opaque import encode_id
from graph.schema import schema
from graph.schema.types import NOUNS
from graph.server.app import create_app
from graph.settings import ExecutionMode
from graph.viewer import ANONYMOUS
from tests.conftest import recorded, settings_for
from tests.execution.generator import Drawn, Known, known_of, operations, survey, write_store
from tests.store import cursor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graphql import DocumentNode, SelectionSetNode
    from graphql.execution.values import VariableValues
    from hypothesis.strategies import SearchStrategy

    from graph.database.engine import Database
    from graph.execution.plan import Plan

SCHEMA = schema._schema  # noqa: SLF001  Strawberry has no other way to it
EXAMPLES = int(os.environ.get("GRAPH_TEST_EXAMPLES", "2000"))
FIRST_STORE = int(os.environ.get("GRAPH_TEST_SEED", "0"))
PER_STORE = 50
STORES = range(FIRST_STORE, FIRST_STORE + max(EXAMPLES // PER_STORE, 1))


@dataclass
class Side:
    """One of the two ways, on a pool of its own."""

    execution: Execution
    database: Database

    async def answers(self, drawn: Drawn) -> list[Answer]:
        return [await self.answer(drawn, nth) for nth in range(len(drawn.variables))]

    async def answer(self, drawn: Drawn, nth: int = 0) -> Answer:
        request = Request(drawn.text, drawn.variables[nth], drawn.name)
        return await self.execution.answer(request, ANONYMOUS)

    async def data(self, text: str) -> Any:
        """What an operation is answered; None if it is refused."""
        answer = await self.execution.answer(Request(text, {}), ANONYMOUS)
        return json.loads(answer.body).get("data")


@dataclass
class Both:
    """Both ways on one store."""

    compiled: Side
    standard: Side
    known: Known

    async def check(self, drawn: Drawn) -> None:
        """The two answers are the same, and the compiled one takes one statement."""
        answers = []
        with recorded(self.compiled.database) as statements, compilations() as plans:
            for nth in range(len(drawn.variables)):
                statements.clear()
                answers.append(await self.compiled.answer(drawn, nth))
                asks = answers[-1].status == 200 and asks_the_store(drawn, nth)
                assert len(statements) == int(asks)
            assert len(plans) <= len(drawn.variables)

            plans.clear()
            again = await self.compiled.answer(drawn)
            assert not plans, "what was compiled already is compiled again"

        expected = await self.standard.answers(drawn)
        for compiled, standard in zip([*answers, again], [*expected, expected[0]], strict=True):
            assert (compiled.status, in_order(compiled)) == (standard.status, in_order(standard))
            assert compiled.body == standard.body
            assert not is_masked(compiled)


def in_order(answer: Answer) -> Any:
    """An answer as parsed JSON, the members of its objects in their order."""
    return json.loads(answer.body, object_pairs_hook=list)


def is_masked(answer: Answer) -> bool:
    """Whether something happened that nobody foresaw."""
    return b"INTERNAL_SERVER_ERROR" in answer.body


@contextmanager
def compilations() -> Iterator[list[Plan]]:
    """The plans that are compiled meanwhile."""
    plans: list[Plan] = []

    def count(plan: Plan) -> Compiled:
        plans.append(plan)
        return compile_plan(plan)

    with patch("graph.execution.operations.compile_plan", count):
        yield plans


@lru_cache(maxsize=1)
def parsed(text: str) -> DocumentNode:
    return parse(text)


def asks_the_store(drawn: Drawn, nth: int) -> bool:
    """Whether there is a root field that is neither `__typename` nor introspection."""
    operation, fragments = parts_of(parsed(drawn.text), drawn.name)
    variables = by_the_book(operation, drawn.variables[nth])
    assert not isinstance(variables, list)
    assert SCHEMA.query_type
    details = {name: FragmentDetails(node) for name, node in fragments.items()}
    collected = collect_fields(SCHEMA, details, variables, SCHEMA.query_type, operation)
    fields = [details[0].node for details in collected.grouped_field_set.values()]
    return any(not field.name.value.startswith("__") for field in fields)


def parts_of(
    document: DocumentNode, name: str | None
) -> tuple[OperationDefinitionNode, dict[str, FragmentDefinitionNode]]:
    """The operation of this name, and the fragments by theirs."""
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    (operation,) = [
        node for node in found if name is None or (node.name and node.name.value == name)
    ]
    return operation, {fragment.name.value: fragment for fragment in fragments}


def by_the_book(
    operation: OperationDefinitionNode, given: dict[str, Any]
) -> VariableValues | list[GraphQLError]:
    return get_variable_values(SCHEMA, operation.variable_definitions or (), given, 50)


def is_valid(text: str) -> bool:
    try:
        return not validate(SCHEMA, parsed(text))
    except GraphQLError:
        return False


@contextmanager
def both_ways(database_url: str, store: int) -> Iterator[tuple[asyncio.Runner, Both]]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            both = runner.run(opened(stack, database_url, store))
            both.known.ask = lambda text: runner.run(both.standard.data(text))
            yield runner, both
        finally:
            runner.run(stack.aclose())


async def opened(stack: AsyncExitStack, database_url: str, store: int) -> Both:
    sides = {}
    for mode in ExecutionMode:
        app = create_app(settings_for(database_url, execution=mode, pool_size=1))
        state: Any = await stack.enter_async_context(app.router.lifespan_context(app))
        sides[mode] = Side(state["execution"], state["database"])
    compiled, standard = sides[ExecutionMode.COMPILED], sides[ExecutionMode.RESOLVERS]
    # A third of the time would go into parsing and validating, which both do alike.
    standard.execution._documents = compiled.execution._documents  # noqa: SLF001
    await write_store(standard.database, store)
    return Both(compiled, standard, known_of(SCHEMA, await standard.data(survey(SCHEMA))))


def for_all(
    drawn: SearchStrategy[Drawn], *, store: int, examples: int
) -> Callable[[Callable[[Drawn], None]], None]:
    """Run a check with so many examples, the same in every run."""

    def run(check: Callable[[Drawn], None]) -> None:
        @seed(store)
        @hypothesis_settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(drawn)
        def noted(drawn: Drawn) -> None:
            note(f"Again: GRAPH_TEST_SEED={store} GRAPH_TEST_EXAMPLES={PER_STORE}")
            check(drawn)

        noted()

    return run


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
    """hypothesis-graphql knows nothing of this schema's cursors, and draws many invalid values."""
    elsewhere = queries(SCHEMA, allow_x00=False).map(lambda text: Drawn(str(text), ({},)))
    with both_ways(database_url, store) as (runner, both):

        @for_all(elsewhere, store=store, examples=PER_STORE)
        def check(drawn: Drawn) -> None:
            assume(is_valid(drawn.text))
            runner.run(both.check(drawn))


def test_so_it_is_before_postgresql_17(database_url: str) -> None:
    """There, JSON is made by another function; the newest PostgreSQL has it too."""
    with (
        patch("graph.database.engine._json_function", lambda _driver: "to_json"),
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
            written = text_statement.cache_info().misses
            for text in other_texts(drawn):
                after = runner.run(both.compiled.answers(Drawn(text, drawn.variables, "Renamed")))
                if not any(b'"errors"' in answer.body for answer in before):
                    assert after == before
            assert text_statement.cache_info().misses == written


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
for noun in NOUNS:
    SOMETHING.ids[noun] = [encode_id(noun, key) for key in range(1, 5)]
    SOMETHING.cursors[noun] = [cursor_of(noun, key) for key in range(1, 5)]


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
                assert isinstance(read, Refused)
                assert list(map(str, read.errors)) == list(map(str, expected))
            else:
                assert not isinstance(read, Refused)
                assert read.coerced == expected.coerced
                visit(document, TypeInfoVisitor(info := TypeInfo(SCHEMA), Arguments(info, read)))


def outcome_of(variables: Variables, given_: dict[str, Any]) -> VariableValues | Refused:
    try:
        return variables.coerced(given_)
    except Refused as refused:
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


def test_what_is_asked_is_often_there(database_url: str) -> None:
    """A filter that nothing meets, or a cursor that nothing follows, would test little."""
    asked: Counter[str] = Counter()
    found: Counter[str] = Counter()
    with both_ways(database_url, store=3) as (runner, both):

        @for_all(operations(SCHEMA, both.known), store=3, examples=200)
        def check(drawn: Drawn) -> None:
            answer = json.loads(runner.run(both.compiled.answer(drawn)).body)
            if "errors" not in answer:
                operation, fragments = parts_of(parsed(drawn.text), drawn.name)
                for names, has_rows in lists_in(operation.selection_set, fragments, answer["data"]):
                    asked.update(names)
                    found.update(names if has_rows else ())

    few = {name: (found[name], asked[name]) for name in asked if found[name] < asked[name] / 4}
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
