"""A request with an idempotency key is executed once, however often it is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database.writes import idempotency
from graph.relay import to_global_id
from tests.conftest import Client, client_of, from_address, settings_for
from tests.mutations import mutation
from tests.rows import fill

if TYPE_CHECKING:
    from graph.settings import Settings


@pytest.fixture(params=["compiled", "resolvers"])
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param, idempotency_wait_seconds=0.3)


CREATE = mutation("createItem", key=True)
CHAIR = {"name": "Chair", "costPrice": "9.20", "sellingPrice": "10.80"}
BY_HEADER = mutation("createItem")


async def items(client: Client) -> int:
    count: int = (await client("{ items { totalCount } }"))["items"]["totalCount"]
    return count


async def by_header(
    client: Client, header: str, query: str = BY_HEADER, /, **variables: Any
) -> Any:
    body = {"query": query, "variables": variables}
    response = await client.http.post("/graphql", json=body, headers={"Idempotency-Key": header})
    return response.json()


def code_of(answer: Any) -> str:
    code: str = answer["errors"][0]["extensions"]["code"]
    return code


async def test_the_second_answer_is_the_first_and_marked_as_replayed(client: Client) -> None:
    first = await client.answer(CREATE, input=CHAIR, key="a")
    second = await client.answer(CREATE, input=CHAIR, key="a")
    other = await client.answer(CREATE, input=CHAIR, key="b")

    assert second == first | {"extensions": {"replayed": ["createItem"]}}
    assert other["data"] != first["data"]
    assert "extensions" not in first
    assert await items(client) == 2


@pytest.mark.parametrize("header", ["", '""', " ", '"a', 'a"b', '"a", "b"', "a, b", '"a\\b"'])
async def test_a_header_without_one_whole_key_is_refused(client: Client, header: str) -> None:
    assert code_of(await by_header(client, header, input=CHAIR)) == "INVALID_KEY"
    assert await items(client) == 0


async def test_two_headers_are_refused_even_if_they_are_equal(client: Client) -> None:
    response = await client.http.post(
        "/graphql",
        json={"query": BY_HEADER, "variables": {"input": CHAIR}},
        headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")],
    )

    assert response.status_code == 400
    assert code_of(response.json()) == "INVALID_KEY"
    assert await items(client) == 0


async def test_a_quoted_key_is_the_string_that_it_stands_for(client: Client) -> None:
    first = await by_header(client, r'"say \"a\" or \\"', input=CHAIR)
    again = await client.answer(CREATE, input=CHAIR, key='say "a" or \\')

    assert first["data"]["createItem"]
    assert again["data"]["createItem"]["__typename"] == "IdempotencyMismatch"  # another document


async def test_clients_at_other_addresses_have_keys_of_their_own(client: Client) -> None:
    first = await by_header(client, "a", input=CHAIR)
    async with from_address(client, "203.0.113.7") as stranger:
        other = await by_header(stranger, "a", input=CHAIR)
        again = await by_header(stranger, "a", input=CHAIR)

    assert "extensions" not in other
    assert other["data"] != first["data"]
    assert again["extensions"] == {"replayed": ["createItem"]}
    assert await items(client) == 2


async def test_later_changes_do_not_change_the_stored_answer(client: Client) -> None:
    first = await client.answer(CREATE, input=CHAIR, key="a")
    async with client.database.write() as session:
        await session.execute(text("UPDATE items SET name = 'Table'"))

    assert (await client.answer(CREATE, input=CHAIR, key="a"))["data"] == first["data"]


async def test_the_header_is_a_key_for_a_single_mutation(client: Client) -> None:
    first = await by_header(client, "a", input=CHAIR)
    quoted = await by_header(client, '"a"', input=CHAIR)
    assert quoted == first | {"extensions": {"replayed": ["createItem"]}}

    twice = "mutation ($input: CreateItemInput!) { a: createItem(input: $input) { __typename }"
    twice += " b: createItem(input: $input) { __typename } }"
    assert code_of(await by_header(client, "a", twice, input=CHAIR)) == "INVALID_KEY"
    both = await by_header(client, "c", CREATE, input=CHAIR, key="b")
    assert code_of(both) == "INVALID_KEY"
    same = await by_header(client, "b", CREATE, input=CHAIR, key="b")
    assert same["data"]["createItem"]["item"]["name"] == "Chair"
    assert await by_header(client, "a", "{ items { totalCount } }") == {
        "data": {"items": {"totalCount": 2}}
    }


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb"])
async def test_a_malformed_key_is_refused(client: Client, key: str) -> None:
    answer = await client.answer(CREATE, input=CHAIR, key=key)

    assert code_of(answer) == "INVALID_KEY"
    assert "data" not in answer
    assert await items(client) == 0


async def test_a_key_is_for_one_request(client: Client) -> None:
    await client.answer(CREATE, input=CHAIR, key="a")

    other = CHAIR | {"name": "Table"}
    for query, variables in (
        (CREATE, {"input": other}),
        (CREATE, {"input": CHAIR, "dryRun": False}),
        (CREATE.replace("costPrice", ""), {"input": CHAIR}),
    ):
        answer = await client.answer(query, **variables, key="a")
        assert answer["data"]["createItem"]["__typename"] == "IdempotencyMismatch"
        assert answer["data"]["createItem"]["code"] == "IDEMPOTENCY_MISMATCH"
    assert await items(client) == 1


async def test_white_space_makes_no_other_request(client: Client) -> None:
    first = await client.answer(CREATE, input=CHAIR, key="a")

    again = await client.answer(CREATE.replace("\n", " \n # again\n"), input=CHAIR, key="a")

    assert again["data"] == first["data"]
    assert await items(client) == 1


async def test_an_error_is_not_stored(client: Client) -> None:
    await fill(client.database, customers=1, orders=0, items=1)
    async with client.database.write() as session:
        await session.execute(text("UPDATE items SET stock = 0"))
    basket = [{"itemId": to_global_id("Item", 1), "quantity": 1}]
    order = {"customerId": to_global_id("Customer", 1), "lines": basket}
    place = mutation("placeOrder", key=True)

    refused = await client(place, input=order, key="a")
    async with client.database.write() as session:
        await session.execute(text("UPDATE items SET stock = 1"))
    placed = await client(place, input=order, key="a")

    assert refused["placeOrder"]["__typename"] == "InsufficientStock"
    assert placed["placeOrder"]["order"]["lineItems"]["nodes"][0]["item"]["stock"] == 0


async def test_a_dry_run_is_not_stored(client: Client) -> None:
    dry = await client(CREATE, input=CHAIR, dryRun=True, key="a")
    real = await client(CREATE, input=CHAIR, dryRun=False, key="a")

    assert dry["createItem"]["item"]["name"] == real["createItem"]["item"]["name"] == "Chair"
    assert await items(client) == 1


async def test_of_many_at_once_one_is_done_and_all_are_answered(client: Client) -> None:
    answers = await asyncio.gather(
        *(client.answer(CREATE, input=CHAIR, key="a") for _ in range(20))
    )

    assert all(answer["data"] == answers[0]["data"] for answer in answers)
    assert sum("extensions" not in answer for answer in answers) == 1
    assert await items(client) == 1


async def test_one_that_still_runs_is_waited_for_and_not_for_ever(
    client: Client, settings: Settings
) -> None:
    async with client_of(create_app(settings)) as other:
        async with other.database.write() as session:
            claim = (
                "INSERT INTO idempotency_keys (viewer, key, request) VALUES ('127.0.0.1', 'a', '')"
            )
            await session.execute(text(claim))
            response = await client.http.post(
                "/graphql", json={"query": CREATE, "variables": {"input": CHAIR, "key": "a"}}
            )
            await session.rollback()
        done = await client.answer(CREATE, input=CHAIR, key="a")

    assert response.status_code == 503
    assert code_of(response.json()) == "TRY_AGAIN"
    assert "is running. Nothing was changed; try again." in response.text
    assert done["data"]["createItem"]["item"]["name"] == "Chair"


async def test_keys_expire_and_can_be_used_again(client: Client) -> None:
    await client.answer(CREATE, input=CHAIR, key="a")
    async with client.database.write() as session:
        age = "UPDATE idempotency_keys SET created_on = now() - interval '25 hours'"
        await session.execute(text(age))

    answer = await client.answer(CREATE, input=CHAIR | {"name": "Table"}, key="a")

    assert answer["data"]["createItem"]["item"]["name"] == "Table"
    assert await items(client) == 2


async def test_expired_keys_are_pruned(client: Client) -> None:
    for key in "abc":
        await client.answer(CREATE, input=CHAIR, key=key)
    async with client.database.write() as session:
        age = "UPDATE idempotency_keys SET created_on = now() - interval '25 hours' WHERE key < 'c'"
        await session.execute(text(age))

    assert await idempotency.prune(client.database, kept=timedelta(hours=24)) == 2
    assert await idempotency.prune(client.database, kept=timedelta(hours=24)) == 0
    again = await client.answer(CREATE, input=CHAIR, key="c")
    assert again["extensions"] == {"replayed": ["createItem"]}


async def test_a_key_stands_at_a_mutation_and_nowhere_else(client: Client) -> None:
    for query in (
        '{ items @idempotent(key: "a") { totalCount } }',
        """mutation { createItem(input: {name: "x", costPrice: "1", sellingPrice: "1"})
           { __typename @idempotent(key: "a") } }""",
    ):
        answer = await client.answer(query)
        assert code_of(answer) == "GRAPHQL_VALIDATION_FAILED"
        assert "may only be used on fields of 'Mutation'" in answer["errors"][0]["message"]


async def test_several_mutations_have_a_key_each(client: Client) -> None:
    query = """mutation ($input: CreateItemInput!) {
        a: createItem(input: $input) @idempotent(key: "a") { __typename }
        b: createItem(input: $input) { __typename }
        ...C }
        fragment C on Mutation {
            c: createItem(input: $input) @idempotent(key: "c") { __typename } }"""

    first = await client.answer(query, input=CHAIR)
    second = await client.answer(query, input=CHAIR)

    assert second["data"] == first["data"]
    assert second["extensions"] == {"replayed": ["a", "c"]}
    assert await items(client) == 4
