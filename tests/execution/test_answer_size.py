"""An answer has a largest size, which is checked before it leaves PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database.engine import Database
from graph.execution.running.execute import Execution
from graph.execution.running.request import Request
from graph.relay import to_global_id
from graph.settings import ExecutionMode
from graph.store.schema import schema
from graph.viewer import SYSTEM
from tests.conftest import client_of, settings_for
from tests.execution.running.test_transactions import stocked
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client

# About 30 bytes for each customer.
LIST = "{ customers(first: %d) { nodes { id } } }"
TWO = "{ a: customers(first: %d) { nodes { id } } b: customers(first: %d) { nodes { id } } }"
SMALL, LARGE = 40, 90


def code(answer: dict[str, Any]) -> str:
    assert answer.get("data") is None
    found: str = answer["errors"][0]["extensions"]["code"]
    return found


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_a_larger_answer_is_refused(database_url: str, mode: ExecutionMode) -> None:
    settings = settings_for(database_url, execution=mode, max_answer_bytes=2_000)
    async with client_of(create_app(settings)) as client:
        await fill(client.database, customers=100)
        small = await client(LIST % SMALL)
        both = await client.answer(TWO % (SMALL, SMALL))
        large = await client.answer(LIST % LARGE)
        again = await client(LIST % SMALL)

    assert len(small["customers"]["nodes"]) == SMALL
    assert again == small
    assert code(large) == code(both) == "ANSWER_TOO_LARGE"
    assert "2,000 bytes" in large["errors"][0]["message"]


async def test_the_texts_of_a_larger_answer_do_not_leave_postgresql(database_url: str) -> None:
    settings = settings_for(database_url, max_answer_bytes=100_000)
    database = Database.connect(settings)
    received = []
    fetch = database._row  # noqa: SLF001

    async def noted(*arguments: Any) -> Any:
        received.append(await fetch(*arguments))
        return received[-1]

    database._row = noted  # type: ignore[method-assign,assignment]  # noqa: SLF001
    try:
        await fill(database, customers=100)
        names = " ".join(f"a{n}: lastName" for n in range(100))
        query = f"{{ customers(first: 100) {{ nodes {{ {names} }} }} }}"
        answer = await Execution(schema, database).answer(Request(query, {}), SYSTEM)
    finally:
        await database.close()

    ((column, size),) = received
    assert column is None
    assert size > 100_000
    assert b"ANSWER_TOO_LARGE" in answer.body


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_a_mutation_with_a_larger_payload_changes_nothing(
    database_url: str, mode: ExecutionMode
) -> None:
    item = to_global_id("Item", 1)
    settings = settings_for(database_url, execution=mode, max_answer_bytes=1_024)
    async with client_of(create_app(settings)) as client:
        await stocked(client)
        payload = " ".join(f"a{n}: id" for n in range(90))
        answer = await client.answer(
            f'mutation {{ adjustStock(input: {{id: "{item}", change: {{by: 1}},'
            " expectedVersion: {any: true}})"
            f" {{ ... on ItemSaved {{ item {{ {payload} }} }} }} }}"
        )
        stock = await client("{ items { nodes { stock } } }")

    assert answer["errors"][0]["extensions"]["code"] == "ANSWER_TOO_LARGE"
    assert {each["stock"] for each in stock["items"]["nodes"]} == {10}


async def test_all_parts_together_have_the_same_limit(database_url: str) -> None:
    settings = settings_for(database_url, max_answer_bytes=4_000)
    query = """{ customers(first: 40) { nodes { id } }
                 ... @defer { items: customers(first: 99) { nodes { id lastName } } } }"""
    async with client_of(create_app(settings)) as client:
        await fill(client.database, customers=100)
        response = await client.http.post(
            "/graphql", json={"query": query}, headers={"accept": "multipart/mixed"}
        )

    assert response.status_code == 200
    assert "ANSWER_TOO_LARGE" in response.text
    assert len(response.content) < 6_000


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_a_large_answer_is_compressed_beside_the_loop(
    database_url: str, encoding: str
) -> None:
    names = " ".join(f"a{n}: lastName b{n}: email" for n in range(49))
    query = f"{{ customers(first: 100) {{ nodes {{ {names} }} }} }}"
    async with client_of(create_app(settings_for(database_url))) as client:
        await fill(client.database, customers=100)
        plain = await _asked(client, query, "identity")
        packed = await asyncio.gather(*(_asked(client, query, encoding) for _ in range(5)))

    for each in packed:
        assert each.json() == plain.json()
        assert each.headers["content-encoding"] == encoding
    assert len(plain.content) > 100_000


async def _asked(client: Client, query: str, encoding: str) -> Any:
    headers = {"accept-encoding": encoding}
    return await client.http.post("/graphql", json={"query": query}, headers=headers)


async def test_the_loop_goes_on_while_a_large_answer_is_compressed(database_url: str) -> None:
    names = " ".join(f"a{n}: address" for n in range(99))
    query = f"{{ customers(first: 100) {{ nodes {{ {names} }} }} }}"
    async with client_of(create_app(settings_for(database_url))) as client:
        await fill(client.database, customers=100)
        async with client.database.write() as session:
            long = "UPDATE customers SET address = (SELECT string_agg(md5((id * n)::text), '')"
            await session.execute(text(f"{long} FROM generate_series(1, 6) n)"))
        stalls = []

        async def beat() -> None:
            while True:
                began = time.thread_time()  # not the clock, which goes on while others run
                await asyncio.sleep(0.002)
                stalls.append(time.thread_time() - began)

        beating = asyncio.create_task(beat())
        response = await _asked(client, query, "br")
        beating.cancel()

    assert response.headers["content-encoding"] == "br"
    assert max(stalls) < 0.5
