"""Operations run both ways: compiled, and by Strawberry's executor, which is the oracle."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    get_variable_values,
    parse,
    validate,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields
from hypothesis import HealthCheck, Phase, given, note, seed
from hypothesis import settings as hypothesis_settings

from graph.app import create_app
from graph.execution.planning.compile import Compiled, compile_plan
from graph.execution.running.request import Answer, Request
from graph.settings import ExecutionMode
from graph.store.schema import schema as served
from graph.viewer import SYSTEM
from tests.conftest import recorded, settings_for
from tests.execution.generator import Drawn, Known, known_of, survey, write_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from graphql import DocumentNode, GraphQLSchema
    from graphql.execution.values import VariableValues
    from hypothesis.strategies import SearchStrategy

    from graph.database.engine import Database
    from graph.execution.planning.plan import Plan
    from graph.execution.running.execute import Execution
    from graph.schema.schema import Schema

T = TypeVar("T")

SCHEMA = served._schema  # noqa: SLF001  Strawberry has no other way to it


@dataclass
class Side:
    """One of the two ways, on a pool of its own."""

    execution: Execution
    database: Database

    async def answers(self, drawn: Drawn) -> list[Answer]:
        return [await self.answer(drawn, nth) for nth in range(len(drawn.variables))]

    async def answer(self, drawn: Drawn, nth: int = 0) -> Answer:
        request = Request(drawn.text, drawn.variables[nth], drawn.name)
        return await self.execution.answer(request, SYSTEM)

    async def data(self, text: str) -> Any:
        """What an operation is answered; None if it is refused."""
        answer = await self.execution.answer(Request(text, {}), SYSTEM)
        return json.loads(answer.body).get("data")


@dataclass
class Both:
    """Both ways on one store."""

    compiled: Side
    standard: Side
    known: Known
    schema: GraphQLSchema
    # Floats are written in two ways, but are the same numbers.
    same_bytes: bool = True
    # Resolvers may fail.
    may_fail: bool = False

    async def check(self, drawn: Drawn) -> None:
        """The two answers are the same, and the compiled one takes one statement."""
        answers = []
        with recorded(self.compiled.database) as statements, compilations() as plans:
            for nth in range(len(drawn.variables)):
                statements.clear()
                answers.append(await self.compiled.answer(drawn, nth))
                is_run = answers[-1].status == 200 or is_too_large(answers[-1])
                asks = is_run and asks_the_store(drawn, nth, self.schema)
                assert len(statements) == int(asks)
            assert len(plans) <= len(drawn.variables)

            plans.clear()
            again = await self.compiled.answer(drawn)
            assert not plans, "what was compiled already is compiled again"

        expected = await self.standard.answers(drawn)
        for compiled, standard in zip([*answers, again], [*expected, expected[0]], strict=True):
            assert (compiled.status, in_order(compiled)) == (standard.status, in_order(standard))
            assert compiled.body == standard.body or not self.same_bytes
            assert self.may_fail or not is_masked(compiled)


def in_order(answer: Answer) -> Any:
    """An answer as parsed JSON, the members of its objects in their order; its errors apart.

    Of several errors that make the same object null, any may be answered: async resolvers race.
    """
    body = json.loads(answer.body)
    errors = sorted({_effect(error, body.get("data")) for error in body.get("errors", ())})
    members = dict(json.loads(answer.body, object_pairs_hook=list))
    return {**members, "errors": errors}


def _effect(error: Any, data: Any) -> str:
    """What an error made null, and the error itself if that is its own field."""
    error["extensions"].pop("errorId", None)
    path = error.get("path") or []
    for length, key in enumerate(path):
        if data is None:
            return f"null: {path[:length]}"
        data = data[key]
    return json.dumps(error)


def is_too_large(answer: Answer) -> bool:
    """Whether only the statement could tell that there are too many buckets."""
    return b"With 'emptyBuckets' there are more than" in answer.body


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

    with patch("graph.execution.documents.operation.compile_plan", count):
        yield plans


@lru_cache(maxsize=1)
def parsed(text: str) -> DocumentNode:
    return parse(text)


def asks_the_store(drawn: Drawn, nth: int, schema: GraphQLSchema) -> bool:
    """Whether a root field reads rows: the viewer is known, and has no row here."""
    operation, fragments = parts_of(parsed(drawn.text), drawn.name)
    variables = by_the_book(operation, drawn.variables[nth], schema)
    assert not isinstance(variables, list)
    assert schema.query_type
    details = {name: FragmentDetails(node) for name, node in fragments.items()}
    collected = collect_fields(schema, details, variables, schema.query_type, operation)
    fields = [details[0].node for details in collected.grouped_field_set.values()]
    names = {field.name.value for field in fields}
    return any(not name.startswith("__") and name != "viewer" for name in names)


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
    operation: OperationDefinitionNode, given: dict[str, Any], schema: GraphQLSchema = SCHEMA
) -> VariableValues | list[GraphQLError]:
    return get_variable_values(schema, operation.variable_definitions or (), given, 50)


def is_valid(text: str) -> bool:
    try:
        return not validate(SCHEMA, parsed(text))
    except GraphQLError:
        return False


@contextmanager
def both_ways(
    database_url: str,
    store: int,
    *,
    schema: Schema = served,
    write: Callable[[Database, int], Awaitable[None]] = write_store,
) -> Iterator[tuple[asyncio.Runner, Both]]:
    """Both ways on a database that `write` fills."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            both = runner.run(opened(stack, database_url, store, schema, write))
            both.known.ask = lambda text: runner.run(both.standard.data(text))
            yield runner, both
        finally:
            runner.run(stack.aclose())


async def opened(
    stack: AsyncExitStack,
    database_url: str,
    store: int,
    schema: Schema,
    write: Callable[[Database, int], Awaitable[None]],
) -> Both:
    sides = {}
    for mode in ExecutionMode:
        app = create_app(settings_for(database_url, execution=mode, pool_size=1), schema=schema)
        state: Any = await stack.enter_async_context(app.router.lifespan_context(app))
        sides[mode] = Side(state["execution"], state["database"])
    compiled, standard = sides[ExecutionMode.COMPILED], sides[ExecutionMode.RESOLVERS]
    # A third of the time would go into parsing and validating, which both do alike.
    planners = (standard.execution._planner, compiled.execution._planner)  # noqa: SLF001
    planners[0].documents = planners[1].documents
    await write(standard.database, store)
    core = schema._schema  # noqa: SLF001
    known = known_of(core, await standard.data(survey(core)))
    return Both(compiled, standard, known, core)


PER_STORE = 50


def for_all(
    drawn: SearchStrategy[T], *, store: int, examples: int, shrinks: bool = True
) -> Callable[[Callable[[T], None]], None]:
    """Run a check with so many examples, the same in every run."""

    def run(check: Callable[[T], None]) -> None:
        @seed(store)
        @hypothesis_settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate, *([Phase.shrink] if shrinks else [])),
            suppress_health_check=list(HealthCheck),
        )
        @given(drawn)
        def noted(drawn: T) -> None:
            note(f"Again: GRAPH_TEST_SEED={store} GRAPH_TEST_EXAMPLES={PER_STORE}")
            check(drawn)

        noted()

    return run
