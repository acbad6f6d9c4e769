"""Each mutation is a transaction; those of `@atomic` share one. Conflicts are retried."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import strawberry
from sqlalchemy import text
from strawberry.schema.config import StrawberryConfig

from graph.app import create_app
from graph.database.transaction import RetryableConflict, Transaction
from graph.relay import to_global_id
from graph.schema.build import build
from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.store.mutations.results import ItemSaved
from graph.store.queries import Query
from tests.conftest import Client, all_returned, client_of, recorded, settings_for
from tests.execution.test_failures import connected, end_connections, waiting_for_a_lock
from tests.mutations import ANY, mutation, run
from tests.rows import fill

if TYPE_CHECKING:
    from graph.settings import Settings


@pytest.fixture(params=["compiled", "resolvers"])
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


ITEMS = [to_global_id("Item", number) for number in range(1, 6)]


def adjust(item: int, by: int, key: str | None = None, more: str = "") -> str:
    """A change of stock. With a key it is made step by step, and not in one statement."""
    directive = f'@idempotent(key: "{key}")' if key else ""
    return f"""adjustStock(input: {{id: "{to_global_id("Item", item)}", change: {{by: {by}}},
        expectedVersion: {{any: true}}}}{more}) {directive} {{ __typename
            ... on ItemSaved {{ item {{ stock }} }}
            ... on NotAllowed {{ reasons {{ code message }} }} }}"""


async def stocked(client: Client) -> Client:
    await fill(client.database, customers=1, orders=0, items=5)
    async with client.database.write() as session:
        await session.execute(text("UPDATE items SET stock = 10"))
    return client


async def stock(client: Client) -> list[int]:
    async with client.database.write() as session:
        return list(await session.scalars(text("SELECT stock FROM items ORDER BY id")))


def saved(pieces: int) -> dict[str, Any]:
    return {"__typename": "ItemSaved", "item": {"stock": pieces}}


async def test_mutations_run_in_order_and_each_for_itself(client: Client) -> None:
    await stocked(client)

    data = await client(
        f"mutation {{ a: {adjust(1, -4)} b: {adjust(1, -7)} c: {adjust(1, -6)} t: __typename }}"
    )

    assert data == {
        "a": saved(6),
        "b": {"__typename": "InsufficientStock"},
        "c": saved(0),
        "t": "Mutation",
    }
    assert list(data) == ["a", "b", "c", "t"]


async def test_atomic_mutations_are_all_done(client: Client) -> None:
    await stocked(client)

    data = await client(f"mutation @atomic {{ a: {adjust(1, -4)} b: {adjust(1, -6)} }}")

    assert data == {"a": saved(6), "b": saved(0)}
    assert await stock(client) == [0, 10, 10, 10, 10]


async def test_atomic_mutations_are_none_of_them_done_if_one_is_refused(client: Client) -> None:
    await stocked(client)

    data = await client(
        f"mutation @atomic {{ a: {adjust(1, -4, 'k')} b: {adjust(2, -11)} c: {adjust(3, 1)} }}"
    )

    message = "Nothing was changed, as 'b' was refused."
    rolled_back = {
        "__typename": "NotAllowed",
        "reasons": [{"code": "ROLLED_BACK", "message": message}],
    }
    assert data == {"a": rolled_back, "b": {"__typename": "InsufficientStock"}, "c": rolled_back}
    assert await stock(client) == [10] * 5
    again = await client.answer(f"mutation {{ a: {adjust(1, -4, 'k')} }}")
    assert again == {"data": {"a": saved(6)}}


async def test_atomic_mutations_are_dry_runs_together(client: Client) -> None:
    await stocked(client)
    dry = ", dryRun: true"

    data = await client(
        f"mutation @atomic {{ a: {adjust(1, -4, more=dry)} b: {adjust(1, -1, more=dry)} }}"
    )
    mixed = await client.answer(
        f"mutation @atomic {{ a: {adjust(1, -4, more=dry)} b: {adjust(1, -1)} }}"
    )

    assert data == {"a": saved(6), "b": saved(5)}
    assert mixed["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert await stock(client) == [10] * 5


async def test_an_empty_operation_is_no_transaction(client: Client) -> None:
    with recorded(client.database) as statements:
        data = await client("mutation @atomic { __typename }")
        other = await client('mutation { createItem(input: {name: "x", costPrice: "1", '
                             'sellingPrice: "1"}) @skip(if: true) { __typename } }')  # fmt: skip

    assert (data, other) == ({"__typename": "Mutation"}, {})
    assert len(statements) == 0


async def test_a_deadlock_is_retried(client: Client) -> None:
    """Two atomic operations take the same rows in opposite order."""
    await stocked(client)
    there = f"mutation @atomic {{ a: {adjust(1, -1)} b: {adjust(2, -1)} c: {adjust(3, -1)} }}"
    back = f"mutation @atomic {{ a: {adjust(3, -1)} b: {adjust(2, -1)} c: {adjust(1, -1)} }}"

    answers = await asyncio.gather(*(client.answer(query) for query in [there, back] * 4))

    assert all("errors" not in answer for answer in answers)
    assert await stock(client) == [2, 2, 2, 10, 10]


async def test_a_mutation_that_always_conflicts_is_given_up(
    client: Client,
) -> None:
    await stocked(client)
    attempts = 0

    async def interrupted(*_: Any) -> None:
        nonlocal attempts
        attempts += 1
        raise RetryableConflict

    with patch.object(Transaction, "commit", interrupted):
        response = await client.http.post(
            "/graphql", json={"query": f"mutation {{ {adjust(1, -1, 'k1')} }}"}
        )

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TRY_AGAIN"
    assert attempts == 6
    assert await stock(client) == [10] * 5


async def test_a_store_lost_before_the_end_has_changed_nothing(
    client: Client, database_url: str
) -> None:
    await stocked(client)
    async with connected(database_url) as other, other.transaction():
        await other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(
            client.http.post("/graphql", json={"query": f"mutation {{ {adjust(1, -1)} }}"})
        )
        await waiting_for_a_lock(database_url)
        await end_connections(database_url)
    response = await running

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert await stock(client) == [10] * 5
    assert await client(f"mutation {{ {adjust(1, -1)} }}") == {"adjustStock": saved(9)}


async def test_a_store_lost_while_it_commits_leaves_the_outcome_open(
    client: Client, database_url: str
) -> None:
    await stocked(client)
    commit = Transaction.commit

    async def lost(transaction: Transaction) -> None:
        await end_connections(database_url)
        await commit(transaction)

    with patch.object(Transaction, "commit", lost):
        response = await client.http.post(
            "/graphql", json={"query": f"mutation {{ {adjust(1, -1, 'k1')} }}"}
        )

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "OUTCOME_UNKNOWN"


async def test_one_that_fails_leaves_the_others_their_answers(client: Client) -> None:
    await stocked(client)
    fetch = Transaction.fetch

    async def broken(self: Transaction, sql: str, *parameters: Any) -> list[Any]:
        if parameters and parameters[0] == 2:
            raise RuntimeError("the password is hunter2")
        return await fetch(self, sql, *parameters)

    with patch.object(Transaction, "fetch", broken):
        fields = " ".join(f"{key}: {adjust(nth, -1, key)}" for nth, key in enumerate("abc", 1))
        answer = await client.answer(f"mutation {{ {fields} }}")

    assert answer["data"] == {"a": saved(9), "b": None, "c": saved(9)}
    (error,) = answer["errors"]
    assert (error["path"], error["message"]) == (["b"], "internal error")
    assert "hunter2" not in str(answer)
    assert await all_returned(client.database)


async def test_a_mutation_that_is_cancelled_changes_nothing_and_gives_its_connection_back(
    client: Client, database_url: str
) -> None:
    await stocked(client)
    async with connected(database_url) as other, other.transaction():
        await other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(client.answer(f"mutation {{ {adjust(1, -1, 'k1')} }}"))
        await waiting_for_a_lock(database_url)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await all_returned(client.database)

    assert await stock(client) == [10] * 5


async def test_a_mutation_cannot_be_sent_by_get(client: Client) -> None:
    query = f"mutation {{ {adjust(1, -1)} }}"
    response = await client.http.get("/graphql", params={"query": query})

    assert response.status_code == 405


async def test_the_selection_is_checked_before_anything_runs(client: Client) -> None:
    await stocked(client)
    query = mutation("adjustStock").replace(
        "item { id", "item { orderLines(first: 101) { nodes { id } } id"
    )

    with recorded(client.database) as statements:
        answer = await client.answer(
            query, input={"id": ITEMS[0], "change": {"by": 1}, "expectedVersion": ANY}
        )

    assert answer["errors"][0]["extensions"]["code"] == "INVALID_PAGE"
    assert len(statements) == 0


# Mutations of one's tx


@strawberry.type(description="Mutations without a declaration.")
class Extended:
    @strawberry.mutation(description="Empties the shelves.")  # type: ignore[untyped-decorator,unused-ignore]
    async def sell_out(self, info: Info, fail: bool = False) -> list[int]:  # noqa: FBT002
        rows = await info.context.transaction.fetch("UPDATE items SET stock = 0 RETURNING id")
        if fail:
            raise RuntimeError("the password is hunter2")
        return [row["id"] for row in rows]

    @strawberry.mutation(description="An item, whole.")  # type: ignore[untyped-decorator,unused-ignore]
    async def first(self, info: Info) -> ItemSaved:
        await info.context.transaction.fetch("UPDATE items SET stock = 0 WHERE id = 1")
        return build(ItemSaved, item_id=1)


async def test_a_mutation_of_ones_own_is_a_transaction_too(settings: Settings) -> None:
    extended = Schema(query=Query, mutation=Extended, config=StrawberryConfig(scalar_map=SCALARS))
    async with client_of(create_app(settings, schema=extended)) as client:
        await stocked(client)
        failed = await client.answer("mutation { sellOut(fail: true) }")
        assert failed["errors"][0]["message"] == "internal error"
        assert await stock(client) == [10] * 5

        data = await client("mutation { first { item { stock name } } }")
        assert data == {"first": {"item": {"stock": 0, "name": "Item 1"}}}
        assert len((await client("mutation { sellOut }"))["sellOut"]) == 5
        assert await stock(client) == [0] * 5


async def test_both_execution_paths_give_the_same_success(database_url: str) -> None:
    answers = []
    for mode in ("compiled", "resolvers"):
        async with client_of(create_app(settings_for(database_url, execution=mode))) as client:
            if mode == "compiled":
                await stocked(client)
            lines = [{"itemId": ITEMS[0], "quantity": 2}, {"itemId": ITEMS[4], "quantity": 1}]
            customer = to_global_id("Customer", 1)
            answers.append(
                await run(client, "placeOrder", dry_run=True, customerId=customer, lines=lines)
            )

    order, other = (answer["order"] for answer in answers)
    assert (order["total"], order["status"]) == (other["total"], other["status"])
    assert list(order) == list(other)
