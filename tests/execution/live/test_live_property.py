"""A live query always becomes the answer of a fresh one: for drawn queries and changes.

Changes are plain SQL on any column of any table, so each must be among what the queries are known
to depend on. `GRAPH_TEST_LIVE` is the number of changes of each store, `GRAPH_TEST_SEED` the number
of the first store.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from graphql import (
    FieldNode,
    GraphQLError,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    print_ast,
)
from sqlalchemy import DateTime, String, bindparam, cast, delete, select, update
from sqlalchemy.exc import DBAPIError

from graph.app import create_app
from graph.database.lineage import Read
from graph.execution.live import queries
from graph.execution.planning import dependencies
from graph.execution.running.request import Request
from graph.selection import Attribute, Measure
from graph.store.access import ROLES
from graph.store.models import EVENTS, Base
from graph.viewer import SYSTEM, Viewer
from tests.conftest import administer, settings_for
from tests.execution.generator import known_of, survey
from tests.execution.generator.choices import Choices
from tests.execution.generator.operations import _Writer
from tests.execution.generator.stores import insert_rows, rows_of, write_tables
from tests.execution.oracle import SCHEMA
from tests.execution.test_oracle import FIRST_STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.database.embedded import Cluster
    from graph.database.engine import Database
    from graph.execution.live.stream import Stream
    from graph.execution.running.execute import Execution
    from tests.execution.generator import Known

CHANGES = int(os.environ.get("GRAPH_TEST_LIVE", "60"))
QUERIES = 40
# All has settled before answers are looked at; only a stopped process needs more than a moment.
_SECONDS = 5
TABLES = [table for table in Base.metadata.sorted_tables if table is not EVENTS]


@dataclass
class Watched:
    """A live query, and the same as a query."""

    query: Request
    viewer: Viewer
    stream: Stream
    answer: Any = None

    async def check(self, execution: Execution) -> bool:
        """Take results until one is the fresh answer; whether the answer changed."""
        before = self.answer
        fresh = json.loads((await execution.answer(self.query, self.viewer)).body)
        data = None if fresh["data"] is None else {"live": fresh["data"]}
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                while self.answer is None or self.answer["data"] != data:
                    result = await self.stream.next()
                    assert result is not None, "the stream has ended"
                    self.answer = json.loads(result.body)
        assert self.answer, self.query.query
        assert self.answer["data"] == data, self.query.query
        return before is not None and before != self.answer


def as_live(document: str, name: str | None) -> str:
    """The same document, whose queries are subscriptions."""
    parsed = parse(document)

    def live(node: Any) -> Any:
        if not isinstance(node, OperationDefinitionNode):
            return node
        field = FieldNode(name=NameNode(value="live"), selection_set=node.selection_set)
        return replace(
            node,
            operation=OperationType.SUBSCRIPTION,
            selection_set=SelectionSetNode(selections=(field,)),
        )

    del name
    return print_ast(replace(parsed, definitions=tuple(live(each) for each in parsed.definitions)))


async def watched(
    execution: Execution, known: Known, random: Random, viewer: Viewer
) -> Watched | None:
    """A drawn query that is live now; None if it is refused."""
    drawn = _Writer(SCHEMA, known, Choices(random)).operation()
    try:
        document = as_live(drawn.text, drawn.name)
    except GraphQLError:
        return None
    query = Request(drawn.text, drawn.variables[0], drawn.name)
    request = replace(query, query=document, takes_stream=True)
    answer = await execution.answer(request, viewer)
    return Watched(query, viewer, answer.stream) if answer.stream else None


async def change(database: Database, random: Random) -> None:
    """Change a random row of a random table, if the constraints allow it."""
    table = random.choice(TABLES)
    with suppress(DBAPIError):
        async with database.write() as session:
            keys = list((await session.execute(select(table.c.id))).scalars())
            ids = {
                other.name: list((await session.execute(select(other.c.id))).scalars())
                for other in TABLES
            }
            if not keys or random.random() < 0.15:
                ids[table.name] = [random.randint(100, 10**9)]
                if all(ids[key.column.table.name] for key in table.foreign_keys):
                    await session.execute(insert_rows(table), rows_of(random, table, ids))
                return
            key = random.choice(keys)
            if random.random() < 0.15:
                await session.execute(delete(table).where(table.c.id == key))
                return
            (row,) = rows_of(random, table, {**ids, table.name: [key]})
            columns = [column for column in table.c if not column.primary_key]
            column = random.choice(columns)
            given = bindparam("value", row[column.name], type_=String if is_time(column) else None)
            value = cast(given, column.type)
            await session.execute(
                update(table).where(table.c.id == key).values({column.name: value})
            )


def is_time(column: Any) -> bool:
    """Whether the values of a column are drawn as text."""
    return isinstance(column.type, DateTime)


async def settle(execution: Execution) -> None:
    """Wait until every live query has been run after all changes."""
    hub: Any = execution.hub
    dispatcher = hub._of_queries  # noqa: SLF001
    await hub.catch_up()
    for _ in range(20_000):
        if not dispatcher._requested and not dispatcher._running:  # noqa: SLF001
            return
        await asyncio.sleep(0.001)
    waiting = [group.query.request.query for group in dispatcher._requested]  # noqa: SLF001
    raise TimeoutError(waiting)


async def check_store(database_url: str, store: int, role: str, changes: int) -> int:
    """Watch drawn queries while the store changes; the number of answers that changed."""
    random, changed = Random(f"{store} {role}"), 0  # noqa: S311
    async with AsyncExitStack() as stack:
        app = create_app(settings_for(database_url))
        state: Any = await stack.enter_async_context(app.router.lifespan_context(app))
        execution, database = state["execution"], state["database"]
        async with database.write() as session:
            await write_tables(session, random, TABLES, empty=False)
        viewer = SYSTEM
        if role != "system":
            own = await database.first("SELECT customer_id FROM orders UNION SELECT 1 LIMIT 1")
            viewer = Viewer("somebody", role, ROLES[role], own[0])
        answer = await execution.answer(Request(survey(SCHEMA), {}), SYSTEM)
        known = known_of(SCHEMA, json.loads(answer.body).get("data", answer.body))
        every = [await watched(execution, known, random, viewer) for _ in range(QUERIES)]
        live = [each for each in every if each is not None]
        assert len(live) > QUERIES // 4
        await settle(execution)
        for each in live:
            await each.check(execution)
        for _ in range(changes):
            await change(database, random)
            await settle(execution)
            for each in live:
                changed += await each.check(execution)
        for each in live:
            await each.stream.close()
        assert not execution.hub.is_listening
    return changed


@pytest.fixture(autouse=True)
def without_pauses() -> Iterator[None]:
    with patch.multiple(queries, _LEAST_PAUSE_SECONDS=0, _PAUSES_PER_RUN=0):
        yield


@pytest.mark.parametrize("role", ["system", "customer", "clerk"])
async def test_live_is_a_fresh_answer(database_url: str, role: str) -> None:
    assert await check_store(database_url, FIRST_STORE + 1, role, CHANGES) > CHANGES // 8


# Each leaves something out that answers depend on.
MUTANTS: dict[str, tuple[str, Callable[[ExitStack], None]]] = {}


def mutant(role: str) -> Callable[[Callable[[ExitStack], None]], None]:
    def add(breaks: Callable[[ExitStack], None]) -> None:
        MUTANTS[breaks.__name__] = (role, breaks)

    return add


def _without(stack: ExitStack, *types: type) -> None:
    add_own = dependencies._Reads._add_own  # noqa: SLF001

    def fewer(self: Any, part: Any, rows: Any) -> None:
        if not isinstance(part, types):
            add_own(self, part, rows)

    stack.enter_context(patch.object(dependencies._Reads, "_add_own", fewer))  # noqa: SLF001


@mutant("system")
def filters_and_sorts_do_not_count(stack: ExitStack) -> None:
    _without(stack, Attribute)


@mutant("system")
def measures_do_not_count(stack: ExitStack) -> None:
    _without(stack, Measure)


@mutant("customer")
def rules_do_not_count(stack: ExitStack) -> None:
    stack.enter_context(patch.object(dependencies, "reads_of", lambda *_: ()))


@mutant("system")
def computed_columns_are_not_looked_into(stack: ExitStack) -> None:
    stack.enter_context(patch.object(dependencies, "reads_of_column", _itself_only))


def _itself_only(entity: str, name: str) -> list[Read]:
    return [Read(entity, frozenset({name}))]


@mutant("system")
def rows_that_come_and_go_do_not_count(stack: ExitStack) -> None:
    def is_touched(self: Any, columns: frozenset[str] | None) -> bool:
        return columns is not None and touched(self, columns)

    touched = dependencies.Dependency.is_touched
    stack.enter_context(patch.object(dependencies.Dependency, "is_touched", is_touched))


@pytest.mark.parametrize("name", MUTANTS)
async def test_what_is_left_out_is_found(cluster: Cluster, template: str, name: str) -> None:
    role, breaks = MUTANTS[name]
    with ExitStack() as stack:
        breaks(stack)
        for store in range(1, 4):
            clone = f"live_{os.getpid()}_{name}_{store}"
            made = f"CREATE DATABASE {clone} TEMPLATE {template} STRATEGY file_copy"
            await administer(cluster, made)
            try:
                await check_store(cluster.url(clone), store, role, 150)
            except AssertionError:
                return
            finally:
                await administer(cluster, f"DROP DATABASE {clone} WITH (FORCE)")
    pytest.fail("nothing was found")
