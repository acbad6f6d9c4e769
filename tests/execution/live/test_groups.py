"""Subscriptions that want the same are answered together; state of a receiver is one number."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.database.catalog import catalog
from graph.execution.live import events as streams
from graph.execution.live import group
from graph.execution.live.group import Bill, Group
from graph.execution.running.execute import Execution
from graph.relay import encode_cursor, to_global_id
from graph.store.access import ROLES
from graph.viewer import ANONYMOUS, SYSTEM, Viewer
from tests.conftest import recorded
from tests.mutations import ANY, run
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client
    from tests.execution.live.conftest import Subscription, Subscriptions

LIVE = "subscription ($id: BigInt!) { live { order(by: {databaseId: $id}) { status total } } }"
EVENTS = """subscription ($after: String, $where: EventWhere) { events(after: $after, where: $where)
    { cursor node { databaseId kind entity orderId } } }"""


async def pay(client: Client, order: int) -> None:
    saved = await run(
        client, "advanceOrder", id=to_global_id("Order", order), expectedVersion=ANY, action="PAY"
    )
    assert saved["__typename"] == "OrderSaved"


async def pay_elsewhere(client: Client, order: int) -> None:
    """The same, over a connection of another client: its statements are not among ours."""
    url = client.database.engine.url.render_as_string(hide_password=False)
    other = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await other.execute("UPDATE orders SET status = 'PAID' WHERE id = $1", order)
    finally:
        await other.close()


async def many(
    stack: AsyncExitStack, subscribe: Subscriptions, query: str, number: int, **variables: Any
) -> list[Subscription]:
    return [await stack.enter_async_context(subscribe(query, **variables)) for _ in range(number)]


async def test_a_thousand_equal_live_queries_are_one_statement(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=1)
    async with AsyncExitStack() as stack:
        with recorded(client.database) as statements:
            every = await many(stack, subscribe, LIVE, 1_000, id=1)
            first = await asyncio.gather(*(each.next() for each in every))
            assert len(statements) == 1
        assert {json.dumps(each) for each in first} == {json.dumps(first[0])}
        receiving = [asyncio.create_task(each.next()) for each in every]
        with recorded(client.database) as statements:
            await pay_elsewhere(client, 1)
            for result in await asyncio.gather(*receiving):
                assert result["data"]["live"]["order"]["status"] == "PAID"
        # The events, and the query.
        assert len([text for text in statements.texts if "FROM events" not in text]) == 1


async def test_of_500_watched_orders_only_the_changed_one_is_read(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=250, orders=2)
    async with AsyncExitStack() as stack:
        live = {
            order: await stack.enter_async_context(subscribe(LIVE, id=order))
            for order in range(1, 501)
        }
        streams = {
            order: await stack.enter_async_context(
                subscribe(EVENTS, where={"orderId": {"eq": to_global_id("Order", order)}})
            )
            for order in range(1, 501)
        }
        for each in live.values():
            await each.next()
        with recorded(client.database) as statements:
            await pay_elsewhere(client, 77)
            assert (await live[77].next())["data"]["live"]["order"]["status"] == "PAID"
            assert (await streams[77].next())["data"]["events"]["node"]["kind"] == "PAID"
            await asyncio.sleep(0.3)
        read = [text for text in statements.texts if "jsonb_object_keys" not in text]
        assert len(read) == 2, "one for the live query, one for the stream"
        assert await live[78].is_quiet(0.1)
        assert await streams[78].is_quiet(0.1)


@pytest.mark.parametrize("role", ["customer", "clerk"])
async def test_a_stream_shows_what_its_viewer_may_see(
    client: Client, subscribe: Subscriptions, role: str
) -> None:
    await fill(client.database, customers=2, orders=1)
    viewer = Viewer("somebody", role, ROLES[role], 2)
    async with subscribe(EVENTS, viewer) as events:
        await pay(client, 1)
        await pay(client, 2)
        expected = [2] if role == "customer" else [1, 2]
        for order in expected:
            node = (await events.next())["data"]["events"]["node"]
            assert node["orderId"] == to_global_id("Order", order)
        assert await events.is_quiet()


async def test_streams_of_customers_are_found_by_the_owner(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=50, orders=1)
    async with AsyncExitStack() as stack:
        for own in range(1, 51):
            viewer = Viewer(f"customer {own}", "customer", ROLES["customer"], own)
            stream = await stack.enter_async_context(subscribe(EVENTS, viewer))
        with recorded(client.database) as statements:
            await pay_elsewhere(client, 50)
            await stream.next()
            await asyncio.sleep(0.2)
        assert len([sql for sql in statements.texts if "jsonb_object_keys" not in sql]) == 1


async def test_who_sees_no_events_is_refused(subscribe: Subscriptions) -> None:
    (error,) = await subscribe.refused(EVENTS, ANONYMOUS)
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_who_joins_while_the_answer_is_stale_gets_it_all_the_same(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=1)
    async with subscribe(LIVE, id=1) as first:
        expected = await first.next()
        group = next(iter(client.execution.hub._queries.values()))  # type: ignore[union-attr]  # noqa: SLF001
        group.touch()  # something changed that makes no difference
        async with subscribe(LIVE, id=1) as second:
            assert await second.next() == expected
        assert await first.is_quiet()


async def test_a_stalled_receiver_reads_the_log_and_joins_again(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_MOST_KEPT", 5)
    await fill(client.database, customers=30, orders=1)
    async with subscribe(EVENTS) as quick, subscribe(EVENTS) as slow:
        for order in range(1, 31):
            await pay(client, order)
            await quick.next()
        group = next(iter(client.execution.hub._streams.values()))  # type: ignore[union-attr]  # noqa: SLF001
        assert len(group._results) <= 5  # noqa: SLF001
        got = [each["data"]["events"]["node"]["orderId"] for each in await slow.take(30)]
        assert got == [to_global_id("Order", order) for order in range(1, 31)]
        with recorded(client.database) as statements:
            await asyncio.gather(ship(client, 5), quick.next(), slow.next())
        assert len([sql for sql in statements.texts if "$cursor" in sql]) == 1, "it has joined"


async def ship(client: Client, order: int) -> None:
    await run(
        client, "advanceOrder", id=to_global_id("Order", order), expectedVersion=ANY, action="SHIP"
    )


async def test_a_cursor_is_resumed_without_loss_or_repetition(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=60, orders=1)
    got: list[str] = []
    async with subscribe(EVENTS) as events:
        await pay(client, 1)
        result = await events.next()
    for order in range(2, 61):
        await pay(client, order)
    while len(got) < 59:
        cursor = result["data"]["events"]["cursor"]
        async with subscribe(EVENTS, after=cursor) as events:
            taken = await events.take(min(7, 59 - len(got)))
            got += [each["data"]["events"]["node"]["orderId"] for each in taken]
            result = taken[-1]
    assert got == [to_global_id("Order", order) for order in range(2, 61)]
    # `Last-Event-ID` names a cursor too, and a page of events has the same ones.
    page = await client("{ events(last: 3) { edges { cursor node { orderId } } } }")
    edges = page["events"]["edges"]
    async with subscribe(EVENTS, last_event_id=edges[0]["cursor"]) as events:
        for edge in edges[1:]:
            found = (await events.next())["data"]["events"]
            assert (found["cursor"], found["node"]["orderId"]) == (
                edge["cursor"],
                edge["node"]["orderId"],
            )


@pytest.mark.parametrize(
    ("cursor", "code"),
    [
        ("nonsense", "INVALID_CURSOR"),
        (encode_cursor("Order:id", 1), "INVALID_CURSOR"),
        (encode_cursor("Event:id", -1), "INVALID_CURSOR"),
        (encode_cursor("Event:id", "1"), "INVALID_CURSOR"),
        (encode_cursor("Event:id", 10**30), "INVALID_CURSOR"),
        (encode_cursor("Event:id", None), "INVALID_CURSOR"),
        (encode_cursor("Event:id", 1, 2), "INVALID_CURSOR"),
        (encode_cursor("Event:id", 10**9), "CURSOR_UNKNOWN"),
    ],
)
async def test_a_wrong_cursor_is_refused(
    client: Client, subscribe: Subscriptions, cursor: str, code: str
) -> None:
    await fill(client.database, customers=1)
    (error,) = await subscribe.refused(EVENTS, after=cursor)
    assert error["extensions"]["code"] == code


async def test_errors_are_at_their_places_in_the_subscription(subscribe: Subscriptions) -> None:
    clerk = Viewer("somebody", "clerk", ROLES["clerk"])
    live = "subscription { now: live { items { nodes { costPrice } } } }"
    (error,) = await subscribe.refused(live, clerk)
    assert error["path"] == ["now", "items", "nodes", "costPrice"]
    events = "subscription { events { node { item { costPrice } } } }"
    (error,) = await subscribe.refused(events, clerk)
    assert error["path"] == ["events", "node", "item", "costPrice"]
    (error,) = await subscribe.refused("subscription { live { items(first: -1) { totalCount } } }")
    assert error["path"] == ["live", "items"]
    (error,) = await subscribe.refused('subscription { e: events(after: "") { cursor } }')
    assert (error["path"], error["locations"]) == (["e"], [{"line": 1, "column": 16}])


async def test_a_subscription_needs_a_stream(client: Client) -> None:
    response = await client.http.post("/graphql", json={"query": LIVE, "variables": {"id": "1"}})
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "NOT_ACCEPTABLE"


async def test_a_reset_of_the_store_ends_streams_and_renews_live_queries(
    client: Client, subscribe: Subscriptions, execution: Execution
) -> None:
    await fill(client.database, customers=1)
    async with subscribe(EVENTS) as events, subscribe(LIVE, id=1) as live:
        await live.next()
        await client.database.all("TRUNCATE events, order_lines, orders RESTART IDENTITY")
        (error,) = (await events.next())["errors"]
        assert error["extensions"]["code"] == "CURSOR_UNKNOWN"
        assert await events.stream.next() is None
        assert await live.next() == {"data": {"live": {"order": None}}}
    assert execution.hub is not None
    assert not execution.hub.is_listening


async def test_fields_of_a_fragment_and_aliases_keep_their_places(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=1)
    query = """subscription S { ...Root } fragment Root on Subscription { news: events
        { ...Edge __typename at: cursor } }
        fragment Edge on EventEdge { cursor event: node { kind order { lineItems { nodes {
        quantity item { name } } } } } }"""
    async with subscribe(query) as events:
        await pay(client, 1)
        news = (await events.next())["data"]["news"]
        assert list(news) == ["cursor", "event", "__typename", "at"]
        assert news["__typename"] == "EventEdge"
        lines = news["event"]["order"]["lineItems"]["nodes"]
        assert [line["quantity"] for line in lines] == [1, 2]
        assert news["at"] == news["cursor"]


@pytest.mark.parametrize(
    "query",
    [
        "subscription { events @include(if: true) { cursor } }",
        "subscription { events { cursor } live { __typename } }",
        "subscription { __typename }",
    ],
)
async def test_what_is_no_single_root_field_is_refused(
    subscribe: Subscriptions, query: str
) -> None:
    errors = await subscribe.refused(query, SYSTEM)
    assert {error["extensions"]["code"] for error in errors} == {"GRAPHQL_VALIDATION_FAILED"}


async def test_both_wide_pages_and_long_logs_fit_into_pages_of_the_log(
    client: Client, subscribe: Subscriptions
) -> None:
    await fill(client.database, customers=1)
    start = (await client("{ events(last: 1) { edges { cursor } } }"))["events"]["edges"]
    await client.database.all("UPDATE items SET stock = 0 WHERE id = 1")
    for _ in range(12):
        await client.database.all("UPDATE items SET stock = coalesce(stock, 0) + 1")
    async with subscribe(EVENTS, after=start[0]["cursor"]) as events:
        got = await events.take(61)
        numbers = [int(each["data"]["events"]["node"]["databaseId"]) for each in got]
        assert numbers == list(range(numbers[0], numbers[0] + 61))
        assert await events.is_quiet()


async def test_a_receiver_that_pays_meanwhile_misses_nothing(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives while a receiver is charged is not taken for what it has."""

    async def settle(bill: Bill, _group: Group) -> None:
        bill._owed -= int(bill._owed)  # noqa: SLF001
        await asyncio.sleep(0.05)

    monkeypatch.setattr(Bill, "settle", settle)
    monkeypatch.setattr(group, "_LEAST_CHARGE", 1)
    await fill(client.database, customers=20, orders=1)
    async with subscribe(EVENTS) as events, subscribe(LIVE, id=1) as live:
        await live.next()
        taking = asyncio.create_task(events.take(20))
        for order in range(1, 21):
            await pay(client, order)
        got = [each["data"]["events"]["node"]["orderId"] for each in await taking]
        assert got == [to_global_id("Order", order) for order in range(1, 21)]
        assert (await live.next())["data"]["live"]["order"]["status"] == "PAID"


