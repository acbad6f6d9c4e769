"""The schema of a role: all that it can use, and nothing that would be refused."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from graphql import build_schema, find_breaking_changes, validate_schema

from graph.execution.running.request import Request
from graph.execution.schema_view import view_for
from graph.schema.schema import text_of
from graph.store.access import ROLES
from graph.store.schema import schema
from graph.viewer import Viewer
from tests.command_line import complaint, graph, output_of
from tests.execution.generator import Drawn, operations, write_store
from tests.execution.oracle import for_all, is_masked, opened

if TYPE_CHECKING:
    from graphql import GraphQLSchema

FULL = text_of(schema)
NEVER = {
    "anonymous": ("costPrice", "COST_PRICE", "customer", "Order", "history", "Mutation"),
    "customer": ("costPrice", "COST_PRICE", "actor", "createItem", "advanceOrder"),
    "clerk": ("costPrice", "COST_PRICE", "createItem", "importItems"),
    "manager": (),
}


def of_role(role: str) -> GraphQLSchema:
    return build_schema(view_for(FULL, ROLES[role]))


@pytest.mark.parametrize("role", ROLES)
def test_it_is_a_schema_without_what_the_role_may_not_use(role: str) -> None:
    text = view_for(FULL, ROLES[role])
    viewed = build_schema(text)
    assert validate_schema(viewed) == []
    without_viewer = text.replace("Customer]", "").split("type Viewer")[0]
    assert [name for name in NEVER[role] if f"  {name}" in without_viewer] == []
    # What is left is as it is for everybody.
    assert find_breaking_changes(viewed, build_schema(FULL)) == []


def test_a_manager_can_use_all_of_it() -> None:
    full, viewed = build_schema(FULL), of_role("manager")
    removed = [str(change) for change in find_breaking_changes(full, viewed)]
    unused = {name for name in full.type_map if name not in viewed.type_map}
    assert all(any(name in change for name in unused) for change in removed)


@pytest.mark.parametrize("role", ROLES)
def test_nothing_in_it_is_refused(database_url: str, role: str) -> None:
    """The generator draws operations over the role's schema; each is run as that role."""
    viewer = Viewer("somebody", role, ROLES[role], own=1)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            both = runner.run(opened(stack, database_url, 1, schema, write_store))
            both.known.ask = lambda text: runner.run(both.standard.data(text))

            @for_all(operations(of_role(role), both.known), store=1, examples=100)
            def check(drawn: Drawn) -> None:
                request = Request(drawn.text, drawn.variables[0], drawn.name)
                answer = runner.run(both.compiled.execution.answer(request, viewer))
                assert answer.status not in {401, 403}, answer.body
                assert not is_masked(answer)

        finally:
            runner.run(stack.aclose())


def test_the_command_prints_it() -> None:
    assert output_of(graph("schema", "--as", "clerk")) == view_for(FULL, ROLES["clerk"])
    assert "must be one of anonymous, customer" in complaint(graph("schema", "--as", "boss"))
    assert "does not go with" in complaint(graph("schema", "--as", "clerk", "--check"))
