"""Incremental delivery: the merged parts equal the whole answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from graphql import (
    FieldNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    parse,
    print_ast,
    visit,
)
from hypothesis import assume
from hypothesis import strategies as st

from graph.errors import TimedOut
from graph.execution.running.charging import Charging
from graph.execution.running.execute import Execution
from graph.execution.running.executor import _Pace
from graph.execution.running.rate_limit import MemoryTokenBuckets
from graph.execution.running.request import Request
from graph.relay import to_global_id
from graph.store.schema import schema
from graph.viewer import SYSTEM
from tests.conftest import recorded
from tests.execution.generator import Drawn, operations
from tests.execution.oracle import SCHEMA, both_ways, for_all, is_valid
from tests.rows import fill

if TYPE_CHECKING:
    from random import Random

    from graphql import SelectionNode

    from graph.database.engine import Database


def request_of(text: str, **variables: Any) -> Request:
    text += ORDERS if "...Orders" in text else ""
    return Request(text, variables, takes_parts=True)


async def parts_of(execution: Execution, text: str, **variables: Any) -> list[dict[str, Any]]:
    """All parts of an answer; one if it is whole."""
    return await parts_of_request(execution, request_of(text, **variables))


async def parts_of_request(execution: Execution, request: Request) -> list[dict[str, Any]]:
    answer = await execution.answer(request, SYSTEM)
    found = [json.loads(answer.body)]
    if answer.parts:
        try:
            found += [json.loads(part) async for part, _ in answer.parts]
        finally:
            await answer.parts.close()
    return found


async def whole(execution: Execution, text: str, **variables: Any) -> dict[str, Any]:
    request = replace(request_of(text, **variables), takes_parts=False)
    answer = await execution.answer(request, SYSTEM)
    assert answer.parts is None
    return dict(json.loads(answer.body))


def merged(parts: list[dict[str, Any]]) -> Any:
    """What a client makes of the parts (specification draft, "Incremental Delivery")."""
    first, *rest = parts
    assert [part.get("hasNext", False) for part in parts] == [True] * len(rest) + [False]
    pending = {each["id"]: each for each in first.get("pending", [])}
    for part in rest:
        pending |= {each["id"]: each for each in part.get("pending", [])}
        for each in part.get("incremental", []):
            target = first["data"]
            for step in (*pending[each["id"]]["path"], *each.get("subPath", [])):
                target = target[step]
            if "items" in each:
                target += each["items"]
            else:
                merge(target, each["data"])
        for each in part.get("completed", []):
            assert "errors" not in each
            del pending[each["id"]]
    assert not pending
    return first["data"]


def merge(target: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            # What was said already is not said again, and surely not otherwise.
            assert key not in target or target[key] == value
            target[key] = value


@pytest.fixture
async def execution(database: Database) -> Execution:
    await fill(database, customers=3, orders=2, lines=2)
    return Execution(schema, database)


# Stands at the end of each document that spreads it.
ORDERS = """
fragment Orders on Customer {
  orders { nodes { databaseId lineItems { nodes { quantity item { name } } } } }
}"""


@pytest.mark.parametrize(
    ("text", "first", "pending", "statements"),
    [
        (
            "{ customers(first: 2) { nodes { databaseId ... @defer { username } } } }",
            {"customers": {"nodes": [{"databaseId": "1"}, {"databaseId": "2"}]}},
            [["customers", "nodes", 0], ["customers", "nodes", 1]],
            [1, 0],
        ),
        (
            "{ customers(first: 2) { nodes { databaseId ... @defer { ...Orders } } } }",
            {"customers": {"nodes": [{"databaseId": "1"}, {"databaseId": "2"}]}},
            [["customers", "nodes", 0], ["customers", "nodes", 1]],
            [1, 3],
        ),
        (
            "{ customers { nodes @stream(initialCount: 1) { ...Orders } } }",
            None,
            [["customers", "nodes"]],
            [4, 3],
        ),
        (
            "{ customers { edges @stream { cursor node { databaseId ...Orders } } } }",
            {"customers": {"edges": []}},
            [["customers", "edges"]],
            [1, 3],
        ),
        (
            "{ customers(last: 1) { nodes { id } ... @defer { totalCount count { value } } } }",
            {"customers": {"nodes": [{"id": to_global_id("Customer", 3)}]}},
            [["customers"]],
            [1, 2],
        ),
        (
            "{ items(first: 1) { nodes { name } } ... @defer { customers { totalCount } } }",
            {"items": {"nodes": [{"name": "Item 1"}]}},
            [[]],
            [1, 1],
        ),
        (
            "{ customers(first: 1) { ... @defer { nodes { ...Orders } } totalCount } }",
            {"customers": {"totalCount": 3}},
            [["customers"]],
            [2, 3],
        ),
        (
            "{ customers(first: 1) { edges { cursor ... @defer { node { ...Orders } } } } }",
            None,
            [["customers", "edges", 0]],
            [1, 3],
        ),
    ],
    ids=[
        *("columns", "a tree", "nodes", "edges", "counts"),
        *("a root field", "nodes deferred", "a node deferred"),
    ],
)
async def test_deferred_rows_are_loaded_when_they_are_reached(
    execution: Execution,
    database: Database,
    text: str,
    first: Any,
    pending: list[Any],
    statements: list[int],
) -> None:
    """One statement for each edge and level, however many objects are put off."""
    with recorded(database) as sql:
        answer = await execution.answer(request_of(text), SYSTEM)
        assert answer.parts
        counts = [len(sql)]
        parts = [json.loads(answer.body), *[json.loads(part) async for part, _ in answer.parts]]
        counts.append(len(sql) - counts[0])
        await answer.parts.close()

    assert [each["path"] for each in parts[0]["pending"]] == pending
    if first is not None:
        assert parts[0]["data"] == first
    assert counts == statements
    assert merged(parts) == (await whole(execution, text))["data"]


async def test_parts_come_in_the_order_of_the_document(execution: Execution) -> None:
    """One that is cheap does not wait for an expensive one after it."""
    text = """{ customers(first: 2) { nodes {
        ... @defer(label: "count") { few: orders(first: 1) { totalCount } }
        ... @defer(label: "lines") { ...Orders }
    } } }"""

    first, *rest = await parts_of(execution, text)

    labels = {each["id"]: each["label"] for each in first["pending"]}
    came = [labels[each["id"]] for part in rest for each in part["incremental"]]
    assert came == ["count", "count", "lines", "lines"]
    assert len(rest) == 2


async def test_nested_deferred_fragments_are_announced_with_the_outer_one(
    execution: Execution,
) -> None:
    text = """{ customers(first: 1) { nodes {
        ... @defer(label: "outer") { orders(first: 1) { nodes {
            databaseId ... @defer(label: "inner") { lineItems { totalCount } }
        } } }
    } } }"""

    first, *rest = await parts_of(execution, text)

    assert [each["label"] for each in first["pending"]] == ["outer"]
    assert [each["label"] for part in rest for each in part.get("pending", [])] == ["inner"]
    assert merged([first, *rest]) == (await whole(execution, text))["data"]


@pytest.mark.parametrize(
    "text",
    [
        "{ customers(first: 1) { nodes { ... @defer(if: false) { username } } } }",
        "query ($no: Boolean!) { customers(first: 1) { nodes @stream(if: $no) { username } } }",
        "{ customer(by: {databaseId: 99}) { ... @defer { username } } }",
        "{ customers(first: 1) { nodes @stream(initialCount: 5) { username } } }",
        "{ customers(first: 1) { nodes { username ... @defer { username } } } }",
    ],
    ids=["by a literal", "by a variable", "below null", "all at first", "wanted at once as well"],
)
async def test_an_answer_without_anything_to_put_off_is_whole(
    execution: Execution, text: str
) -> None:
    (part,) = await parts_of(execution, text, no=False)
    assert part == await whole(execution, text, no=False)


async def test_a_client_without_parts_gets_one_statement(
    execution: Execution, database: Database
) -> None:
    text = "{ customers { nodes @stream { databaseId ... @defer { ...Orders } } } }"
    with recorded(database) as sql:
        answer = await whole(execution, text)
    assert len(sql) == 1
    assert answer["data"]["customers"]["nodes"][2]["orders"]["nodes"][0]["databaseId"] == "5"


@pytest.mark.parametrize(
    "text",
    [
        "{ customers { nodes @stream(initialCount: -1) { id } } }",
        "query ($no: Int = null) { customers { nodes @stream(initialCount: $no) { id } } }",
    ],
)
async def test_a_list_cannot_begin_with_less_than_nothing(execution: Execution, text: str) -> None:
    for answer in (await whole(execution, text), *await parts_of(execution, text)):
        (error,) = answer["errors"]
        assert "'initialCount' of '@stream' must be 0 or more" in error["message"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_mutations_answer_as_a_whole(execution: Execution) -> None:
    text = """mutation { createItem(input: {name: "A", costPrice: "1", sellingPrice: "2"}) {
        ... on ItemSaved { item { name ... @defer { sellingPrice } } }
    } }"""
    (part,) = await parts_of(execution, text)
    assert part == {"data": {"createItem": {"item": {"name": "A", "sellingPrice": "2.00"}}}}


async def test_each_part_has_a_cost(execution: Execution) -> None:
    async def cost(fields: str, *, in_parts: bool = True) -> int:
        text = f"{{ customers(first: 10) {{ nodes {{ {fields} }} }} }}"
        request = Request(text, {}, wants_cost=True, takes_parts=in_parts)
        answer = await execution.answer(request, SYSTEM)
        if answer.parts:
            await answer.parts.close()
        return int(json.loads(answer.body)["extensions"]["cost"]["requested"])

    deferred = "id ... @defer { email } ... @defer { town }"
    assert await cost(deferred) == await cost("id") + 200
    assert await cost(deferred, in_parts=False) == await cost("id")


async def test_the_cost_of_missing_objects_is_refunded_at_the_end(database: Database) -> None:
    await fill(database, customers=3)
    token_buckets = MemoryTokenBuckets(1_000, 0.001)
    execution = Execution(schema, database, charging=Charging(token_buckets, cost_per_ms=0))
    text = "{ customers(first: 100) { nodes @stream(initialCount: 1) { id } } }"
    request = Request(text, {}, client="a", takes_parts=True, wants_cost=True)
    answer = await execution.answer(request, SYSTEM)
    assert answer.parts
    assert json.loads(answer.body)["extensions"]["cost"]["requested"] == 101
    assert [part async for part, _ in answer.parts]
    await answer.parts.close()
    await token_buckets.consume("a", 980)


async def test_the_wrapping_of_parts_does_not_count_as_objects(
    database: Database,
) -> None:
    """All that was paid for comes, so nothing is given back but what parts did not hold."""
    await fill(database, customers=4, orders=3, lines=0)
    paid = []
    for text in (
        "{ customers(first: 4) { nodes { id orders(first: 3) { nodes { id } } } } }",
        "{ customers(first: 4) { nodes { id ... @defer { orders(first: 3) { nodes { id } } } } } }",
        "{ customers(first: 4) { nodes @stream { id orders(first: 3) { nodes { id } } } } }",
    ):
        token_buckets = MemoryTokenBuckets(1_000, 0.001)
        execution = Execution(schema, database, charging=Charging(token_buckets, cost_per_ms=0))
        await parts_of_request(execution, replace(request_of(text), client="a"))
        paid.append(round(1_000 - token_buckets._buckets["a"][0]))  # noqa: SLF001

    whole_price = 1 + 4 * (1 + 1 + 3)
    assert paid == [whole_price, whole_price + 40, whole_price]


@pytest.mark.parametrize("taken", [0, 1, 2])
async def test_a_disconnected_client_leaves_nothing_behind(
    execution: Execution, database: Database, taken: int
) -> None:
    text = """{ customers(first: 1) { nodes {
        ... @defer(label: "count") { few: orders(first: 1) { totalCount } }
        ... @defer(label: "lines") { ...Orders }
    } } }"""
    answer = await execution.answer(request_of(text), SYSTEM)
    assert answer.parts
    rest = aiter(answer.parts)
    for _ in range(taken):
        await anext(rest)
    last = json.loads(answer.parts.broken_off(TimedOut()))
    await answer.parts.close()

    assert last["hasNext"] is False
    codes = [each["errors"][0]["extensions"]["code"] for each in last["completed"]]
    assert codes == ["TIMEOUT"] * (2 - taken)
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_fragment_that_is_deferred_often_selects_as_often(execution: Execution) -> None:
    """Each spread has its own fields to look at, until it is known that they are the same."""
    fields = "... Town @defer " * 49
    text = f"{{ customers {{ nodes {{ {fields} }} }} }} fragment Town on Customer {{ %s }}"
    assert "errors" not in await whole(execution, text % ("town " * 10))

    (error,) = (await whole(execution, text % ("town " * 105)))["errors"]
    assert error["extensions"]["code"] == "OPERATION_TOO_LARGE"


async def test_a_first_part_that_cannot_be_encoded_holds_no_connection(
    execution: Execution, database: Database
) -> None:
    with patch("graph.execution.running.parts._initial", return_value={"data": {1, 2}}):
        (part,) = await parts_of(execution, "{ customers { nodes { id ...Orders @defer } } }")

    assert part["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_large_answer_lets_others_have_their_turn(database: Database) -> None:
    await fill(database, customers=10, orders=40, lines=0)
    text = "{ customers { nodes { ... @defer { orders(first: 40) { nodes { id status } } } } } }"
    in_turns: list[int] = [0]

    class Counted(_Pace):
        def spend(self, fields: int) -> bool:
            in_turns[-1] += fields
            return super().spend(fields)

    async def others() -> None:
        while True:
            await asyncio.sleep(0)
            in_turns.append(0)

    with (
        patch("graph.execution.running.executor._FIELDS_A_TURN", 20),
        patch("graph.execution.running.executor._Pace", Counted),
    ):
        others_run = asyncio.create_task(others())
        parts = await parts_of(Execution(schema, database), text)
        others_run.cancel()

    assert sum(in_turns) > 1_000
    assert max(in_turns) < 250, "a list of ten is begun in one turn, with what it defers"
    assert merged(parts) == (await whole(Execution(schema, database), text))["data"]


class Parting(Visitor):
    """Defers and streams here and there."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._labels = 0

    def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> SelectionSetNode:
        return SelectionSetNode(
            selections=tuple(
                self._deferred(each) if self._labels < 10 and self._random.random() < 0.3 else each
                for each in node.selections
            )
        )

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        if node.name.value not in {"nodes", "edges", "groups"} or self._random.random() < 0.5:
            return None
        streamed: Any = selection(f"a @stream(initialCount: {self._random.randrange(3)})")
        return replace(node, directives=(*(node.directives or ()), *streamed.directives))

    def _deferred(self, node: SelectionNode) -> SelectionNode:
        self._labels += 1
        deferred: Any = selection(f'... @defer(label: "part {self._labels}") {{ a }}')
        fragment: SelectionNode = replace(
            deferred, selection_set=SelectionSetNode(selections=(node,))
        )
        return fragment


