"""Runs a command on the database of the settings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graph.settings import Settings, read_settings
from graph.telemetry import start_logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.database.engine import Database


def with_database(run: Callable[[Database], Awaitable[None]]) -> None:
    import graph.store  # noqa: F401  it fills the engine's catalogue
    from graph.database.connect import connected, reachable_store, role_of
    from graph.database.explanations import explained

    async def connect_and_run(store: Settings) -> None:
        async with connected(store) as database:
            with explained(await role_of(database)):
                await run(database)

    settings = read_settings()
    start_logging(settings.log_level, settings.log_format)
    with reachable_store(settings) as store:
        asyncio.run(connect_and_run(store))
