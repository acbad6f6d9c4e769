"""Reads from replicas: what a client has changed is read by it, wherever it reads."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from graph.database.engine import Database
from graph.database.replicas import Fallback
from graph.database.server import Server
from graph.errors import Interrupted
from graph.execution.running.request import Request
from tests.conftest import settings_for
from tests.database.reading import (
    TOKEN,
    delayed,
    paused,
    reading,
    replicas_of,
    sent,
    stale_reads,
)
from tests.database.standby import fetched, replicated
from tests.database.test_embedded import a_folder
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Client
    from tests.database.standby import Group

READ = "{ customers { totalCount nodes { username orders { nodes { total } } } } }"
CHANGE = """mutation { createItem(input: {name: "Lamp", costPrice: "5.00", sellingPrice: "9.50"}) {
    __typename ... on ItemSaved { item { name } } } }"""


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    with a_folder() as folder, replicated(folder, standbys=2) as group:
        asyncio.run(write_rows(group))
        yield group


async def write_rows(group: Group) -> None:
    database = Database.connect(settings_for(group.primary.url()))
    await fill(database, customers=2, orders=1, lines=1)
    await database.close()
    await group.caught_up()


async def test_try(group: Group) -> None:
    async with reading(group) as client:
        r = await sent(client, READ)
        print(r.text, r.headers)
        r = await sent(client, CHANGE)
        print(r.text, r.headers)
        r = await sent(client, READ, r.headers[TOKEN])
        print(r.text, r.headers)
        print(replicas_of(client).answered, replicas_of(client).fallbacks)
        for token in (True, False):
            print(await stale_reads(client, rounds=20, with_token=token))
            print(replicas_of(client).answered, replicas_of(client).fallbacks)
        async with paused(group.standbys):
            for token in (True, False):
                print(await stale_reads(client, rounds=20, with_token=token))
                print(replicas_of(client).answered, replicas_of(client).fallbacks)
        async with delayed(group.standbys, 200):
            for token in (True, False):
                print(await stale_reads(client, rounds=20, with_token=token))
                print(replicas_of(client).answered, replicas_of(client).fallbacks)
