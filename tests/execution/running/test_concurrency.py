"""Slow operations hold few places, whatever their price; quick ones always find a connection."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.app import create_app
from graph.database.engine import Database
from graph.errors import Overloaded, RateLimited, TooMuchStorage
from graph.execution.planning.history import History
from graph.execution.running.charging import Charging
from graph.execution.running.concurrency import Limiters
from graph.execution.running.execute import Execution
from graph.execution.running.limiter import Limiter
from graph.execution.running.rate_limit import MemoryTokenBuckets
from graph.execution.running.request import Request
from graph.relay import to_global_id
from graph.settings import ExecutionMode
from graph.store.schema import schema
from graph.viewer import ANONYMOUS
from tests.conftest import HASTE, client_of, settings_for
from tests.execution.running.test_rate_limit import in_database
from tests.execution.running.test_transactions import stocked
from tests.execution.test_failures import waiting_for_a_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from tests.conftest import Client

SLOW = "{ items { totalCount nodes { name } } }"  # while somebody holds a lock on them
ADJUST = f"""mutation {{
    adjustStock(input: {{id: "{to_global_id("Item", 1)}", change: {{by: 1}},
        expectedVersion: {{any: true}}}})
    {{ ... on ItemSaved {{ item {{ stock }} }} }} }}"""
QUICK = "{ customers { totalCount } }"
# For as long as a test lasts.
ENDLESS = {"statement_timeout_seconds": 120, "operation_timeout_seconds": 120}


def plain(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


@asynccontextmanager
async def locked_items(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(plain(url))
    try:
        await connection.execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        yield connection
    finally:
        await connection.close()


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110  many things may happen
            await asyncio.sleep(0.02)


async def waiting_statements(connection: Any) -> int:
    number: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state <> 'idle' AND application_name = 'graph'"
    )
    return number


def codes(responses: list[httpx.Response]) -> list[str]:
    return [response.json()["errors"][0]["extensions"]["code"] for response in responses]


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_slow_operations_beyond_the_places_are_cancelled_in_postgresql(
    database_url: str, mode: ExecutionMode
) -> None:
    settings = settings_for(database_url, execution=mode, statement_timeout_seconds=5, **HASTE)
    async with client_of(create_app(settings)) as client, locked_items(database_url) as locker:
        requests = [
            asyncio.create_task(client.http.post("/graphql", json={"query": SLOW}))
            for _ in range(5)
        ]
        async with asyncio.timeout(60):
            await until(lambda: sum(request.done() for request in requests) >= 3)
            while await waiting_statements(locker) > 2:  # noqa: ASYNC110  PostgreSQL tells nobody
                await asyncio.sleep(0.02)
        refused = [request.result() for request in requests if request.done()]
        running = [request for request in requests if not request.done()]
        left = await waiting_statements(locker)
        await asyncio.wait(running)

    assert codes(refused) == ["TOO_EXPENSIVE"] * 3
    assert {response.status_code for response in refused} == {503}
    assert all(response.headers["retry-after"] for response in refused)
    assert left == 2
    assert codes([request.result() for request in running]) == ["TIMEOUT"] * 2


@pytest.mark.parametrize("mode", list(ExecutionMode))
async def test_connections_of_cancelled_operations_serve_the_next(
    database_url: str, mode: ExecutionMode
) -> None:
    settings = settings_for(database_url, execution=mode, pool_size=4, max_expensive=1, **HASTE)
    async with client_of(create_app(settings)) as client:
        async with locked_items(database_url):
            requests = [
                asyncio.create_task(client.http.post("/graphql", json={"query": SLOW}))
                for _ in range(3)
            ]
            await asyncio.wait(requests, timeout=1)
        await asyncio.wait(requests)
        answers = [await client.answer(SLOW) for _ in range(6)]

    assert answers == [{"data": {"items": {"totalCount": 0, "nodes": []}}}] * 6


async def crowd(client: Client, count: int) -> list[asyncio.Task[Any]]:
    """Slow operations, each of a shape of its own, so that none is known to be slow."""
    texts = [SLOW.replace("name", f"a{number}: name") for number in range(count)]
    return [
        asyncio.create_task(client.http.post("/graphql", json={"query": text})) for text in texts
    ]


async def test_quick_operations_and_readiness_pass_a_crowd_of_slow_ones(database_url: str) -> None:
    # No slow one ends meanwhile: who waited for one of them would wait in vain.
    settings = settings_for(database_url, **ENDLESS)
    async with client_of(create_app(settings)) as client:
        assert await client(QUICK) == {"customers": {"totalCount": 0}}
        assert (await client.http.get("/health/ready")).status_code == 200
        async with locked_items(database_url) as locker:
            requests = await crowd(client, 100)
            await waiting_for_a_lock(database_url)
            took = []
            for _ in range(40):
                began = time.monotonic()
                async with asyncio.timeout(30):
                    await client(QUICK)
                    assert (await client.http.get("/health/ready")).status_code == 200
                took.append(time.monotonic() - began)
                await asyncio.sleep(0.02)
            assert await waiting_statements(locker) > 0
            assert not any(request.done() for request in requests)
            for request in requests:
                request.cancel()
            await asyncio.wait(requests)

    assert median(took) < 0.25  # a busy machine delays some


async def test_mutations_leave_connections_to_queries(database_url: str) -> None:
    change = ADJUST
    async with client_of(create_app(settings_for(database_url, **ENDLESS, **HASTE))) as client:
        await client(QUICK)
        async with locked_items(database_url):
            requests = [
                asyncio.create_task(client.http.post("/graphql", json={"query": change}))
                for _ in range(30)
            ]
            await waiting_for_a_lock(database_url)
            async with asyncio.timeout(30):
                assert await client(QUICK) == {"customers": {"totalCount": 0}}
            for request in requests:
                request.cancel()
            await asyncio.wait(requests)


async def test_a_mutation_that_waits_for_a_lock_is_not_slow(database_url: str) -> None:
    settings = settings_for(database_url, pool_size=4, max_expensive=1, **HASTE)
    change = ADJUST
    async with client_of(create_app(settings)) as client:
        await stocked(client)
        locker = await asyncpg.connect(plain(database_url))
        await locker.execute("BEGIN; SELECT FROM items FOR UPDATE")
        requests = [asyncio.create_task(client(change)) for _ in range(6)]
        await asyncio.sleep(0.6)
        await locker.close()
        changed = [(await request)["adjustStock"]["item"]["stock"] for request in requests]

    assert sorted(changed) == [11, 12, 13, 14, 15, 16]


async def test_a_slow_payload_is_cancelled_and_nothing_is_changed(database_url: str) -> None:
    settings = settings_for(database_url, pool_size=4, max_expensive=1, **HASTE)
    change = ADJUST.replace("stock }", "stock orderLines { totalCount } }")
    async with client_of(create_app(settings)) as client:
        await stocked(client)
        before = await client("{ items { nodes { stock } } }")
        locker = await asyncpg.connect(plain(database_url))
        await locker.execute("BEGIN; LOCK TABLE order_lines IN ACCESS EXCLUSIVE MODE")
        slow = [
            asyncio.create_task(client.answer("{ orderLines { totalCount } }")) for _ in range(1)
        ]
        await until(lambda: client.execution.limiters.gauges["expensive"]["in_use"] == 1)
        answer = await client.answer(change)
        await locker.close()
        await asyncio.wait(slow)
        after = await client("{ items { nodes { stock } } }")

    assert answer["errors"][0]["extensions"]["code"] == "TOO_EXPENSIVE"
    assert after == before


async def test_temporary_files_of_a_statement_are_bounded(database_url: str) -> None:
    database = Database.connect(settings_for(database_url), max_temp_megabytes=1)
    try:
        with pytest.raises(TooMuchStorage):
            await database.first(
                "SELECT count(*) FROM (SELECT g FROM generate_series(1, 3000000) g"
                " ORDER BY md5(g::text)) s"
            )
    finally:
        await database.close()


async def test_a_role_that_may_not_bound_temporary_files_is_served(database_url: str) -> None:
    admin = await asyncpg.connect(plain(database_url))
    name = "unprivileged"
    await admin.execute(f"CREATE ROLE {name} LOGIN")
    try:
        url = database_url.replace("graph@", f"{name}@")
        database = Database.connect(settings_for(url), max_temp_megabytes=1)
        row = await database.first("SELECT current_user AS who, current_setting('temp_file_limit')")
        await database.close()
        assert tuple(row) == (name, "-1")
    finally:
        await admin.execute(f"DROP ROLE {name}")
        await admin.close()


# The line that an operation waits in

QUICKLY, SLOWLY = 0, 1


async def refused(limiters: Limiters, cost: int, history: History, *, is_query: bool) -> bool:
    try:
        place = await limiters.acquire(cost, history, is_query=is_query)
    except Overloaded:
        return True
    limiters.release(place, history)
    return False


def ran(*slow: int) -> History:
    history = History()
    for was_slow in slow:
        history.add(was_slow=bool(was_slow))
    return history


async def test_each_line_has_its_own_places() -> None:
    limiters = Limiters(most=1, most_waiting=0, most_unproven=1, most_expensive=1)
    await limiters.acquire(1, History(), is_query=True)

    assert await refused(limiters, 1, History(), is_query=True)
    assert await refused(limiters, 1, ran(QUICKLY), is_query=False)  # a mutation
    assert not await refused(limiters, 1, ran(QUICKLY), is_query=True)
    assert not await refused(limiters, 1, ran(SLOWLY), is_query=True)
    assert not await refused(limiters, 1_000, ran(QUICKLY), is_query=True)

    await limiters.acquire(1_000, ran(QUICKLY), is_query=True)

    assert await refused(limiters, 1, ran(SLOWLY), is_query=True)
    assert not await refused(limiters, 1, ran(QUICKLY), is_query=True)


async def test_a_shape_is_slow_until_it_was_quick_many_times() -> None:
    assert ran(SLOWLY).is_slow
    assert ran(SLOWLY, *[QUICKLY] * 15).is_slow
    assert not ran(SLOWLY, *[QUICKLY] * 16).is_slow
    assert ran(SLOWLY, *[QUICKLY] * 10, SLOWLY, *[QUICKLY] * 10).is_slow


async def test_waiters_are_admitted_in_their_order() -> None:
    limiter, order = Limiter(1, 10), list[int]()
    await limiter.acquire()

    async def enter(number: int) -> None:
        await limiter.acquire()
        order.append(number)
        limiter.release()

    tasks = [asyncio.create_task(enter(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    assert not limiter.acquire_now()
    limiter.release()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert order == [0, 2, 3]
    assert limiter.acquire_now()


# Charges for measured time


class Recorded(MemoryTokenBuckets):
    def __init__(self) -> None:
        super().__init__(1_000_000, 0.001)
        self.paid = 0

    async def consume(self, client: str, cost: int) -> None:
        await super().consume(client, cost)
        self.paid += cost

    async def refund(self, client: str, cost: int) -> None:
        await super().refund(client, cost)
        self.paid -= cost

    async def charge(self, client: str, cost: int) -> None:
        await super().charge(client, cost)
        self.paid += cost


async def test_the_time_of_statements_is_charged(database_url: str) -> None:
    buckets = Recorded()
    database = Database.connect(settings_for(database_url))
    execution = Execution(schema, database, charging=Charging(buckets, cost_per_ms=10))
    async with locked_items(database_url) as locker:
        began = time.monotonic()
        answer = asyncio.create_task(execution.answer(Request(SLOW, {}), ANONYMOUS))
        await waiting_for_a_lock(database_url)
        await asyncio.sleep(0.5)
        await locker.execute("COMMIT")
        assert (await answer).status == 200
        most = [time.monotonic() - began]
    answered, buckets.paid = buckets.paid, 0
    async with locked_items(database_url):
        began = time.monotonic()
        answer = asyncio.create_task(execution.answer(Request(SLOW, {}), ANONYMOUS))
        await waiting_for_a_lock(database_url)
        await asyncio.sleep(0.5)
        answer.cancel()
        await asyncio.wait([answer])
        most.append(time.monotonic() - began)
    await database.close()

    for paid, seconds in zip((answered, buckets.paid), most, strict=True):
        assert 5_000 <= paid <= seconds * 10_000 + 1_000  # 10 for a millisecond, and the operation


@pytest.mark.parametrize("is_in_database", [False, True])
async def test_a_charge_leaves_a_debt_of_one_capacity_at_most(
    database: Database, *, is_in_database: bool
) -> None:
    buckets = (
        in_database(database, 100, 10)
        if is_in_database
        else MemoryTokenBuckets(100, 10, now=lambda: 0.0)
    )
    await buckets.charge("new", 30)
    await buckets.consume("new", 70)
    await buckets.charge("new", 50)
    with pytest.raises(RateLimited) as indebted:
        await buckets.consume("new", 10)
    await buckets.charge("new", 10_000)
    with pytest.raises(RateLimited) as deeply:
        await buckets.consume("new", 10)

    assert indebted.value.retry_after_seconds in {5, 6}
    assert deeply.value.retry_after_seconds == 11


async def test_a_crowd_of_new_texts_lets_others_run_in_between(database: Database) -> None:
    execution = Execution(schema, database)
    beats = 0
    seen = []
    planner = execution._planner  # noqa: SLF001
    planned = planner.planned

    def noted(*arguments: Any) -> Any:
        seen.append(beats)
        return planned(*arguments)

    planner.planned = noted  # type: ignore[method-assign,assignment]

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    texts = [f"{{ a{number}: __typename }}" for number in range(10)]
    await asyncio.gather(*(execution.answer(Request(text, {}), ANONYMOUS) for text in texts))
    beating.cancel()

    assert seen == sorted(set(seen))
    assert len(seen) == 10
