"""Webhooks: every event that a role sees arrives, in the order of each row, signed."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from graph.database import pruning, webhooks
from graph.database.connect import state_of
from graph.errors import InvalidSetting
from graph.execution.running.event_data import check_query, default_query
from graph.server.webhooks import delivery
from graph.server.webhooks.delivery import retry_seconds
from graph.server.webhooks.signing import headers, new_secret
from graph.store.access import ROLES
from graph.store.log import LOG
from graph.store.schema import schema
from graph.store.seed import seed
from tests.rows import fill
from tests.server.webhooks.receiver import status
from tests.server.webhooks.stored import added, change, delivering, last

if TYPE_CHECKING:
    from graph.database.engine import Database
    from graph.settings import Settings
    from tests.server.webhooks.receiver import Got, Receiver

# Messages


async def test_every_event_arrives_signed_and_as_the_api_shows_it(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    webhook = await added(database, receiver.url)
    await fill(database, customers=2)
    await change(database, "UPDATE orders SET status = 'PAID' WHERE id = 1")
    count = await last(database)
    async with delivering(database, settings):
        await receiver.has(lambda: len(receiver.got) == count)

    assert sorted(receiver.events) == list(range(1, count + 1))
    assert all(got.is_signed_with(webhook.secret) for got in receiver.got)
    assert not receiver.got[0].is_signed_with(new_secret())
    (paid,) = [got.content for got in receiver.got if got.content["type"] == "order.paid"]
    node = paid["data"]["node"]
    assert (node["entity"], node["kind"], node["payload"]["status"]) == (
        *("ORDER", "PAID"),
        ["PLACED", "PAID"],
    )
    assert datetime.fromisoformat(paid["timestamp"]) <= datetime.now(UTC)
    assert {got.content["type"] for got in receiver.got} >= {
        *("customer.created", "item.created", "order.created", "order_line.created"),
    }
    assert await waiting(database) == 0


async def waiting(database: Database) -> int:
    row = await database.first("SELECT count(*) AS waiting FROM webhook_deliveries")
    number: int = row["waiting"]
    return number


async def test_what_a_role_does_not_see_is_not_sent(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    """A clerk sees the history of orders only."""
    await added(database, receiver.url, "clerk")
    await fill(database, customers=1)
    async with delivering(database, settings):
        await receiver.has(lambda: len(receiver.got) == 6)
        await asyncio.sleep(0.3)

    assert {got.content["data"]["node"]["entity"] for got in receiver.got} == {
        *("ORDER", "ORDER_LINE"),
    }
    assert len(receiver.got) == 6
    assert await waiting(database) == 0


async def test_a_query_of_ones_own_gives_the_data(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    query = """query ($id: ID!) { node(id: $id) { ... on Event { order { id total } } } }"""
    check_query(schema, query)
    await added(database, receiver.url, query=query)
    await fill(database, customers=1, orders=1, lines=1)
    count = await last(database)
    async with delivering(database, settings):
        await receiver.has(lambda: len(receiver.got) == count)
    by_type = {got.content["type"]: got.content["data"] for got in receiver.got}
    assert by_type["order.created"] == {"node": {"order": {"id": "T3JkZXI6MQ==", "total": "2.50"}}}
    assert by_type["item.created"] == {"node": {"order": None}}


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("{ nothing }", "Cannot query field 'nothing'"),
        ("query ($id: ID!) { node(id: $id) { id } } { viewer { role } }", "--query"),
        ("mutation { __typename }", "one operation, a query"),
        ("query ($key: ID!) { node(id: $key) { id } }", r"one variable, \$id"),
        ("{", "Syntax Error"),
    ],
)
def test_a_query_that_cannot_be_run_for_an_event_is_refused(query: str, why: str) -> None:
    with pytest.raises(InvalidSetting, match=why):
        check_query(schema, query)


def test_a_role_that_sees_no_events_has_no_webhook() -> None:
    with pytest.raises(InvalidSetting, match="sees no events"):
        default_query(schema, "Event", ROLES["anonymous"])
    assert "actor" not in default_query(schema, "Event", ROLES["customer"])
    assert "actor" in default_query(schema, "Event", ROLES["clerk"])


def test_signatures_are_those_of_the_standard() -> None:
    """The example of the specification's libraries."""
    signed = headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_page_for_receivers_verifies_what_is_sent() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    ((code,),) = [re.findall(r"```python\n(import base64.*?)```", page, re.DOTALL)]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  it is ours
    secret, now, body = new_secret(), int(time.time()), b'{"type": "order.paid"}'

    names["verify"](secret, headers([secret], "7", now, body), body)
    for bad_secret, bad_time, bad_body in (
        (new_secret(), now, body),
        (secret, now - 400, body),
        (secret, now, body + b" "),
    ):
        signed = headers([secret], "7", bad_time, body)
        with pytest.raises(ValueError, match=r"too old|not signed"):
            names["verify"](bad_secret, signed, bad_body)
    # A second signature, of another secret or version, does no harm.
    signed = headers([secret], "7", now, body)
    signed["webhook-signature"] = f"v1a,xyz {signed['webhook-signature']}"
    names["verify"](secret, signed, body)


# Failures


