"""A worker that gets more than it can refuses early, keeps its answers coming, and is fair."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.app import create_app
from graph.errors import (
    Overloaded,
    TimedOut,
    TooExpensive,
    TooManySubscriptions,
    TooMuchStorage,
    Unavailable,
)
from graph.execution.planning.history import History
from graph.execution.running.answers import answer_to
from graph.execution.running.limiter import Limiter
from graph.server.graphql import is_shed
from graph.server.turns import Turns
from tests.conftest import client_of, from_address, serving

if TYPE_CHECKING:
    from graph.settings import Settings

CHEAP = "{ customers(first: 1) { nodes { username } } }"
RICH = "{ customers(first: 100) { nodes { orders(first: 50) { nodes { id } } } } }"


async def entering(limiter: Limiter, client: str, order: list[str]) -> asyncio.Task[None]:
    async def enter() -> None:
        await limiter.acquire(client)
        order.append(client)
        limiter.release()

    task = asyncio.create_task(enter())
    await asyncio.sleep(0)
    return task


async def test_clients_take_turns() -> None:
    limiter, order = Limiter(1, 100), list[str]()
    await limiter.acquire()
    tasks = [await entering(limiter, client, order) for client in "aaaabbc"]
    limiter.release()
    await asyncio.gather(*tasks)

    assert "".join(order) == "abcabaa"
    assert limiter.gauges == {"places": 1, "in_use": 0, "waiting": 0}


async def test_a_cancelled_waiter_leaves_the_line_of_its_client() -> None:
    limiter, order = Limiter(1, 3), list[str]()
    await limiter.acquire()
    tasks = [await entering(limiter, client, order) for client in "aab"]
    with pytest.raises(Overloaded):
        await limiter.acquire("c")
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.sleep(0)
    assert limiter.gauges["waiting"] == 1
    limiter.release()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert order == ["a"]
    assert limiter.acquire_now()


async def test_a_client_that_has_waited_too_long_gets_no_other_request_in() -> None:
    limiter, order = Limiter(1, 100, most_wait_seconds=0.05), list[str]()
    await limiter.acquire()
    waiting = [await entering(limiter, "loud", order) for _ in range(2)]
    await asyncio.sleep(0.06)

    with pytest.raises(Overloaded):
        limiter.check("loud")
    with pytest.raises(Overloaded):
        await limiter.acquire("loud")
    limiter.check("quiet")
    limiter.release()
    await asyncio.gather(*waiting)
    limiter.check("loud")


async def test_the_line_is_as_long_as_its_pace_allows() -> None:
    limiter, order = Limiter(1, 100, most_wait_seconds=0.2, turn_seconds=0.1), list[str]()
    await limiter.acquire()
    waiting = [await entering(limiter, client, order) for client in "aa"]
    with pytest.raises(Overloaded):
        limiter.check("a")  # two others come before its third
    limiter.check("b")  # only one before its first
    limiter.release()
    await asyncio.gather(*waiting)

    # Turns come at once, as it turns out.
    for _ in range(20):
        await limiter.acquire()
        waiting = [await entering(limiter, "a", order) for _ in range(2)]
        limiter.release()
        await asyncio.gather(*waiting)
    await limiter.acquire()
    waiting = [await entering(limiter, "a", order) for _ in range(9)]
    limiter.check("a")
    limiter.release()
    await asyncio.gather(*waiting)


async def test_a_request_is_refused_before_it_is_read(settings: Settings) -> None:
    tight = settings.model_copy(update={"max_in_flight": 1, "max_waiting": 0})
    async with client_of(create_app(tight)) as client:
        proven = History()
        proven.add(was_slow=False)
        held = await client.execution.limiters.acquire(1, proven, is_query=True)
        refused = await client.http.post(
            "/graphql", content=b"{no JSON", headers={"content-type": "application/json"}
        )
        live = await client.http.get("/health/live")
        client.execution.limiters.release(held, proven)
        read = await client.http.post(
            "/graphql", content=b"{no JSON", headers={"content-type": "application/json"}
        )

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
    assert live.status_code == 200
    assert read.status_code == 400


async def test_others_are_served_while_one_client_is_refused(settings: Settings) -> None:
    tight = settings.model_copy(update={"max_in_flight": 1, "max_wait_ms": 50})
    async with client_of(create_app(tight)) as client:
        limiters, proven = client.execution.limiters, History()
        proven.add(was_slow=False)
        held = await limiters.acquire(1, proven, is_query=True)
        waiting = asyncio.create_task(limiters.acquire(1, proven, "127.0.0.1", is_query=True))
        await asyncio.sleep(0.1)
        refused = await client.http.post("/graphql", json={"query": CHEAP})
        async with from_address(client, "198.51.100.7") as other:
            asked = asyncio.create_task(other.http.post("/graphql", json={"query": CHEAP}))
            await asyncio.sleep(0.1)
            limiters.release(held, proven)
            limiters.release(await waiting, proven)
            served = await asked

    assert refused.status_code == 503
    assert served.status_code == 200


async def test_a_new_document_is_refused_unread_and_a_read_one_is_kept(settings: Settings) -> None:
    tight = settings.model_copy(update={"max_waiting": 0, "pool_size": 4, "expensive_cost": 1_000})
    async with client_of(create_app(tight)) as client:
        limiters, documents = client.execution.limiters, client.execution.documents
        held = [await limiters.acquire(1_000, History(), is_query=True)]
        dear = [await client.http.post("/graphql", json={"query": RICH}) for _ in range(2)]
        read = documents.misses
        held += [await limiters.acquire(1, History(), is_query=True) for _ in range(2)]
        new = await client.http.post("/graphql", json={"query": CHEAP})
        unread = documents.misses
        for place in held:
            limiters.release(place, History())
        served = await client.http.post("/graphql", json={"query": CHEAP})

    assert [response.status_code for response in (*dear, new)] == [503, 503, 503]
    assert (read, documents.hits) == (1, 1)
    assert unread == 1
    assert served.status_code == 200


async def test_so_many_requests_start_in_one_turn_of_the_loop() -> None:
    turns, started, loop = Turns(), list[int](), asyncio.get_running_loop()

    def begin(number: int) -> None:
        if turns.take(loop):
            started.append(number)
        else:
            turns.wait(lambda: started.append(number))

    for number in range(40):
        begin(number)
    in_turns = [len(started)]
    for _ in range(3):
        await asyncio.sleep(0)
        in_turns.append(len(started))

    assert in_turns == [16, 32, 40, 40]
    assert started == list(range(40))


def test_a_refused_connection_is_not_read_for_as_long_as_it_is_told_to_wait(
    database_url: str,
) -> None:
    """Its next request is answered after that time, and others' are not held up."""
    tight = {"GRAPH_MAX_IN_FLIGHT": "1", "GRAPH_MAX_WAITING": "0", "GRAPH_POOL_SIZE": "1"}
    # A shape that has not run yet is refused before it is read, while another one runs.
    slow = '{ customers(first: 100, where: {username: {eq: "nobody"}}) { totalCount } }'
    body = json.dumps({"query": slow}).encode()
    with serving(GRAPH_DATABASE_URL=database_url, **tight) as server:
        statuses, waited = _sent_at_once(server.url, body)

    assert set(statuses) == {200, 503}
    assert max(waited) >= 0.9


