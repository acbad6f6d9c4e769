"""Webhooks in the database of a test, and a worker that delivers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from graph.database import webhooks
from graph.execution.running.event_data import default_query
from graph.server.webhooks.delivery import Deliverer
from graph.server.webhooks.signing import new_secret
from graph.store.access import ROLES
from graph.store.schema import schema
from tests.conftest import settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.engine import Database
    from graph.database.webhooks import Webhook
    from graph.settings import Settings

LOOPBACK = "127.0.0.0/8,::1/128"


async def added(
    database: Database, url: str, role: str = "manager", query: str | None = None
) -> Webhook:
    return await webhooks.add(
        database,
        url=url,
        role=role,
        query=query or default_query(schema, "Event", ROLES[role]),
        secret=new_secret(),
        position=await last(database),
    )


async def last(database: Database) -> int:
    row = await database.first("SELECT coalesce(max(id), 0) AS last FROM events")
    number: int = row["last"]
    return number


async def change(database: Database, *statements: str) -> None:
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


@asynccontextmanager
async def delivering(database: Database, settings: Settings, **more: Any) -> AsyncIterator[None]:
    url = settings.database_url
    assert url is not None
    allowed = settings_for(url.get_secret_value(), webhook_networks=LOOPBACK, **more)
    async with Deliverer(schema, database, allowed, ROLES).running():
        yield
