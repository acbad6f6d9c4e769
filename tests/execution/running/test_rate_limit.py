"""Token buckets, in each worker's memory or in the database for all workers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from graph.app import create_app
from graph.database import token_buckets as token_bucket_table
from graph.database.engine import Database
from graph.errors import RateLimited, Unavailable
from graph.execution.planning.history import History
from graph.execution.running.charging import Charging
from graph.execution.running.concurrency import Limiters
from graph.execution.running.execute import Execution
from graph.execution.running.limiter import Limiter
from graph.execution.running.rate_limit import DatabaseTokenBuckets, MemoryTokenBuckets
from graph.execution.running.request import Request
from graph.settings import Settings, TokenBucketMode
from graph.store.schema import schema
from graph.viewer import SYSTEM
from tests.command_line import executed
from tests.conftest import client_of, recorded, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from graph.execution.running.rate_limit import TokenBuckets
    from tests.conftest import Client

# What never fills while a test runs.
SLOWLY = 0.000_1


def in_database(database: Database, capacity: int, per_second: float) -> DatabaseTokenBuckets:
    return DatabaseTokenBuckets(database, capacity, per_second, Limiter(2, 1_000))


class Clocked:
    """A token_buckets of 100 that fills with 10 a second, and a way to let time pass."""

    def __init__(
        self, token_buckets: TokenBuckets, wait: Callable[[float], Awaitable[None]]
    ) -> None:
        self.consume, self.refund, self.wait = token_buckets.consume, token_buckets.refund, wait


@pytest.fixture(params=TokenBucketMode)
async def clocked(database: Database, request: pytest.FixtureRequest) -> Clocked:
    now = 0.0

    async def wait(seconds: float) -> None:
        nonlocal now
        now += seconds
        await database.first(f"UPDATE cost_buckets SET full_at = full_at - '{seconds} s'::interval")  # noqa: S608

    if request.param is TokenBucketMode.DATABASE:
        return Clocked(in_database(database, 100, 10), wait)
    return Clocked(MemoryTokenBuckets(100, 10, now=lambda: now), wait)


async def test_a_bucket_fills_with_time_up_to_its_brim(clocked: Clocked) -> None:
    await clocked.consume("a", 100)
    with pytest.raises(RateLimited) as caught:
        await clocked.consume("a", 25)
    assert caught.value.retry_after_seconds == 3
    await clocked.wait(2.5)
    await clocked.consume("a", 25)
    with pytest.raises(RateLimited) as caught:
        await clocked.consume("a", 100)
    assert caught.value.retry_after_seconds == 10
    await clocked.wait(1_000_000)
    await clocked.consume("a", 100)
    with pytest.raises(RateLimited):
        await clocked.consume("a", 50)


async def test_a_refund_fills_the_bucket_up_to_its_capacity(clocked: Clocked) -> None:
    await clocked.consume("a", 100)
    await clocked.refund("a", 40)
    await clocked.consume("a", 40)
    with pytest.raises(RateLimited):
        await clocked.consume("a", 25)
    await clocked.refund("a", 1_000)
    await clocked.consume("a", 100)
    with pytest.raises(RateLimited):
        await clocked.consume("a", 25)


async def test_each_client_has_a_bucket_and_free_operations_always_run(clocked: Clocked) -> None:
    await clocked.consume("a", 100)
    await clocked.consume("b", 100)
    await clocked.consume("a", 0)

    with pytest.raises(RateLimited):
        await clocked.consume("b", 25)


# In the database


@asynccontextmanager
async def workers(url: str, count: int) -> AsyncIterator[list[Database]]:
    databases = [Database.connect(settings_for(url)) for _ in range(count)]
    yield databases
    for database in databases:
        await database.close()


async def test_two_workers_share_a_bucket_and_concurrent_takes_never_overdraw_it(
    database_url: str,
) -> None:
    async with workers(database_url, 2) as databases:
        meters = [in_database(database, 100, SLOWLY) for database in databases]
        takes = [meters[nth % 2].consume("a", 10) for nth in range(50)]
        outcomes = await asyncio.gather(*takes, return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    assert outcomes.count(None) == 10
    assert len(refused) == 40
    # So long 10 need to fill again, however many others took at the same moment. The clock of a
    # statement is that of its beginning, before it waited for the others.
    assert {error.retry_after_seconds for error in refused} <= {99_999, 100_000, 100_001}


async def test_concurrent_charges_and_refunds_are_all_counted(database_url: str) -> None:
    async with workers(database_url, 2) as databases:
        first, second = (in_database(database, 1_000, SLOWLY) for database in databases)
        await first.consume("a", 500)
        await asyncio.gather(
            *(first.consume("a", 20) for _ in range(20)),
            *(second.refund("a", 10) for _ in range(20)),
        )
        await first.consume("a", 300)
        with pytest.raises(RateLimited):
            await second.consume("a", 1)


async def test_a_clock_that_is_put_back_leaves_a_debt_of_one_capacity_at_most(
    database: Database,
) -> None:
    token_buckets = in_database(database, 100, 10)
    await token_buckets.consume("a", 60)
    await database.first("UPDATE cost_buckets SET full_at = full_at + '1 hour'::interval")

    with pytest.raises(RateLimited) as caught:
        await token_buckets.consume("a", 25)

    assert caught.value.retry_after_seconds == 13


async def test_full_buckets_are_forgotten_and_others_are_not(
    database: Database, database_url: str
) -> None:
    token_buckets = in_database(database, 100, 100)
    for nth in range(200):
        await token_buckets.consume(f"gone {nth}", 1)
    await executed(database_url, "UPDATE cost_buckets SET full_at = now() - '1 s'::interval")
    patient = in_database(database, 100, SLOWLY)
    for nth in range(500):
        await patient.consume(f"there {nth % 20}", 1)

    left = await executed(database_url, "SELECT count(*) FROM cost_buckets WHERE full_at <= now()")
    assert await executed(database_url, "SELECT count(*) FROM cost_buckets") == left + 20
    assert left < 100


async def test_cleaning_up_is_bounded_and_skips_locked_buckets(
    database: Database, database_url: str
) -> None:
    token_buckets = in_database(database, 100, 100)
    for nth in range(15):
        await token_buckets.consume(f"gone {nth}", 1)
    await executed(database_url, "UPDATE cost_buckets SET full_at = now() - '1 s'::interval")
    locker = await asyncpg.connect(database_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await locker.execute("BEGIN; SELECT * FROM cost_buckets LIMIT 14 FOR UPDATE")
        async with asyncio.timeout(60):
            for _ in range(20):
                await token_bucket_table.forget(database, most=100)
        assert await executed(database_url, "SELECT count(*) FROM cost_buckets") >= 14
    finally:
        await locker.close()
    before = await executed(database_url, "SELECT count(*) FROM cost_buckets")
    await token_bucket_table.forget(database, most=3)
    assert await executed(database_url, "SELECT count(*) FROM cost_buckets") >= before - 3


async def test_without_the_database_nothing_is_taken_and_no_answer_withheld() -> None:
    database = Database.connect(settings_for("postgresql://nobody@127.0.0.1:1/none"))
    token_buckets = in_database(database, 100, 10)

    with pytest.raises(Unavailable):
        await token_buckets.consume("a", 1)
    await token_buckets.consume("a", 0)
    await token_buckets.refund("a", 1)
    await database.close()


# Over HTTP

LIMITS = {"max_cost": 50, "cost_capacity": 50, "cost_per_second": 1, "cost_per_ms": 0}
CUSTOMERS = {"query": "{ customers(first: 40) { nodes { id } } }"}


@pytest.fixture(params=TokenBucketMode)
async def metered(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    changed = settings.model_copy(update=LIMITS | {"token_buckets": request.param})
    async with client_of(create_app(changed)) as client:
        await fill(client.database, customers=40, orders=1, lines=1, items=1)
        yield client


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_an_empty_bucket_is_a_429_with_retry_after(metered: Client, accept: str) -> None:
    headers = {"accept": accept}

    first = await metered.http.post("/graphql", json=CUSTOMERS, headers=headers)
    second = await metered.http.post("/graphql", json=CUSTOMERS, headers=headers)
    free = await metered.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert first.status_code == httpx.codes.OK
    assert second.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert 25 <= int(second.headers["retry-after"]) <= 32
    assert second.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert free.json() == {"data": {"__typename": "Query"}}


async def test_the_cost_of_missing_objects_is_refunded(metered: Client) -> None:
    query = {"query": "{ items(first: 40) { nodes { id } } }"}  # there is one

    answers = [await metered.http.post("/graphql", json=query) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5


async def test_each_address_has_a_bucket_of_its_own(settings: Settings) -> None:
    limits = LIMITS | {"trusted_proxies": "127.0.0.0/8, 10.0.0.0/8"}
    settings = Settings.model_validate(settings.model_dump() | limits)

    async def status(forwarded: str) -> int:
        headers = {"x-forwarded-for": forwarded}
        return (await client.http.post("/graphql", json=CUSTOMERS, headers=headers)).status_code

    async with client_of(create_app(settings)) as client:
        await fill(client.database, customers=40, orders=1, lines=1, items=1)
        assert await status("203.0.113.1") == 200
        assert await status("203.0.113.1") == 429
        assert await status("198.51.100.9, 203.0.113.1") == 429  # the left one is made up
        assert await status("203.0.113.1, 10.1.1.1") == 429
        assert await status("203.0.113.2") == 200
        assert await status("2001:db8::1") == 200
        assert await status("2001:db8::2") == 429  # of one network
        assert await status("2001:db8:0:1::2") == 200


@pytest.mark.parametrize(
    ("mode", "query", "statements"),
    [
        (TokenBucketMode.MEMORY, "{ items(first: 40) { nodes { id } } }", 1),
        (TokenBucketMode.DATABASE, "{ items(first: 40) { nodes { id } } }", 3),
        (TokenBucketMode.DATABASE, "{ items(first: 1) { nodes { id } } }", 2),  # all of it came
        (TokenBucketMode.DATABASE, "{ __typename }", 0),
    ],
)
async def test_a_bucket_costs_a_statement_before_and_one_to_give_back(
    settings: Settings, mode: TokenBucketMode, query: str, statements: int
) -> None:
    changed = settings.model_copy(update=LIMITS | {"token_buckets": mode})
    async with client_of(create_app(changed)) as client:
        await fill(client.database, customers=1, orders=1, lines=1, items=1)
        with recorded(client.database) as sql:
            await client(query)

    assert len(sql) == statements


async def test_a_crowd_that_waits_for_buckets_is_bounded(database: Database) -> None:
    settings = {"max_in_flight": 1, "max_waiting": 1} | LIMITS | {"token_buckets": "database"}
    url = database.engine.url.render_as_string(hide_password=False)
    async with client_of(create_app(settings_for(url, **settings))) as client:
        answers = await asyncio.gather(
            *(client.http.post("/graphql", json=CUSTOMERS) for _ in range(30))
        )

    statuses = [answer.status_code for answer in answers]
    assert {503} <= set(statuses) <= {200, 429, 503}
    assert statuses.count(200) >= 1
    assert all(a.headers["retry-after"] for a in answers if a.status_code != 200)


async def test_a_refused_operation_is_not_charged(database: Database) -> None:
    token_buckets = MemoryTokenBuckets(1_000, 0.001)
    limiters = Limiters(most=1, most_waiting=0)
    execution = Execution(schema, database, charging=Charging(token_buckets), limiters=limiters)
    await limiters.acquire(0, History(), is_query=True)

    request = Request("{ customers(first: 99) { nodes { id } } }", {}, client="a")
    answer = await execution.answer(request, SYSTEM)

    assert (answer.status, answer.retry_after_seconds) == (503, 1)
    await token_buckets.consume("a", 1_000)