async def test_a_failing_event_delays_its_own_row_and_no_other(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    await fill(database, customers=3, orders=1)
    await added(database, receiver.url)
    is_down = True

    def answer(got: Got) -> bytes:
        order = got.content["data"]["node"]["payload"]
        return status(503 if is_down and "of-order-1" in json.dumps(order) else 200)

    receiver.answer = answer
    for number in range(5):
        await change(database, f"UPDATE customers SET town = 'of-order-' || id || '-{number}'")  # noqa: S608
    async with delivering(database, settings):
        await receiver.has(lambda: len(taken(receiver)) >= 10 and len(refused(receiver)) > 2)
        assert {town(got).split("-")[2] for got in taken(receiver)} == {"2", "3"}
        # One event of the row was tried again and again, and none after it.
        assert {town(got) for got in refused(receiver)} == {"of-order-1-0"}
        is_down = False
        await receiver.has(lambda: len({got.event for got in receiver.got}) == 15)

    for customer in "123":
        arrived = list(
            dict.fromkeys(town(got) for got in receiver.got if town(got).split("-")[2] == customer)
        )
        assert arrived == [f"of-order-{customer}-{number}" for number in range(5)]


def town(got: Got) -> str:
    """The new town of a changed customer."""
    name: str = got.content["data"]["node"]["payload"]["town"][1]
    return name


def taken(receiver: Receiver) -> list[Got]:
    return [got for got in receiver.got if "of-order-1" not in town(got)]


def refused(receiver: Receiver) -> list[Got]:
    return [got for got in receiver.got if "of-order-1" in town(got)]


async def test_a_webhook_that_fails_for_too_long_is_paused_and_loses_nothing(
    database: Database, settings: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    webhook = await added(database, receiver.url)
    receiver.answer = lambda _: status(500)
    await fill(database, customers=1)
    async with delivering(database, settings, webhook_pause_hours=0.001):
        await receiver.has(lambda: "webhook 1 is paused" in caplog.text)
        (paused,) = await webhooks.every(database)
        assert paused.paused_at is not None
        assert paused.problem is not None
        assert "status 500" in paused.problem
        lines = (await state_of(database, settings)).lines
        assert any("Danger: webhook 1" in line and "paused" in line for line in lines)
        await asyncio.sleep(0.5)
        tried = len(receiver.got)
        await change(database, "UPDATE orders SET status = 'PAID' WHERE id = 1")
        await asyncio.sleep(0.5)
        assert len(receiver.got) == tried

        receiver.got.clear()
        receiver.answer = lambda _: status(204)
        assert await webhooks.resume(database, webhook.id)
        count = await last(database)
        await receiver.has(lambda: len(receiver.got) == count)
    assert set(receiver.events) == set(range(1, count + 1))


async def test_a_receiver_that_is_gone_pauses_its_webhook_at_once(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    await added(database, receiver.url)
    receiver.answer = lambda _: status(410)
    await fill(database, customers=1)
    async with delivering(database, settings):
        async with asyncio.timeout(60):
            while (await webhooks.every(database))[0].paused_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def test_retries_are_ever_farther_apart_up_to_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_FIRST_RETRY_SECONDS", 1.0)
    random.seed(1)
    for attempts in (*range(40), 10_000):
        longest = min(2**attempts, 3_600) if attempts < 20 else 3_600
        waits = [retry_seconds(attempts) for _ in range(50)]
        assert all(longest / 2 <= each <= longest for each in waits)
        assert len(set(waits)) > 40
        assert retry_seconds(attempts, 10**9) == 3_600
    assert 30 <= retry_seconds(0, 30.0) <= 31


async def test_a_receiver_says_when_it_wants_the_next_attempt(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    headers_of = {"1": "120", "2": format_datetime(later, usegmt=True), "3": "soon", "4": "9" * 50}
    await added(database, receiver.url)

    def refused(got: Got) -> bytes:
        return status(503, **{"retry-after": headers_of.get(got.headers["webhook-id"], "")})

    receiver.answer = refused
    await fill(database, customers=4)
    async with delivering(database, settings):
        await receiver.has(lambda: len(set(receiver.events)) >= 4)
        await asyncio.sleep(0.3)
    rows = await database.all(
        "SELECT event, extract(epoch FROM due_at - now())::float8 FROM webhook_deliveries"
    )
    seconds = {event: due for event, due in rows}  # noqa: C416  rows, not pairs
    assert 100 < seconds[1] <= 120
    assert 3_500 < seconds[2] <= 3_600  # an hour at most
    assert seconds[3] < 60
    assert 3_500 < seconds[4] <= 3_600


async def test_of_two_workers_one_delivers(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    await added(database, receiver.url)
    receiver.delay_seconds = 0.02
    async with delivering(database, settings), delivering(database, settings):
        await fill(database, customers=2)
        count = await last(database)
        await receiver.has(lambda: len(receiver.got) >= count)
        await asyncio.sleep(0.3)
    assert sorted(receiver.events) == list(range(1, count + 1))


async def test_a_log_that_begins_anew_is_sent_from_its_new_numbers(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    """A store that was reset: its sample is no news, and what comes after is."""
    await fill(database, customers=20)
    webhook = await added(database, receiver.url)
    await seed(database, customers=2, reset=True)
    sample = await last(database)
    assert sample < webhook.position
    async with delivering(database, settings):
        async with asyncio.timeout(60):
            while (await webhooks.every(database))[0].position != sample:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await change(database, "UPDATE orders SET status = 'PAID' WHERE id = 1")
        await receiver.has(lambda: receiver.events == [sample + 1])


async def test_events_that_were_pruned_before_they_were_sent_are_reported(
    database: Database,
    settings: Settings,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await added(database, receiver.url)
    await fill(database, customers=1)
    count = await last(database)
    await pruning.prune(database, LOG, older_than=timedelta(0))
    await change(database, "UPDATE orders SET status = 'PAID' WHERE id = 1")
    async with delivering(database, settings):
        await receiver.has(lambda: receiver.events == [count + 1])
        await receiver.has(lambda: "were pruned before they were sent" in caplog.text)
