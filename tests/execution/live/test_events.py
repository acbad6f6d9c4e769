"""Streams of events: each once, in order, as the viewer may see them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.mutations import ANY, run
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client
    from tests.execution.live.conftest import Subscriptions

EVENTS = """subscription ($after: String, $where: EventWhere) { events(after: $after, where: $where)
    { cursor node { databaseId kind entity orderId payload } } }"""


async def test_a_change_arrives(client: Client, subscribe: Subscriptions) -> None:
    await fill(client.database, customers=1)
    async with subscribe(EVENTS) as events:
        assert await events.is_quiet()
        saved = await run(
            client, "advanceOrder", id="T3JkZXI6MQ==", expectedVersion=ANY, action="PAY"
        )
        assert saved["__typename"] == "OrderSaved", saved
        result = await events.next()
        node = result["data"]["events"]["node"]
        assert (node["kind"], node["entity"]) == ("PAID", "ORDER")
        assert await events.is_quiet()


async def test_live(client: Client, subscribe: Subscriptions) -> None:
    await fill(client.database, customers=1)
    async with subscribe("subscription { live { order(by: {databaseId: 1}) { status } } }") as live:
        assert await live.next() == {"data": {"live": {"order": {"status": "PLACED"}}}}
        await run(client, "advanceOrder", id="T3JkZXI6MQ==", expectedVersion=ANY, action="PAY")
        assert await live.next() == {"data": {"live": {"order": {"status": "PAID"}}}}
        await run(client, "advanceOrder", id="T3JkZXI6Mg==", expectedVersion=ANY, action="PAY")
        assert await live.is_quiet()
        await asyncio.sleep(0)