def selection(text: str) -> SelectionNode:
    (operation,) = parse(f"{{ {text} }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation.selection_set.selections[0]


@pytest.mark.parametrize("store", range(20), ids=lambda store: f"store {store}")
def test_the_parts_of_any_operation_are_the_whole(database_url: str, store: int) -> None:
    in_parts = 0
    with both_ways(database_url, store) as (runner, both):
        drawn_ones = st.tuples(operations(SCHEMA, both.known), st.randoms(use_true_random=False))

        @for_all(drawn_ones, store=store, examples=20)
        def check(drawn_one: tuple[Drawn, Random]) -> None:
            nonlocal in_parts
            drawn, random = drawn_one
            assume(is_valid(drawn.text))
            text = print_ast(visit(parse(drawn.text), Parting(random)))
            assume(is_valid(text))
            request = Request(text, drawn.variables[0], drawn.name, takes_parts=True)
            whole_one = replace(request, takes_parts=False)
            expected = runner.run(both.compiled.execution.answer(whole_one, SYSTEM))
            assume(b'"errors"' not in expected.body)
            parts = runner.run(parts_of_request(both.compiled.execution, request))
            assume("COST_LIMIT_EXCEEDED" not in str(parts[0].get("errors")))
            assert merged(parts) == json.loads(expected.body)["data"]
            in_parts += len(parts) > 1

    assert in_parts > 3
