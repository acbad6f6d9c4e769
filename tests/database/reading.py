"""Clients that change something, and read it at once, where reads are answered by replicas."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import asyncpg

from graph.app import create_app
from graph.relay import to_global_id
from tests.conftest import client_of, settings_for
from tests.database.standby import fetched, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx

    from graph.database.embedded import Cluster
    from graph.database.replicas import Replicas
    from tests.conftest import Client
    from tests.database.standby import Group

TOKEN = "x-consistency-token"  # noqa: S105  no secret
_names = count(1)
_RENAME = """mutation ($input: UpdateItemInput!) { updateItem(input: $input) {
    __typename ... on ItemSaved { item { name } } } }"""
_NAME = "query ($id: ID!) { item(by: {id: $id}) { name } }"


@asynccontextmanager
async def reading(group: Group, url: str = "", **more: Any) -> AsyncIterator[Client]:
    """The application on the primary, or on whichever the URL leads to, and on all standbys."""
    replicas = ",".join(each.url() for each in group.standbys)
    settings = settings_for(url or group.primary.url(), **{"replica_urls": replicas} | more)
    async with client_of(create_app(settings)) as client:
        yield client


def replicas_of(client: Client) -> Replicas:
    assert client.database.replicas is not None
    return client.database.replicas


async def sent(
    client: Client, query: str, token: str | None = None, **variables: Any
) -> httpx.Response:
    headers = {TOKEN: token} if token else {}
    body = {"query": query, "variables": variables}
    return await client.http.post("/graphql", json=body, headers=headers)


async def answered(client: Client, query: str, token: str | None, **variables: Any) -> Any:
    """As `sent`, again while the server has more to do than it can."""
    for _ in range(100):
        response = await sent(client, query, token, **variables)
        if response.status_code != 503:
            break
        await asyncio.sleep(0.05)
    assert "errors" not in response.json(), response.text
    return response


@dataclass
class Writer:
    """Changes the name of one item, and reads it at once."""

    client: Client
    item: int
    with_token: bool
    reads: int = 0
    stale: int = 0
    token: str | None = None

    async def once(self) -> None:
        name = f"Item, version {next(_names)}"
        id_ = to_global_id("Item", self.item)
        values = {"id": id_, "name": name, "expectedVersion": {"any": True}}
        changed = await answered(self.client, _RENAME, None, input=values)
        assert '"ItemSaved"' in changed.text, changed.text
        self.token = changed.headers[TOKEN] if self.with_token else None
        read = await answered(self.client, _NAME, self.token, id=id_)
        self.reads += 1
        self.stale += read.json()["data"]["item"]["name"] != name


async def stale_reads(client: Client, *, rounds: int, with_token: bool, items: int = 4) -> int:
    """How many reads did not show what their client had changed, of `rounds` for each item."""
    writers = [Writer(client, item, with_token) for item in range(1, items + 1)]

    async def write(writer: Writer) -> None:
        for _ in range(rounds):
            await writer.once()

    async with asyncio.TaskGroup() as group:
        for each in writers:
            group.create_task(write(each))
    assert sum(writer.reads for writer in writers) == rounds * items
    return sum(writer.stale for writer in writers)


@asynccontextmanager
async def paused(standbys: Sequence[Cluster]) -> AsyncIterator[None]:
    """These replay nothing meanwhile."""
    for each in standbys:
        await fetched(each, "SELECT pg_wal_replay_pause()")
        await until(each, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
    try:
        yield
    finally:
        for each in standbys:
            # What is replayed now may be in the way of the statement itself.
            with suppress(asyncpg.SerializationError):
                await fetched(each, "SELECT pg_wal_replay_resume()")


@asynccontextmanager
async def delayed(standbys: Sequence[Cluster], milliseconds: int) -> AsyncIterator[None]:
    """These replay each commit so much later."""
    for each in standbys:
        await _set(each, f"ALTER SYSTEM SET recovery_min_apply_delay = {milliseconds}")
    try:
        yield
    finally:
        for each in standbys:
            await _set(each, "ALTER SYSTEM RESET recovery_min_apply_delay")


async def _set(cluster: Cluster, statement: str) -> None:
    await fetched(cluster, statement)
    await fetched(cluster, "SELECT pg_reload_conf()")
