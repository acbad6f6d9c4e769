"""Clients that repeat a request, concurrently and later."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.database.engine import Database
from tests.conftest import serving, settings_for
from tests.prove.books import Books
from tests.prove.conftest import ROUNDS
from tests.prove.shop import Shop, basket, stocked

if TYPE_CHECKING:
    from collections.abc import Callable

REQUESTS, ITEMS = 60, 10


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_a_request_that_is_repeated_is_one_order(
    database_url: str, number: int, figures: Callable[..., None]
) -> None:
    random = Random(number)  # noqa: S311  the same in every run
    store = Database.connect(settings_for(database_url))
    started_with = await stocked(store, [1000] * ITEMS)
    await store.close()
    books = Books(database_url)

    with serving("--workers", "2", GRAPH_DATABASE_URL=database_url) as server:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=100), timeout=60) as http:
            shop = Shop(server.url, http)
            answers = await asyncio.gather(
                *(repeated(shop, random, f"key {number}") for number in range(REQUESTS))
            )

    asked = sum(len(each) for each in answers)
    for each in answers:
        assert all(answer == each[0] for answer in each)
    ids = [int(each[0]["order"]["databaseId"]) for each in answers]
    assert sorted(ids) == [
        row["id"] for row in await books.fetch("SELECT id FROM orders ORDER BY id")
    ]
    assert shop.heard["OrderSaved"] == asked
    assert shop.heard["replayed"] == asked - REQUESTS
    await books.check(started_with)
    figures(keys=REQUESTS, requests=asked, orders=len(ids), replayed=shop.heard["replayed"])


async def repeated(shop: Shop, random: Random, key: str) -> list[Any]:
    """The answers to one request that is sent one to five times: some at once, some later."""
    order = basket(random, ITEMS)
    at_once, later = random.randint(1, 3), random.randint(0, 2)
    answers = await asyncio.gather(*(shop.ask("placeOrder", order, key) for _ in range(at_once)))
    for _ in range(later):
        await asyncio.sleep(random.uniform(0, 0.2))
        answers.append(await shop.ask("placeOrder", order, key))
    return answers