def _sent_at_once(url: str, body: bytes) -> tuple[list[int], list[float]]:
    """The statuses of many requests at once, and the seconds of second ones after a refusal."""

    async def one(http: httpx.AsyncClient) -> tuple[int, float]:
        response = await http.post(url, content=body, headers={"content-type": "application/json"})
        if response.status_code == 200:
            return 200, 0.0
        assert response.headers["retry-after"] == "1"
        began = time.perf_counter()
        await http.get(url.replace("/graphql", "/health/live"))
        return response.status_code, time.perf_counter() - began

    async def all_() -> list[tuple[int, float]]:
        limits = httpx.Limits(max_connections=1)
        clients = [httpx.AsyncClient(timeout=30, limits=limits) for _ in range(30)]
        try:
            return await asyncio.gather(*(one(http) for http in clients))
        finally:
            await asyncio.gather(*(http.aclose() for http in clients))

    url = f"{url}/graphql"
    answers = asyncio.run(all_())
    return [status for status, _ in answers], [seconds for _, seconds in answers]


@pytest.mark.parametrize("error", [Overloaded, TimedOut, TooMuchStorage, TooManySubscriptions])
def test_whoever_is_refused_for_now_is_told_how_long_to_wait(error: Any) -> None:
    assert error.status in {429, 503}
    assert error.retry_after_seconds >= 1


@pytest.mark.parametrize(
    ("error", "is_one"),
    [(Overloaded(), True), (TooExpensive(1), False), (Unavailable(), False), (TimedOut(), False)],
)
def test_only_a_refusal_for_load_makes_a_connection_rest(error: Exception, is_one: bool) -> None:
    assert is_shed(answer_to(error)) is is_one
