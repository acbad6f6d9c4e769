"""What happens between two steps of a subscription: nothing is lost there, and nobody waits."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from graphql import ExecutionResult, GraphQLError

from graph.database.events import LogReader
from graph.errors import Unavailable
from graph.execution.live import group as groups
from graph.execution.live.runs import Query
from graph.execution.planning.cost import CostLimits
from graph.execution.running import execute
from graph.execution.running.charging import Charging
from graph.execution.running.request import Request
from graph.relay import encode_cursor, to_global_id
from graph.viewer import SYSTEM
from tests.conftest import recorded
from tests.execution.live.test_follower import until
from tests.execution.live.test_groups import EVENTS, LIVE, pay, ship
from tests.rows import fill

if TYPE_CHECKING:
    from graph.execution.live.stream import StreamedResult
    from graph.execution.running.execute import Execution
    from tests.conftest import Client
    from tests.execution.live.conftest import Subscriptions


class SlowBuckets:
    """Token buckets that take their time, as those in a database do."""

    async def consume(self, client: str, cost: int) -> None:
        del client
        await asyncio.sleep(0.3 if cost else 0)

    refund = charge = consume


async def test_events_that_settle_while_a_receiver_is_charged_are_sent(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=3, orders=1)
    hub = client.execution.hub
    assert hub is not None
    monkeypatch.setattr(groups, "_LEAST_CHARGE", 1)
    monkeypatch.setattr(hub, "_charging", Charging(SlowBuckets()))
    async with subscribe(EVENTS) as events:
        got: list[str] = []
        for order in (1, 2, 3):
            receiving = asyncio.create_task(events.next())
            await asyncio.sleep(0.1)
            await pay(client, order)
            got.append((await receiving)["data"]["events"]["node"]["orderId"])
        assert got == [to_global_id("Order", order) for order in (1, 2, 3)]


async def test_events_that_settle_while_a_stream_is_resumed_are_sent(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=2, orders=1)
    hub = client.execution.hub
    assert hub is not None
    start = (await client("{ events(last: 1) { edges { cursor } } }"))["events"]["edges"]
    looked_up = LogReader.oldest_cursor

    async def meanwhile(log: LogReader, last: int) -> int:
        found = await looked_up(log, last)
        await pay(client, 1)
        await until(lambda: (hub.settled or 0) > last)
        return found

    of_first = {"orderId": {"eq": to_global_id("Order", 1)}}
    async with subscribe(EVENTS), AsyncExitStack() as stack:  # the first one keeps it listening
        monkeypatch.setattr(LogReader, "oldest_cursor", meanwhile)
        resumed = subscribe(EVENTS, after=start[0]["cursor"], where=of_first)
        events = await stack.enter_async_context(resumed)
        settled = hub.settled or 0
        await pay(client, 2)
        await until(lambda: (hub.settled or 0) > settled)
        assert (await events.next())["data"]["events"]["node"]["kind"] == "PAID"


async def test_resumed_streams_are_one_group_wherever_they_began(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=5, orders=1)
    edges = (await client("{ events(last: 5) { edges { cursor } } }"))["events"]["edges"]
    async with AsyncExitStack() as stack:
        every = [
            await stack.enter_async_context(subscribe(EVENTS, after=edge["cursor"]))
            for edge in edges
        ]
        for behind, events in enumerate(reversed(every)):
            await events.take(behind)
        receiving = [asyncio.create_task(events.next()) for events in every]
        await asyncio.sleep(0.2)
        with recorded(client.database) as statements:
            await pay(client, 1)
            await asyncio.gather(*receiving)
        assert len([sql for sql in statements.texts if "$cursor" in sql]) == 1


async def test_an_answer_that_changes_all_the_time_arrives(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=1)
    hub = client.execution.hub
    assert hub is not None
    whole = Query.whole

    async def changing(query: Query) -> tuple[StreamedResult, int]:
        result = await whole(query)
        hub.changed(None)  # before the run is over
        return result

    monkeypatch.setattr(Query, "whole", changing)
    async with subscribe(LIVE, id=1) as live:
        await live.next()
        async with subscribe(LIVE, id=1) as other:
            await other.next()


async def test_the_first_answer_is_no_older_than_the_subscription(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=1)
    running = asyncio.Event()
    whole = Query.whole

    async def slowly(query: Query) -> tuple[StreamedResult, int]:
        running.set()
        await asyncio.sleep(0.3)
        return await whole(query)

    async with subscribe(LIVE, id=1) as live:
        await live.next()
        monkeypatch.setattr(Query, "whole", slowly)
        receiving = asyncio.create_task(live.next())
        await pay(client, 1)
        await running.wait()
        async with subscribe(LIVE, id=1) as late:
            assert (await late.next())["data"]["live"]["order"]["status"] == "PAID"
        await receiving


@pytest.mark.parametrize("field", ["live", "events"])
async def test_a_subscription_comes_in_whole_results(
    client: Client, execution: Execution, field: str
) -> None:
    await fill(client.database, customers=1)
    selection = {
        "live": "live { order(by: {databaseId: 1}) { ...on Order @defer(if: $yes) { status } } }",
        "events": "events { ...on EventEdge @defer(if: $yes) { cursor node { kind } } }",
    }
    query = f"subscription ($yes: Boolean!) {{ {selection[field]} }}"
    request = Request(query, {"yes": True}, takes_stream=True, takes_parts=True)
    answer = await execution.answer(request, SYSTEM)
    assert answer.stream is not None, answer.body
    upcoming: Any = asyncio.create_task(answer.stream.next())
    await asyncio.sleep(0.2)
    await pay(client, 1)
    await ship(client, 1)
    async with asyncio.timeout(60):
        result = await upcoming
    assert b'"errors"' not in result.body
    assert (b"status" if field == "live" else b"kind") in result.body
    await answer.stream.close()


async def test_texts_that_differ_in_literals_are_different_subscriptions(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=4, orders=1)
    live = "subscription { live { order(by: {databaseId: %d}) { databaseId } } }"
    stream = """subscription { events(where: {kind: {eq: PAID}, orderId: {eq: "%s"}})
        { node { orderId } } }"""
    async with AsyncExitStack() as stack:
        for order in (1, 2, 3, 4):
            result = await (await stack.enter_async_context(subscribe(live % order))).next()
            assert result["data"]["live"]["order"]["databaseId"] == str(order)
        ids = [to_global_id("Order", order) for order in (1, 2, 3, 4)]
        streams = [await stack.enter_async_context(subscribe(stream % id_)) for id_ in ids]
        for order, id_ in enumerate(ids, start=1):
            await pay(client, order)
            result = await streams[order - 1].next()
            assert result["data"]["events"]["node"]["orderId"] == id_


async def test_an_event_without_members_is_json(client: Client, subscribe: Subscriptions) -> None:
    await fill(client.database, customers=1)
    async with subscribe("subscription { events { node @skip(if: true) { kind } } }") as events:
        await pay(client, 1)
        assert await events.next() == {"data": {"events": {}}}


async def test_a_page_of_events_costs_no_more_than_an_operation_may(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=1)
    query = """subscription ($after: String) { events(after: $after) { node { order { customer {
        orders(first: 3) { nodes { lineItems(first: 20) { nodes { id } } } } } } } } }"""
    limits = CostLimits(200, None)
    monkeypatch.setattr(client.execution, "_cost_limits", limits)
    pages: list[int] = []
    run_page = Query._run_page  # noqa: SLF001

    async def recording(*arguments: Any) -> Any:
        pages.append(arguments[-1])
        return await run_page(*arguments)

    monkeypatch.setattr(Query, "_run_page", recording)
    async with subscribe(query, after=encode_cursor("Event:id", 0)) as events:
        await events.take(3)
        assert pages
        assert max(pages) < 10


async def test_a_live_query_with_resolvers_outlasts_a_lost_database(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=1)
    async with subscribe(
        "subscription { live { viewer { role } order(by: {databaseId: 1}) { status } } }"
    ) as live:
        await live.next()
        found: Any = execute.run  # type: ignore[attr-defined]
        lost = ExecutionResult(None, [GraphQLError("", original_error=Unavailable())])

        async def fails_once(*arguments: Any) -> ExecutionResult:
            monkeypatch.setattr(execute, "run", found)
            await found(*arguments)
            return lost

        monkeypatch.setattr(execute, "run", fails_once)
        await pay(client, 1)
        assert (await live.next())["data"]["live"]["order"]["status"] == "PAID"
        assert vars(execute)["run"] is found


async def test_nothing_is_read_for_receivers_in_debt(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=2, orders=1)
    hub = client.execution.hub
    assert hub is not None
    paid = asyncio.Event()

    class Debt(SlowBuckets):
        async def consume(self, client: str, cost: int) -> None:
            del client, cost
            await paid.wait()

        charge = SlowBuckets.refund

    monkeypatch.setattr(groups, "_LEAST_CHARGE", 1)
    async with subscribe(LIVE, id=1) as live, subscribe(EVENTS) as events:
        await live.next()
        receiving = [asyncio.create_task(each.next()) for each in (live, events)]
        await asyncio.sleep(0.1)
        for each in (live, events):
            each.stream._bill._charging = Charging(Debt())  # type: ignore[attr-defined]  # noqa: SLF001
        await pay(client, 1)
        await asyncio.gather(*receiving)
        receiving = [asyncio.create_task(each.next()) for each in (live, events)]
        await asyncio.sleep(0.1)
        run, runs = Query._run, list[Query]()  # noqa: SLF001

        async def recording(query: Query, *arguments: Any) -> Any:
            runs.append(query)
            return await run(query, *arguments)

        monkeypatch.setattr(Query, "_run", recording)
        await ship(client, 1)
        await asyncio.sleep(0.5)
        assert not runs
        paid.set()
        shipped, event = await asyncio.gather(*receiving)
        assert shipped["data"]["live"]["order"]["status"] == "SHIPPED"
        assert event["data"]["events"]["node"]["kind"] == "SHIPPED"
        assert len(runs) == 2
