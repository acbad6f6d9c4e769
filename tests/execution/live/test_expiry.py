"""A stream never begins after events that are no longer replayed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from graph.database import pruning
from graph.store.log import LOG
from tests.database.test_pruning import EVENT, hourly, run
from tests.execution.live.test_events import EVENTS

if TYPE_CHECKING:
    from tests.conftest import Client
    from tests.execution.live.conftest import Subscriptions


async def test_a_cursor_before_what_was_pruned_has_expired(
    client: Client, subscribe: Subscriptions
) -> None:
    await run(client.database, EVENT, first=20, rows=5)
    async with subscribe(EVENTS) as events:
        await hourly(client.database, 5)
        cursors = [each["data"]["events"]["cursor"] for each in await events.take(5)]

    await pruning.prune(client.database, LOG, older_than=timedelta(hours=2, minutes=1))

    # Events 1 to 7 are gone: whoever has number 7 misses none.
    (error,) = await subscribe.refused(EVENTS, after=cursors[0])
    assert error["extensions"]["code"] == "CURSOR_EXPIRED"
    async with subscribe(EVENTS, after=cursors[1]) as events:
        numbers = [each["data"]["events"]["node"]["databaseId"] for each in await events.take(3)]
    assert numbers == ["8", "9", "10"]
