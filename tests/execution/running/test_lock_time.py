"""A mutation is priced by its rows, and holds its locks for a bounded time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.execution.running import mutations
from tests.execution.running.test_concurrency import plain
from tests.execution.running.test_transactions import adjust, stocked

if TYPE_CHECKING:
    from tests.conftest import Client

IMPORT = "importItems(input: {rows: $rows}, dryRun: true) { __typename }"


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"name": f"Item {n}", "costPrice": "1.00", "sellingPrice": "2.00"} for n in range(count)
    ]


async def requested(client: Client, query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": variables, "extensions": {"cost": True}}
    answer = (await client.http.post("/graphql", json=body)).json()
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["cost"]["requested"]
    return answer["extensions"]["cost"]["requested"]


async def test_the_price_of_a_mutation_counts_the_rows_of_its_input(client: Client) -> None:
    aliases = " ".join(f"a{n}: {IMPORT}" for n in range(8))
    of_one = f"mutation ($rows: [CreateItemInput!]!) {{ {IMPORT} }}"
    of_eight = f"mutation ($rows: [CreateItemInput!]!) {{ {aliases} }}"

    prices = [await requested(client, of_one, rows=rows(count)) for count in (1, 3, 100)]

    assert [price - prices[0] for price in prices] == [0, 10, 99 * 5]
    assert await requested(client, of_eight, rows=rows(1_000)) > 8 * 5_000


@pytest.mark.parametrize("is_dry_run", [False, True])
async def test_a_transaction_that_takes_too_long_ends_and_changes_nothing(
    client: Client, database_url: str, monkeypatch: pytest.MonkeyPatch, *, is_dry_run: bool
) -> None:
    monkeypatch.setattr(mutations, "_TRANSACTION_SECONDS", 0.5)
    monkeypatch.setattr(mutations, "_DRY_RUN_SECONDS", 0.5)
    await stocked(client)
    locker = await asyncpg.connect(plain(database_url))
    await locker.execute("BEGIN; SELECT FROM items WHERE id = 2 FOR UPDATE")
    more = ", dryRun: true" if is_dry_run else ""
    query = f"mutation @atomic {{ a: {adjust(1, 1, more=more)} b: {adjust(2, 1, more=more)} }}"

    began = time.monotonic()
    answering = asyncio.create_task(client.answer(query))
    await asyncio.sleep(0.1)
    # another buyer of the first item waits for no longer
    await locker.execute("SELECT FROM items WHERE id = 1 FOR UPDATE")
    waited = time.monotonic() - began
    answer = await answering
    await locker.close()
    stock = await client("{ items { nodes { stock } } }")

    assert {error["extensions"]["code"] for error in answer["errors"]} == {"TIMEOUT"}
    assert waited < 8  # where nothing ended it, it would be ten
    assert {each["stock"] for each in stock["items"]["nodes"]} == {10}
