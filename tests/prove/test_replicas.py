"""Clients change something and read it at once, over replicas that lag, pause, stop and change."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from graph.database.engine import Database
from tests.conftest import settings_for
from tests.database.embedded import a_folder
from tests.database.reading import delayed, paused, reading, replicas_of, stale_reads
from tests.database.standby import replicated
from tests.prove.conftest import ROUNDS
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from tests.conftest import Client
    from tests.database.standby import Group

CLIENTS = 16
READS = CLIENTS * ROUNDS * 5


@pytest.fixture
def group() -> Iterator[Group]:
    with a_folder() as folder, replicated(folder, standbys=2) as group:
        asyncio.run(write_rows(group))
        yield group


async def write_rows(group: Group) -> None:
    database = Database.connect(settings_for(group.primary.url()))
    await fill(database, customers=1, orders=0, items=CLIENTS)
    await database.close()
    await group.caught_up()


async def test_what_was_changed_is_read_with_its_token(
    group: Group, figures: Callable[..., None]
) -> None:
    async with reading(group) as client:
        for with_token in (True, False):
            states: dict[str, AbstractAsyncContextManager[None]] = {
                "following": nullcontext(),
                "delayed": delayed(group.standbys, 50),
                "paused": paused(group.standbys),
            }
            counted = {
                name: await stale_in(state, client, with_token=with_token)
                for name, state in states.items()
            }
            figures(with_token=with_token, reads_of_each=READS, stale=counted)
            assert with_token is not any(counted.values()), counted
        stopping = asyncio.create_task(stop_and_start(group))
        reads = stale = 0
        while not stopping.done():
            stale += await stale_reads(client, rounds=2, with_token=True, items=CLIENTS)
            reads += 2 * CLIENTS
        await stopping
        figures(reads_while_replicas_stop_and_start=reads, stale=stale)
        assert stale == 0
        await group.promote(group.standbys[1])
        stale = await stale_in(nullcontext(), client, with_token=True)
        figures(reads_beside_a_promoted_replica=READS, stale=stale)
        assert stale == 0
        replicas = replicas_of(client)
        instead = {reason.value: number for reason, number in replicas.fallbacks.items()}
        figures(replicas_answered=replicas.answered, primary_answered=instead)


async def stale_in(
    state: AbstractAsyncContextManager[None], client: Client, *, with_token: bool
) -> int:
    async with state:
        return await stale_reads(client, rounds=ROUNDS * 5, with_token=with_token, items=CLIENTS)


async def stop_and_start(group: Group) -> None:
    """Each replica in turn, and then both."""
    for members in (group.standbys[:1], group.standbys[1:], group.standbys):
        for each in members:
            await asyncio.to_thread(group.stop, each)
        await asyncio.sleep(0.5)
        for each in members:
            await asyncio.to_thread(group.start, each)
        await asyncio.sleep(1.5)  # until they are read again
