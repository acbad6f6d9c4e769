"""The values of Python resolvers come into the text of the one statement."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import orjson
import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st
from strawberry.dataloader import DataLoader
from strawberry.schema.config import StrawberryConfig

from graph.app import create_app
from graph.errors import ErrorCode
from graph.execution.running import filling
from graph.execution.running.answer_paths import paths_of_marks, with_nulls
from graph.execution.running.request import Request
from graph.schema.connections import Connection  # noqa: TC001  Strawberry reads the annotations
from graph.schema.context import Info  # noqa: TC001
from graph.schema.fields import column, connection
from graph.schema.node import Node
from graph.schema.resolvers import resolver
from graph.schema.scalars import SCALARS, BigInt
from graph.schema.schema import Schema
from graph.settings import ExecutionMode
from graph.store.access import COSTS, READ
from graph.viewer import SYSTEM, Viewer
from tests.conftest import client_of, recorded, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Client

running: Counter[str] = Counter()
batches: list[list[int]] = []


async def _lengths(keys: list[int]) -> list[int]:
    batches.append(keys)
    return [len(str(key)) for key in keys]


@strawberry.type(description="A customer.")
class Customer(Node):
    id: BigInt = column("Number.", name="databaseId")
    first_name: str = column("Given name.")
    town: str = column("Town.")
    orders: Connection[Order] = connection("Orders.")

    @resolver("Both names.", needs=["first_name", "last_name"])
    def full_name(self: Any) -> str:
        return f"{self.first_name} {self.last_name}"

    @resolver("How many of these ran at once.", needs=[], cost=3)
    async def rivals(self) -> int:
        running["now"] += 1
        running["most"] = max(running["most"], running["now"])
        await asyncio.sleep(0.001)
        running["now"] -= 1
        return running["most"]

    @resolver("The digits of its number.", needs=["id"])
    async def digits(self: Any, info: Info) -> int:
        assert info.field_name == "digits"
        return await _loader().load(self.id)

    @resolver("Rows of the same snapshot.", needs=[])
    async def neighbour(self: Any, info: Info) -> bool:
        return await info.context.loaders.node("Customer", self.id % 3 + 1) is not None

    @resolver("What it does not declare.", needs=["first_name"])
    def careless(self: Any) -> str | None:
        return str(self.last_name)

    @resolver("A long text.", needs=[])
    def long(self) -> str:
        return "x" * 10_000

    @resolver("Awaits what somebody else has cancelled.", needs=[])
    async def cancelled(self) -> str | None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    @resolver("Never ends.", needs=[])
    async def endless(self) -> str:
        await asyncio.sleep(60)
        return ""


@strawberry.type(description="An order.")
class Order(Node):
    id: BigInt = column("Number.", name="databaseId")

    @resolver("The moment.", needs=["date_placed", "status", "customer_id", "total"])
    def moment(self: Any) -> str:
        return repr((self.date_placed, self.status, self.customer_id, self.total))


@strawberry.type(description="An item.")
class Item(Node):
    id: BigInt = column("Number.", name="databaseId")

    @resolver("What is earned, which not all may see.", needs=["cost_price", "selling_price"])
    def margin(self: Any) -> Decimal:
        return Decimal(self.selling_price - self.cost_price)


@strawberry.type(description="All customers.")
class Query:
    items: Connection[Item] = connection("All items.")
    customers: Connection[Customer] = connection("All customers.")


schema = Schema(
    query=Query,
    config=StrawberryConfig(scalar_map=SCALARS, enable_experimental_incremental_execution=True),
)
_loaders: dict[int, DataLoader[int, int]] = {}


def _loader() -> DataLoader[int, int]:
    """One for each test, and so for each loop."""
    key = id(asyncio.get_running_loop())
    if key not in _loaders:
        _loaders[key] = DataLoader(load_fn=_lengths, cache=False)
    return _loaders[key]


@pytest.fixture(params=ExecutionMode)
async def client(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    settings = settings_for(database_url, execution=request.param, max_answer_bytes=1_000_000)
    async with client_of(create_app(settings, schema=schema)) as client:
        await fill(client.database, customers=5)
        running.clear()
        batches.clear()
        _loaders.clear()
        yield client


@pytest.fixture
async def compiled(database_url: str) -> AsyncIterator[Client]:
    settings = settings_for(database_url, max_batch=2)
    async with client_of(create_app(settings, schema=schema)) as client:
        await fill(client.database, customers=5)
        running.clear()
        yield client


async def test_values_at_every_depth_are_of_one_statement(compiled: Client) -> None:
    text = """{ customers(first: 2) { edges { cursor node { n: fullName town
                  orders(first: 1) { nodes { moment } } } } pageInfo { hasNextPage } } }"""
    with recorded(compiled.database) as statements:
        data = await compiled(text)

    node = data["customers"]["edges"][0]["node"]
    assert node["n"] == "First1 Last1"
    assert node["orders"]["nodes"][0]["moment"].startswith("(datetime.datetime(")
    assert len(statements) == 1


async def test_async_resolvers_run_together(client: Client) -> None:
    data = await client("{ customers { nodes { rivals } } }")

    assert [node["rivals"] for node in data["customers"]["nodes"]] == [5] * 5


async def test_no_more_async_resolvers_run_than_are_allowed(compiled: Client) -> None:
    with patch.object(filling, "_MAX_RUNNING", 2):
        data = await compiled("{ customers { nodes { rivals } } }")

    assert [node["rivals"] for node in data["customers"]["nodes"]] == [2] * 5


async def test_a_data_loader_has_one_batch_for_a_level(client: Client) -> None:
    data = await client("{ customers { nodes { digits } } }")

    assert [node["digits"] for node in data["customers"]["nodes"]] == [1] * 5
    assert [len(batch) for batch in batches] == [5]


async def test_a_resolver_loads_rows_of_the_same_snapshot(client: Client) -> None:
    with recorded(client.database) as statements:
        data = await client("{ customers { nodes { neighbour fullName } } }")

    assert data["customers"]["nodes"][4] == {"neighbour": True, "fullName": "First5 Last5"}
    assert len(statements) == 2
    assert all(text.startswith("SELECT") for text in statements.texts)


async def test_a_column_that_is_not_declared_is_not_there(client: Client) -> None:
    answer = await client.answer("{ customers(first: 1) { nodes { careless } } }")

    assert answer["data"] == {"customers": {"nodes": [{"careless": None}]}}
    assert answer["errors"][0]["path"] == ["customers", "nodes", 0, "careless"]
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_the_size_of_an_answer_is_limited_when_it_is_filled(client: Client) -> None:
    fields = " ".join(f"a{nth}: long" for nth in range(25))
    answer = await client.answer(f"{{ customers {{ nodes {{ {fields} }} }} }}")

    assert answer["errors"][0]["extensions"]["code"] == ErrorCode.ANSWER_TOO_LARGE


async def test_the_cost_of_a_resolver_is_paid_for_each_row(compiled: Client) -> None:
    async def cost(fields: str) -> int:
        text = f"{{ customers(first: 10) {{ nodes {{ {fields} }} }} }}"
        request = Request(text, {}, wants_cost=True)
        answer = await compiled.execution.answer(request, SYSTEM)
        requested: int = json.loads(answer.body)["extensions"]["cost"]["requested"]
        return requested

    assert await cost("rivals") - await cost("fullName") == 30


async def test_whoever_may_not_see_a_needed_column_may_not_select_the_field(
    client: Client,
) -> None:
    request = Request("{ items(first: 1) { nodes { databaseId margin } } }", {})
    seen = await client.execution.answer(request, Viewer("ann", may=frozenset({READ, COSTS})))
    refused = await client.execution.answer(request, Viewer("bob", may=frozenset({READ})))

    assert "errors" not in json.loads(seen.body)
    (error,) = json.loads(refused.body)["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert error["extensions"]["fields"] == [{"path": "items.nodes.margin", "permissions": [COSTS]}]


async def test_an_operation_that_ends_leaves_no_resolver_running(client: Client) -> None:
    """Warnings are errors in this suite: no coroutine may be left that was never awaited."""
    request, before = Request("{ customers { nodes { endless } } }", {}), asyncio.all_tasks()
    with patch.object(filling, "_MAX_RUNNING", 2), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.execution.answer(request, SYSTEM)
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("fields", ["cancelled", "cancelled endless"])
async def test_a_resolver_that_is_cancelled_by_itself_is_a_defect(
    compiled: Client, fields: str
) -> None:
    """It is no client that has left: that one would wait for an answer that never comes."""
    text = f"{{ customers {{ nodes {{ {fields} }} }} }}"
    batch = [{"query": text}, {"query": "{ customers { totalCount } }"}]
    response = await compiled.http.post("/graphql", json=batch)

    failed, other = response.json()
    assert failed["errors"][0]["extensions"]["code"] == ErrorCode.INTERNAL_SERVER_ERROR
    assert other == {"data": {"customers": {"totalCount": 5}}}
    assert not [task for task in asyncio.all_tasks() if "_await_waiting" in repr(task)]


async def test_a_resolver_that_is_cancelled_by_itself_is_a_defect_of_the_executor_too(
    client: Client,
) -> None:
    answer = await client.answer("{ customers { nodes { cancelled } } }")

    assert answer["errors"][0]["extensions"]["code"] == ErrorCode.INTERNAL_SERVER_ERROR


async def test_a_part_that_is_cancelled_by_itself_ends_its_answer(compiled: Client) -> None:
    text = "{ customers(first: 1) { nodes { town ... @defer { cancelled } } } }"
    headers = {"accept": "multipart/mixed"}
    response = await compiled.http.post("/graphql", json={"query": text}, headers=headers)

    assert '"town"' in response.text
    assert ErrorCode.INTERNAL_SERVER_ERROR in response.text
    assert response.text.endswith("-----\r\n")


_KEYS = st.text(alphabet='ab"\\{}[],:é\n', max_size=4)
_TREES = st.recursive(
    st.none() | st.integers(-9, 9) | _KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(st.from_regex(r"\A[a-z]\w{0,3}\Z"), _TREES, min_size=1, max_size=3))
def test_paths_are_found_in_any_json(data: dict[str, Any]) -> None:
    places = list(_containers(data, ()))
    body = orjson.dumps({"data": data})
    for path in places:
        if not path:
            continue
        nulled = json.loads(json.dumps(data))
        above = nulled
        for key in path[:-1]:
            above = above[key]
        above[path[-1]] = None

        assert json.loads(with_nulls(body, {path}))["data"] == nulled


def _containers(value: Any, path: tuple[Any, ...]) -> Any:
    """The paths of objects and lists whose keys need no escapes, as those of an answer."""
    if isinstance(value, dict | list):
        yield path
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, below in members:
            if isinstance(key, int) or re.fullmatch(r"[a-z]\w*", key, re.ASCII):
                yield from _containers(below, (*path, key))


def test_placeholders_have_paths() -> None:
    body = b'{"data":{"a":[{"b":\x01[1,"}"]\x01},null,{"b":\x01[1]\x01,"c":{"d":\x01[2]\x01}}]}}'

    assert list(paths_of_marks(body)) == [("a", 0, "b"), ("a", 2, "b"), ("a", 2, "c", "d")]
