"""A viewer is answered as if nothing else were in the store.

The oracle is a second database with the same rows, from which those that do not exist for the
viewer are deleted, and where hidden columns have other values: both must give the same answer, byte
for byte, in both ways. `GRAPH_TEST_SEED` is the number of the first store.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from sqlalchemy import text

from graph.database import engine, worlds
from graph.database.catalog import RowRule, catalog
from graph.database.reads import JsonQuery, JsonStatement, json_statement
from graph.execution.planning import access
from graph.execution.running.request import Answer, Request
from graph.selection import Attribute, Exists, Measure, Through
from graph.store.access import COSTS, HISTORY, OWN, READ, ROLES
from graph.store.models import Item, Order, OrderLine
from graph.store.schema import schema
from graph.viewer import SYSTEM, Viewer
from tests.conftest import administer
from tests.execution.generator import Drawn, operations, write_store
from tests.execution.oracle import SCHEMA, Both, for_all, is_masked, opened
from tests.execution.test_oracle import FIRST_STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.database.embedded import Cluster

EXAMPLES = int(os.environ.get("GRAPH_TEST_EXAMPLES", "2000")) // 33
STORES = range(FIRST_STORE + 1, FIRST_STORE + 5)
# Some of a service's, which no role has, beside those of the roles.
PERMISSIONS: dict[str, frozenset[str]] = {
    **ROLES,
    "reader": frozenset({READ}),
    "own with costs": frozenset({OWN, COSTS}),
    "history": frozenset({HISTORY}),
    "own with history": frozenset({HISTORY, OWN}),
    "reader with history": frozenset({HISTORY, READ}),
}

_OWN_ORDERS = "SELECT id FROM orders WHERE customer_id = :own"


def cut_for(may: frozenset[str]) -> Iterator[str]:
    """Plain SQL that leaves what exists with these permissions, children first."""
    kept = [
        *(["true"] if {HISTORY, READ} <= may else []),
        *(["entity = 'Item'"] if HISTORY in may else []),
        *(["entity = 'Customer' AND entity_id = :own"] if {HISTORY, OWN} <= may else []),
        *(["order_id IS NOT NULL"] if READ in may else []),
        *([f"order_id IN ({_OWN_ORDERS})"] if OWN in may else []),
    ]
    yield f"DELETE FROM events WHERE ({' OR '.join(kept) or 'false'}) IS NOT TRUE"  # noqa: S608
    if READ not in may:
        own = ":own" if OWN in may else "NULL"
        orders = f"SELECT id FROM orders WHERE customer_id = {own}"  # noqa: S608
        yield f"DELETE FROM order_lines WHERE order_id NOT IN ({orders})"  # noqa: S608
        yield f"DELETE FROM orders WHERE customer_id IS DISTINCT FROM {own}"  # noqa: S608
        yield f"DELETE FROM customers WHERE id IS DISTINCT FROM {own}"  # noqa: S608
    if COSTS not in may:
        yield "UPDATE items SET cost_price = 99999999.99 - cost_price"
        yield (
            "UPDATE events SET payload = payload - 'cost_price'"
            " WHERE entity = 'Item' AND jsonb_typeof(payload) = 'object'"
        )
    if may.isdisjoint({READ, HISTORY}):
        yield "UPDATE events SET actor = 'somebody else' || id"


@dataclass
class Pair:
    """A store, and what of it exists for a viewer, with the operations known of the first."""

    whole: Both
    part: Both
    viewer: Viewer
    answers: int = 0

    async def check(self, drawn: Drawn) -> None:
        if "viewer" in drawn.text:
            return  # which tells of itself
        sees_all = SYSTEM
        if "actions" in drawn.text:  # what may be done with an order is the viewer's, too
            may = self.viewer.may or frozenset()
            sees_all = replace(self.viewer, may=may | {READ, HISTORY, COSTS})
        for variables in drawn.variables:
            request = Request(drawn.text, variables, drawn.name)
            expected = await self.part.compiled.execution.answer(request, sees_all)
            for side in (self.whole.compiled, self.whole.standard):
                answer = await side.execution.answer(request, self.viewer)
                assert not is_masked(answer), answer.body
                if answer.status in {401, 403}:
                    self.check_refusal(answer, drawn)
                else:
                    assert (answer.status, answer.body) == (expected.status, expected.body)
            self.answers += 1

    def check_refusal(self, answer: Answer, drawn: Drawn) -> None:
        """A refusal names fields, and the operation names what the viewer may not read."""
        (error,) = json.loads(answer.body)["errors"]
        assert error["extensions"]["fields"]
        asked = (drawn.text + json.dumps(drawn.variables)).lower().replace("_", "")
        assert any(name in asked for name in self.forbidden())

    def forbidden(self) -> set[str]:
        may = self.viewer.may or frozenset()
        names = set() if COSTS in may else {"costprice"}
        if may.isdisjoint({READ, HISTORY}):
            names |= {"actor"}
        if may.isdisjoint({READ, OWN}):
            names |= {"ustomer", "rder", "lineitems", "history"}
        if may.isdisjoint({READ, OWN, HISTORY}):
            names |= {"event"}
        return names


@contextmanager
def pairs(
    cluster: Cluster, template: str, store: int, *roles: str
) -> Iterator[tuple[Any, list[Pair]]]:
    """One store, and what of it exists for each of the roles."""
    name = f"world_{os.getpid()}_{store}"
    names = [f"{name}_whole", *(f"{name}_{role.replace(' ', '_')}" for role in roles)]
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            whole, *parts = runner.run(_opened(stack, cluster, template, names, store))
            whole.known.ask = lambda asked: runner.run(whole.standard.data(asked))
            made = []
            for role, part in zip(roles, parts, strict=True):
                may = PERMISSIONS[role]
                own = runner.run(_cut(part, may))
                made.append(Pair(whole, part, Viewer("somebody", role, may, own)))
            yield runner, made
        finally:
            runner.run(stack.aclose())
            for each in names:
                runner.run(administer(cluster, f"DROP DATABASE IF EXISTS {each} WITH (FORCE)"))


async def _opened(
    stack: AsyncExitStack, cluster: Cluster, template: str, names: list[str], store: int
) -> list[Both]:
    """The same store in databases of these names."""
    sides = []
    for name in names:
        await administer(cluster, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        sides.append(await opened(stack, cluster.url(name), store, schema, write_store))
    # Each text is read and planned once, whoever sends it: most of the time would go there.
    for part in sides[1:]:
        planner = part.compiled.execution._planner  # noqa: SLF001
        planner.documents = sides[0].compiled.execution._planner.documents  # noqa: SLF001
    return sides


async def _cut(part: Both, may: frozenset[str]) -> int:
    """Delete what does not exist; return the key of the customer who has most orders."""
    busiest = "SELECT customer_id FROM orders GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    async with part.standard.database.write() as session:
        own: int = (await session.execute(text(busiest))).scalar() or 1
        for table in ("items", "events", "orders", "order_lines", "customers"):
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in cut_for(may):
            await session.execute(text(statement), {"own": own} if ":own" in statement else {})
    return own


@pytest.mark.parametrize("store", STORES, ids=lambda store: f"store {store}")
def test_what_does_not_exist_for_a_viewer_changes_no_answer(
    cluster: Cluster, template: str, store: int
) -> None:
    """Each operation is answered to every viewer: 2,160 of them, with some variables each."""
    with pairs(cluster, template, store, *PERMISSIONS) as (runner, viewers):

        @for_all(operations(SCHEMA, viewers[0].whole.known), store=store, examples=EXAMPLES)
        def check(drawn: Drawn) -> None:
            for both in viewers:
                runner.run(both.check(drawn))

        assert all(both.answers for both in viewers)


# Each breaks one thing in the code, and is found by a viewer with these permissions.
MUTANTS: dict[str, tuple[str, Callable[[ExitStack], None]]] = {}


def mutant(role: str) -> Callable[[Callable[[ExitStack], None]], None]:
    def add(breaks: Callable[[ExitStack], None]) -> None:
        MUTANTS[breaks.__name__] = (role, breaks)

    return add


def _with_rules(stack: ExitStack, **rules: tuple[RowRule, ...]) -> None:
    stack.enter_context(patch.dict(catalog.rows, rules))


def _rules_of_own(condition: Any) -> tuple[RowRule, ...]:
    return (RowRule(frozenset({READ})), RowRule(frozenset({OWN}), condition))


_KEY = worlds.own_key(Order.id.type)


@mutant("customer")
def an_alias_has_no_rule(stack: ExitStack) -> None:
    written = worlds._Compiler.visit_table  # noqa: SLF001

    def visit_table(self: Any, table: Any, *arguments: Any, **options: Any) -> str:
        alias = options.get("enclosing_alias")
        if alias is not None and alias.element is table:
            return str(super(worlds._Compiler, self).visit_table(table, *arguments, **options))  # noqa: SLF001
        return written(self, table, *arguments, **options)

    stack.enter_context(patch.object(worlds._Compiler, "visit_table", visit_table))  # noqa: SLF001


@mutant("customer")
def a_rule_sees_the_whole_tables_of_others(stack: ExitStack) -> None:
    any_order = OrderLine.order_id.in_([*range(100)])
    _with_rules(stack, OrderLine=_rules_of_own(any_order))


@mutant("anonymous")
def customers_have_no_rule(stack: ExitStack) -> None:
    _with_rules(stack, Customer=(RowRule(frozenset()),))


@mutant("customer")
def lines_have_no_rule(stack: ExitStack) -> None:
    _with_rules(stack, OrderLine=(RowRule(frozenset()),))


@mutant("reader")
def events_have_no_rule(stack: ExitStack) -> None:
    _with_rules(stack, Event=(RowRule(frozenset()),))


@mutant("history")
def who_may_see_the_history_sees_all_events(stack: ExitStack) -> None:
    _with_rules(stack, Event=(RowRule(frozenset({HISTORY})),))


@mutant("customer")
def orders_are_those_with_the_key_of_the_customer(stack: ExitStack) -> None:
    _with_rules(stack, Order=_rules_of_own(Order.id == _KEY))


@mutant("manager")
def items_without_stock_do_not_exist(stack: ExitStack) -> None:
    _with_rules(stack, Item=(RowRule(frozenset(), Item.stock.is_not(None)),))


@mutant("clerk")
def no_column_is_hidden(stack: ExitStack) -> None:
    stack.enter_context(patch.dict(catalog.needs, clear=True))


@mutant("clerk")
def the_guard_overlooks_filters_and_sorts(stack: ExitStack) -> None:
    _without_uses(stack, Attribute)


@mutant("clerk")
def the_guard_overlooks_measures(stack: ExitStack) -> None:
    _without_uses(stack, Measure)


@mutant("anonymous")
def the_guard_overlooks_filters_across_relationships(stack: ExitStack) -> None:
    _without_uses(stack, Exists, Through, Measure)


def _without_uses(stack: ExitStack, *types: type) -> None:
    uses = access._own_uses  # noqa: SLF001

    def fewer(part: Any, path: tuple[str, ...], entity: str) -> Iterator[Any]:
        return iter(()) if isinstance(part, types) else uses(part, path, entity)

    stack.enter_context(patch.object(access, "_own_uses", fewer))


@mutant("customer")
def a_compiled_statement_serves_every_world(stack: ExitStack) -> None:
    def statement(self: Any, json_function: str, _world: Any) -> Any:
        return json_statement(self._roots, json_function)

    stack.enter_context(patch.object(JsonQuery, "statement", statement))


@mutant("customer")
def loaders_see_everything(stack: ExitStack) -> None:
    async def execute_in(_world: Any, *arguments: Any, **named: Any) -> Any:
        return await everything(worlds.EVERYTHING, *arguments, **named)

    everything = engine.execute_in
    stack.enter_context(patch.object(engine, "execute_in", execute_in))


@mutant("customer")
def the_first_world_is_kept_for_all(stack: ExitStack) -> None:
    first = worlds._world_by(frozenset({READ}))  # noqa: SLF001
    stack.enter_context(patch.object(worlds, "_world_of", lambda _may: first))


@mutant("customer")
def the_viewer_is_somebody_else(stack: ExitStack) -> None:
    written = JsonStatement.parameters
    stack.enter_context(
        patch.object(
            JsonStatement,
            "parameters",
            lambda self, values, own=None: written(self, values, own and own + 1),
        )
    )


@pytest.fixture
def forgets() -> Iterator[Callable[[], None]]:
    """Forgets all worlds, and what was written for them."""

    def forget() -> None:
        for cached in (worlds._world_of, worlds._world_by, worlds.dialect_in, json_statement):  # noqa: SLF001
            cached.cache_clear()

    yield forget
    forget()


@pytest.mark.parametrize("name", MUTANTS)
def test_what_is_broken_is_found(
    cluster: Cluster, template: str, name: str, forgets: Callable[[], None]
) -> None:
    role, breaks = MUTANTS[name]
    with ExitStack() as stack:
        forgets()
        breaks(stack)
        assert any(_is_found(cluster, template, role, store) for store in range(1, 5))


def _is_found(cluster: Cluster, template: str, role: str, store: int) -> bool:
    with pairs(cluster, template, store, role) as (runner, (both,)):
        drawn = operations(SCHEMA, both.whole.known)
        check = for_all(drawn, store=store, examples=200, shrinks=False)
        try:
            check(partial(_run, runner, both))
        except (AssertionError, BaseExceptionGroup):
            return True
    return False


def _run(runner: Any, both: Pair, drawn: Drawn) -> None:
    runner.run(both.check(drawn))
