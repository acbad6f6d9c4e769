"""The primary dies while orders are placed, and its standby is promoted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import pytest

from graph.database.engine import Database
from tests.conftest import settings_for
from tests.database.embedded import a_folder, postmaster
from tests.database.standby import fetched, replicated, until
from tests.prove.books import Books
from tests.prove.conftest import ROUNDS
from tests.prove.shop import Shop, basket, stocked
from tests.prove.test_crashes import Api, Buyer, children, sold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.database.standby import Group

BUYERS, ITEMS, STOCK = 16, 8, 5_000
# Answers before the primary dies, and after that.
BEFORE, AFTER = 100, 100
KEYS = 5


@pytest.fixture
def group() -> Iterator[Group]:
    with a_folder() as folder, replicated(folder, fsync="on") as group:
        yield group


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_no_acknowledged_order_is_lost_or_doubled(
    group: Group, number: int, figures: Callable[..., None]
) -> None:
    random = Random(number)  # noqa: S311  the same in every run
    store = Database.connect(settings_for(group.primary.url()))
    started_with = await stocked(store, [STOCK] * ITEMS)
    await store.close()
    await replicate_synchronously(group)
    api, books = Api(group.url_of_both()), Books(group.standby.url())
    api.start()
    over = asyncio.Event()
    try:
        async with httpx.AsyncClient(timeout=30) as http:
            shop = Shop(api.url, http)
            keyed = [(f"before {nth}", basket(random, ITEMS)) for nth in range(KEYS)]
            first = [await shop.ask("placeOrder", order, key) for key, order in keyed]
            buyers = [Buyer(shop, Random(nth), f"buyer {nth}") for nth in range(BUYERS)]  # noqa: S311
            buying = [asyncio.create_task(buyer.buy(over)) for buyer in buyers]
            await sold(shop, random.randint(BEFORE, 2 * BEFORE), buying)
            died_at = monotonic()
            kill(group)
            await group.promote()
            promoted_at, answered = monotonic(), shop.answered
            await sold(shop, 1, buying)
            written_at = monotonic()
            await sold(shop, AFTER, buying)
            over.set()
            await asyncio.gather(*buying)
            replayed = shop.heard["replayed"]
            again = [await shop.ask("placeOrder", order, key) for key, order in keyed]
    finally:
        api.kill()

    assert again == first
    assert shop.heard["replayed"] - replayed == KEYS
    for buyer in buyers:
        for item, pieces in buyer.restocked.items():
            started_with[item] += pieces
    await books.check(started_with)
    acknowledged = [order for buyer in buyers for order in buyer.placed]
    acknowledged += [int(each["order"]["databaseId"]) for each in first]
    stored = [row["id"] for row in await books.fetch("SELECT id FROM orders ORDER BY id")]
    assert sorted(acknowledged) == stored
    figures(
        acknowledged_orders=len(acknowledged),
        stored_orders=len(stored),
        answers_before=answered,
        seconds_until_promoted=f"{promoted_at - died_at:.2f}",
        seconds_from_there_to_the_first_write=f"{written_at - promoted_at:.2f}",
        **{name.replace(" ", "_"): count for name, count in sorted(shop.heard.items())},
    )


async def replicate_synchronously(group: Group) -> None:
    """A commit waits until the standby has it on disk."""
    await fetched(group.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    await fetched(group.primary, "SELECT pg_reload_conf()")
    await until(
        group.primary, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
    )


def kill(group: Group) -> None:
    pid = postmaster(group.folder / "primary")
    for victim in (pid, *children(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