async def test_a_stream_that_begins_while_others_settle_misses_nothing(
    client: Client, subscribe: Subscriptions, execution: Execution
) -> None:
    await fill(client.database, customers=40, orders=1)
    assert execution.hub is not None
    resumed = execution.hub._resumed  # noqa: SLF001

    async def slowly(number: int) -> int:
        number = await resumed(number)
        await pay(client, 2)
        await asyncio.sleep(0.2)  # it settles, and other receivers hear of it
        return number

    execution.hub._resumed = slowly  # type: ignore[method-assign]  # noqa: SLF001
    page = await client("{ events(last: 1) { edges { cursor } } }")
    where = {"orderId": {"in": [to_global_id("Order", order) for order in (2, 3)]}}
    async with (
        subscribe(EVENTS) as other,
        subscribe(EVENTS, after=page["events"]["edges"][0]["cursor"], where=where) as events,
    ):
        await other.next()
        await pay(client, 1)
        await other.next()
        await pay(client, 3)
        got = [each["data"]["events"]["node"]["orderId"] for each in await events.take(2)]
        assert got == [to_global_id("Order", order) for order in (2, 3)]


async def test_what_has_no_events_cannot_be_followed(
    subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert catalog.log is not None
    log = replace(catalog.log, entities=catalog.log.entities - {"Item"})
    monkeypatch.setattr(catalog, "log", log)
    (error,) = await subscribe.refused("subscription { live { items { totalCount } } }")
    assert error["extensions"]["code"] == "NOT_FOLLOWED"
    assert "Item" in error["message"]
    async with subscribe("subscription { live { customers { totalCount } } }") as live:
        await live.next()


async def test_a_resolver_that_is_cancelled_by_itself_ends_no_other_live_query(
    client: Client, subscribe: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cancelled refresh would end one of the tasks that refresh all live queries."""
    await fill(client.database, customers=6)

    async def cancelled(*_: Any) -> Any:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(Execution, "_read", cancelled)
        for number in range(1, 6):
            async with subscribe(LIVE, id=number) as failing:
                result = await failing.next()
                assert result["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    async with subscribe(LIVE, id=6) as working:
        assert (await working.next())["data"]["live"]["order"]["status"] == "PLACED"
