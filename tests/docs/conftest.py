"""Here every database is a clone of the demo store, as `graph serve` makes it at first."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from graph.database.engine import Database
from graph.database.seed import seed
from tests.conftest import administer, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster

_numbers = count(1)


@pytest.fixture(scope="session")
def demo(cluster: Cluster, template: str) -> str:
    """The name of a database that holds the demo store, to be cloned."""

    async def make() -> None:
        await administer(cluster, f"CREATE DATABASE demo TEMPLATE {template} STRATEGY file_copy")
        database = Database.connect(settings_for(cluster.url("demo")))
        await seed(database)
        await database.close()

    asyncio.run(make())
    return "demo"


@pytest.fixture
async def database_url(cluster: Cluster, demo: str) -> AsyncIterator[str]:
    name = f"demo_{next(_numbers)}"
    await administer(cluster, f"CREATE DATABASE {name} TEMPLATE {demo} STRATEGY file_copy")
    yield cluster.url(name)
    await administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")
