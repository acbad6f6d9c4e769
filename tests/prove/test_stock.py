"""Two hundred buyers, fifty pieces."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.database.engine import Database
from graph.relay import from_global_id
from tests.conftest import serving, settings_for
from tests.prove.books import Books
from tests.prove.conftest import ROUNDS
from tests.prove.shop import Shop, basket, stocked

if TYPE_CHECKING:
    from collections.abc import Callable

BUYERS, ITEMS, PIECES = 200, 20, 50
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_buyers_get_all_pieces_in_stock_and_no_more(
    database_url: str, number: int, figures: Callable[..., None]
) -> None:
    random = Random(number)  # noqa: S311  the same in every run
    store = Database.connect(settings_for(database_url))
    started_with = await stocked(store, pieces(random))
    await store.close()
    books = Books(database_url)
    baskets = [basket(random, ITEMS) for _ in range(BUYERS)]

    with serving("--workers", "2", GRAPH_DATABASE_URL=database_url) as server:
        limits = httpx.Limits(max_connections=BUYERS)
        async with httpx.AsyncClient(limits=limits, timeout=60) as http:
            shop = Shop(server.url, http)
            answers = await asyncio.gather(*(shop.ask("placeOrder", each) for each in baskets))

    await books.check(started_with)
    left = {item: stock for item, (stock, _) in (await books.pieces()).items()}
    for wanted, answer in zip(baskets, answers, strict=True):
        if answer["__typename"] != "OrderSaved":
            # Stock only falls here: what is left now was there when it was refused.
            assert answer["__typename"] == "InsufficientStock"
            assert any(number > left[item] for item, number in asked(wanted).items())
    placed = [answer for answer in answers if answer["__typename"] == "OrderSaved"]
    assert len(await books.fetch("SELECT FROM orders")) == len(placed)
    # Whatever a network does to a request, it is repeated; but nobody was told to.
    assert not {"TRY_AGAIN", "TIMEOUT", "SERVICE_UNAVAILABLE"} & set(shop.heard)
    ((deadlocks,),) = await books.fetch(DEADLOCKS)
    assert deadlocks == 0
    figures(
        buyers=BUYERS, orders=len(placed), refused=BUYERS - len(placed),
        pieces_sold=PIECES - sum(left.values()), left=sum(left.values()), deadlocks=deadlocks,
    )  # fmt: skip


def pieces(random: Random) -> list[int]:
    """Fifty pieces, spread over twenty items."""
    spread = Counter(random.randrange(ITEMS) for _ in range(PIECES))
    return [spread[item] for item in range(ITEMS)]


def asked(wanted: dict[str, Any]) -> dict[int, int]:
    return {
        int(str(from_global_id(line["itemId"])[1])): line["quantity"] for line in wanted["lines"]
    }
