"""SIGKILL at random moments, to the API and to PostgreSQL, while buyers place orders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from graph.database.embedded import kept_running, running_cluster
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.relay import to_global_id
from tests.conftest import free_port, settings_for
from tests.database.embedded import a_folder, postmaster
from tests.mutations import ANY
from tests.prove.books import Books
from tests.prove.conftest import ROUNDS
from tests.prove.shop import Shop, basket, stocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.database.embedded import Cluster

BUYERS, ITEMS, STOCK = 16, 8, 5_000
FAULTS = ("api", "postgres", "backend", "connections")
# How many answers come between two faults.
BETWEEN_FAULTS = (20, 100)


class Api:
    """`graph serve`, which can be killed and started again at the same address."""

    def __init__(self, database_url: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "graph", "serve", "--port", str(port)]
        self._environment = os.environ | {
            "GRAPH_DATABASE_URL": database_url,
            "GRAPH_LOG_LEVEL": "error",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def is_gone(self) -> bool:
        return self._process is None or self._process.poll() is not None


@pytest.fixture
def folder() -> Iterator[Path]:
    with a_folder() as folder:
        yield folder


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    """A PostgreSQL of this test's own that loses nothing: fsync is on, as it is everywhere else."""
    small = {"shared_buffers": "16MB"}
    with running_cluster(folder, settings=small) as cluster, kept_running(cluster):
        yield cluster


async def test_acknowledged_orders_exist_exactly_once(
    cluster: Cluster, folder: Path, figures: Callable[..., None]
) -> None:
    random = Random(ROUNDS)  # noqa: S311  the same in every run
    url = cluster.url()
    store = Database.connect(settings_for(url))
    await migrate(store)
    started_with = await stocked(store, [STOCK] * ITEMS)
    await store.close()
    api, books = Api(url), Books(url)
    api.start()
    over = asyncio.Event()
    try:
        async with httpx.AsyncClient(timeout=30) as http:
            shop = Shop(api.url, http)
            buyers = [Buyer(shop, Random(number), f"buyer {number}") for number in range(BUYERS)]  # noqa: S311
            buying = [asyncio.create_task(buyer.buy(over)) for buyer in buyers]
            faults = [fault for _ in range(ROUNDS) for fault in random.sample(FAULTS, len(FAULTS))]
            for fault in faults:
                await sold(shop, random.randint(*BETWEEN_FAULTS), buying)
                await asyncio.sleep(random.uniform(0, 0.1))
                await strike(fault, api, url, folder)
            await sold(shop, BETWEEN_FAULTS[1], buying)
            over.set()
            await asyncio.gather(*buying)
    finally:
        api.kill()

    for buyer in buyers:
        for item, pieces in buyer.restocked.items():
            started_with[item] += pieces
    await books.check(started_with)
    acknowledged = [order for buyer in buyers for order in buyer.placed]
    stored = [row["id"] for row in await books.fetch("SELECT id FROM orders ORDER BY id")]
    assert sorted(acknowledged) == stored
    figures(
        faults=len(faults),
        acknowledged_orders=len(acknowledged),
        stored_orders=len(stored),
        **{name.replace(" ", "_"): number for name, number in sorted(shop.heard.items())},
    )


async def sold(shop: Shop, answers: int, buying: list[asyncio.Task[None]]) -> None:
    """Wait for so many answers more; fail if a buyer has failed meanwhile."""
    enough = shop.answered + answers
    while shop.answered < enough:
        await asyncio.sleep(0.01)
        for task in buying:
            if task.done():
                task.result()


class Buyer:
    """Places, pays and cancels orders until it is over; notes what it was told."""

    def __init__(self, shop: Shop, random: Random, name: str) -> None:
        self._shop = shop
        self._random = random
        self._name = name
        self._asked = 0
        self.placed: dict[int, str] = {}
        self.restocked: dict[int, int] = {}

    async def buy(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await self._do_something()
            await asyncio.sleep(self._random.uniform(0, 0.05))

    async def _do_something(self) -> None:
        choice = self._random.random()
        if choice < 0.7 or not self.placed:
            order = basket(self._random, ITEMS)
            answer, key = await self._ask("placeOrder", order)
            self.placed[int(answer["order"]["databaseId"])] = answer["order"]["id"]
            if self._random.random() < 0.2:  # as if the answer had been lost
                again = await self._shop.ask("placeOrder", order, key)
                assert again == answer
        elif choice < 0.9:
            order_id = self._random.choice(list(self.placed.values()))
            await self._ask("cancelOrder", {"id": order_id, "expectedVersion": ANY})
        elif choice < 0.97:
            order_id = self._random.choice(list(self.placed.values()))
            step = {"id": order_id, "expectedVersion": ANY, "action": "PAY"}
            await self._ask("advanceOrder", step)
        else:
            item = self._random.randint(1, ITEMS)
            adjust = {"id": to_global_id("Item", item), "expectedVersion": ANY, "change": {"by": 3}}
            answer, _ = await self._ask("adjustStock", adjust)
            assert answer["__typename"] == "ItemSaved"
            self.restocked[item] = self.restocked.get(item, 0) + 3

    async def _ask(self, name: str, values: dict[str, Any]) -> tuple[Any, str]:
        self._asked += 1
        key = f"{self._name}, request {self._asked}"
        return await self._shop.ask(name, values, key), key


async def strike(fault: str, api: Api, url: str, folder: Path) -> None:
    """Let something happen that nobody was prepared for."""
    match fault:
        case "api":
            api.kill()
            api.start()
        case "postgres":
            with contextlib.suppress(OSError):
                pid = postmaster(folder)
                for victim in (pid, *children(pid)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
        case "backend":
            await asyncio.to_thread(kill_a_backend, url)
        case _:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                await Books(url).fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'graph'"
                )


def kill_a_backend(url: str) -> None:
    """SIGKILL to one of the API's connections: PostgreSQL ends all others, and recovers."""
    found = "SELECT pid FROM pg_stat_activity WHERE application_name = 'graph' LIMIT 1"
    with contextlib.suppress(OSError, asyncpg.PostgresError):
        for row in asyncio.run(Books(url).fetch(found)):
            os.kill(row["pid"], signal.SIGKILL)


def children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
