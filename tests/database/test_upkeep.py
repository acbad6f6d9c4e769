"""One worker at a time keeps the database in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from graph.database import upkeep
from graph.database.leases import Lease
from graph.database.replay import pruned_through
from graph.database.upkeep import Upkeep
from tests.conftest import eventually, serving, settings_for
from tests.database.test_pruning import hourly, numbers, run

if TYPE_CHECKING:
    import pytest

    from graph.database.engine import Database
    from graph.settings import Settings

_KEYS = """
    INSERT INTO idempotency_keys (viewer, key, request, created_on)
    SELECT '', n::text, '', now() - n * interval '1 hour' FROM generate_series(0, 30) AS n
"""


async def test_a_lease_has_one_holder_until_it_ends(database: Database) -> None:
    one, two = (Lease(database, "work", seconds=600) for _ in range(2))
    other = Lease(database, "other work", seconds=600)

    assert [await each.take() for each in (one, two, one, other)] == [True, False, True, True]
    await run(database, "UPDATE leases SET until = until - interval '10 minutes'")
    assert [await each.take() for each in (two, one)] == [True, False]
    await one.release()
    assert not await one.take()
    await two.release()
    assert await one.take()


async def test_of_many_who_take_a_lease_at_once_one_has_it(database: Database) -> None:
    taken = await asyncio.gather(*(Lease(database, "work", seconds=60).take() for _ in range(20)))
    assert sum(taken) == 1


async def test_upkeep_is_one_workers_at_a_time(database: Database, settings: Settings) -> None:
    kept = settings.model_copy(update={"events_kept_days": 0.5})
    one, two = Upkeep(database, kept), Upkeep(database, kept)
    await run(database, _KEYS)
    await hourly(database, 48)

    assert [await one.run(), await two.run()] == [True, False]

    assert await run(database, "SELECT count(*) FROM idempotency_keys") == [(24,)]
    assert len(await numbers(database)) == 12
    assert await pruned_through(database, "events") == 36


async def test_events_stay_unless_a_setting_bounds_them(
    database: Database, settings: Settings
) -> None:
    await hourly(database, 48)
    assert await Upkeep(database, settings).run()
    assert len(await numbers(database)) == 48


async def test_upkeep_survives_what_goes_wrong(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_EVERY_SECONDS", 0.05)
    await run(database, "ALTER TABLE leases RENAME TO gone")
    await run(database, _KEYS)
    async with Upkeep(database, settings).running():
        await asyncio.sleep(0.2)
        await run(database, "ALTER TABLE gone RENAME TO leases")
        async with asyncio.timeout(60):
            while await run(database, "SELECT count(*) FROM idempotency_keys") != [(24,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    # The next worker need not wait for the lease's end.
    assert await run(database, "SELECT count(*) FROM leases") == [(0,)]


def test_the_server_prunes_by_itself(database_url: str) -> None:
    async def counts(*before: str) -> Any:
        from graph.database.engine import Database  # noqa: PLC0415

        database = Database.connect(settings_for(database_url))
        async with database.engine.begin() as connection:
            for statement in before:
                await connection.execute(text(statement))
            query = "SELECT (SELECT count(*) FROM idempotency_keys), (SELECT count(*) FROM events)"
            found = tuple((await connection.execute(text(query))).one())
        await database.close()
        return found

    old = """INSERT INTO events (occurred_at, entity, entity_id, kind, payload)
             SELECT now() - interval '3 days', 'Item', n, 'CHANGED', '{}'
             FROM generate_series(1, 10) AS n"""
    assert asyncio.run(counts(_KEYS, old)) == (31, 10)

    with serving("--workers", "2", GRAPH_DATABASE_URL=database_url, GRAPH_EVENTS_KEPT_DAYS="2"):
        eventually(lambda: asyncio.run(counts()) == (24, 0))
