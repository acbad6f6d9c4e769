"""The demo store, as `graph serve` makes it at first.

demo_url       shared by all tests, which only read it        the whole run
own_demo_url   a clone of it                                  each test that asks for it
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from graph.database.engine import Database
from graph.store.seed import seed
from tests.conftest import administer, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster

_numbers = count(1)


@pytest.fixture(scope="session")
def demo_url(cluster: Cluster, template: str) -> str:
    async def make() -> None:
        await administer(cluster, f"CREATE DATABASE demo TEMPLATE {template} STRATEGY file_copy")
        database = Database.connect(settings_for(cluster.url("demo")))
        await seed(database)
        await database.close()

    asyncio.run(make())
    return cluster.url("demo")


@pytest.fixture
async def own_demo_url(cluster: Cluster, demo_url: str) -> AsyncIterator[str]:
    assert demo_url
    name = f"demo_{next(_numbers)}"
    await administer(cluster, f"CREATE DATABASE {name} TEMPLATE demo STRATEGY file_copy")
    yield cluster.url(name)
    await administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")
