"""Old events are removed from the oldest on, and how far is recorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text

from graph.database import partitions, pruning
from graph.database.log_state import log_lines
from graph.database.partitions import add_ahead, partitions_of
from graph.database.replay import (
    ReplayLimits,
    last_before,
    oldest_cursor,
    pruned_through,
    smallest_cursor,
)
from graph.store.log import LOG

if TYPE_CHECKING:
    from graph.database.engine import Database

DAY = timedelta(days=1)
EVENT = """
    INSERT INTO events (occurred_at, entity, entity_id, kind, payload, order_id)
    SELECT now() - (CAST(:first AS int) - n) * interval '1 hour', 'Order', 1, 'CHANGED', '{}', 1
    FROM generate_series(1, CAST(:rows AS int)) AS n
"""


async def run(database: Database, statement: str, **values: Any) -> list[Any]:
    async with database.engine.begin() as connection:
        result = await connection.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []


async def hourly(database: Database, rows: int) -> None:
    """So many events, one an hour; the last is of now."""
    await run(database, EVENT, first=rows, rows=rows)


async def numbers(database: Database) -> list[int]:
    return [number for (number,) in await run(database, "SELECT id FROM events ORDER BY id")]


async def small_partitions(database: Database, rows: int) -> None:
    """The log of an empty store, in partitions of so many numbers."""

    async with database.engine.begin() as connection:
        for each in await connection.run_sync(partitions_of, "events"):
            await connection.execute(text(f"DROP TABLE {each.name}"))
        await connection.run_sync(partitions.add_partition, "events", None, rows)
        await connection.run_sync(add_ahead, "events", rows)


async def bounds(database: Database) -> list[tuple[int | None, int]]:
    async with database.engine.connect() as connection:
        found = await connection.run_sync(partitions_of, "events")
    return [(each.lower, each.upper) for each in found]


async def test_a_partition_is_kept_ahead(database: Database) -> None:
    await small_partitions(database, 100)
    assert await bounds(database) == [(None, 100), (100, 200)]

    await hourly(database, 250)
    async with database.engine.begin() as connection:
        added = await connection.run_sync(add_ahead, "events", 100)

    # Nobody made a partition in time: the rows are in the default one, and the next is above them.
    assert added == ["events_from_400"]
    assert await bounds(database) == [(None, 100), (100, 200), (400, 500)]
    counted = "SELECT tableoid::regclass::text, count(*) FROM events GROUP BY 1 ORDER BY 1"
    assert await run(database, counted) == [
        ("events_from_0", 99),
        ("events_from_100", 100),
        ("events_other", 51),
    ]
    assert any("Danger: events_other has rows" in line for line in await log_lines(database, LOG))


async def test_whole_partitions_are_dropped_and_the_rest_is_deleted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_DELETED_ROWS", 7)
    monkeypatch.setattr(pruning, "_CHECKED_ROWS", 11)
    await small_partitions(database, 100)
    await hourly(database, 190)

    done = await pruning.prune(database, LOG, older_than=timedelta(hours=60, minutes=1))

    assert (done.rows, done.partitions) == (129, 1)
    assert await numbers(database) == list(range(130, 191))
    assert await pruned_through(database, "events") == 129
    assert await bounds(database) == [(100, 200)]
    again = await pruning.prune(database, LOG, older_than=timedelta(hours=60, minutes=1))
    assert (again.rows, again.partitions) == (0, 0)


async def test_no_event_behind_a_younger_one_is_removed(database: Database) -> None:
    """A transaction that takes its time writes old moments late."""
    await hourly(database, 50)
    await hourly(database, 50)

    await pruning.prune(database, LOG, older_than=timedelta(hours=10, minutes=1))

    assert await numbers(database) == list(range(40, 101))


async def test_the_rows_of_the_default_partition_are_pruned_too(database: Database) -> None:
    await small_partitions(database, 10)
    await hourly(database, 100)

    await pruning.prune(database, LOG, older_than=timedelta(hours=5, minutes=1))

    assert await numbers(database) == list(range(95, 101))


async def test_a_number_of_an_open_transaction_is_not_pruned(database: Database) -> None:
    await hourly(database, 5)
    url = database.engine.url.render_as_string(hide_password=False).replace("+asyncpg", "")
    late = await asyncpg.connect(url)
    await late.execute("BEGIN")
    await late.execute(
        "INSERT INTO events (occurred_at, entity, entity_id, kind, payload)"
        " VALUES (now() - interval '9 hours', 'Item', 1, 'CHANGED', '{}')"
    )
    await run(database, EVENT, first=9, rows=2)

    pruning_ = asyncio.create_task(pruning.prune(database, LOG, older_than=timedelta(hours=1)))
    await asyncio.sleep(0.3)
    assert not pruning_.done()
    assert len(await numbers(database)) == 7
    await late.execute("COMMIT")
    await late.close()

    # Of the first five, the last is younger than an hour.
    assert (await pruning_).rows == 4
    assert await numbers(database) == [5, 6, 7, 8]


async def test_who_writes_meanwhile_is_not_stopped_and_loses_nothing(database: Database) -> None:
    await small_partitions(database, 500)
    await hourly(database, 900)
    over = asyncio.Event()

    async def write() -> int:
        written = 0
        while not over.is_set():
            await hourly(database, 1)
            written += 1
        return written

    writing = asyncio.create_task(write())
    done = await pruning.prune(database, LOG, older_than=DAY)
    over.set()

    written = await writing
    assert (done.rows, done.partitions) == (900 - 24, 1)
    assert len(await numbers(database)) == 24 + written


async def test_a_run_ends_when_its_lease_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_DELETED_ROWS", 10)
    await hourly(database, 100)
    steps = iter([True, True, False])

    async def go_on() -> bool:
        return next(steps)

    await pruning.prune(database, LOG, older_than=timedelta(hours=1), go_on=go_on)

    assert await pruned_through(database, "events") == 20
    assert await numbers(database) == list(range(21, 101))


async def test_replay_is_bounded_by_number_by_hours_and_by_what_is_left(database: Database) -> None:
    await hourly(database, 100)

    async def oldest(events: int, hours: float) -> int:
        return await oldest_cursor(database, "events", ReplayLimits(events, hours), 100)

    assert await oldest(1_000, 1_000) == 0
    assert await oldest(30, 1_000) == 70
    assert await oldest(1_000, 10.5) == 89
    await pruning.prune(database, LOG, older_than=timedelta(hours=60, minutes=1))
    assert await oldest(1_000, 1_000) == 39
    assert await oldest(0, 0) == 100


@pytest.mark.parametrize("hours", [0.5, 1.5, 17.5, 98.5, 99.5, 200])
async def test_the_search_by_time_finds_what_a_scan_finds(database: Database, hours: float) -> None:
    await hourly(database, 100)
    async with database.engine.begin() as connection:
        await connection.execute(text("SET LOCAL graph.pruning = 'on'"))
        await connection.execute(
            text("DELETE FROM events WHERE id % 3 = 0 OR id BETWEEN 20 AND 40")
        )
    scan = """SELECT coalesce(max(id), 0) FROM events
              WHERE occurred_at < now() - CAST(:hours AS float8) * interval '1 hour'"""

    found = await last_before(database, "events", hours=hours, after=0, last=100)

    assert [(found,)] == await run(database, scan, hours=hours)


def test_the_smallest_cursor_is_the_largest_of_all_limits() -> None:
    limits = ReplayLimits(events=100, hours=1)
    assert smallest_cursor(limits, last=50, before=0, pruned=0) == 0
    assert smallest_cursor(limits, last=500, before=20, pruned=30) == 400
    assert smallest_cursor(limits, last=500, before=420, pruned=30) == 420
    assert smallest_cursor(limits, last=500, before=420, pruned=430) == 430


async def test_the_state_of_the_log_names_growth_and_who_holds_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.database.log_state.LONG_SECONDS", 0.2)
    await hourly(database, 200)
    await run(database, "ANALYZE events")
    url = database.engine.url.render_as_string(hide_password=False).replace("+asyncpg", "")
    holder = await asyncpg.connect(url, server_settings={"application_name": "nightly"})
    reader = await asyncpg.connect(url, server_settings={"application_name": "reader"})
    for each, statement in ((holder, "UPDATE orders SET id = 1"), (reader, "SELECT FROM events")):
        await each.execute("BEGIN")
        await each.execute(statement)
    await holder.execute(
        "INSERT INTO events (entity, entity_id, kind, payload) VALUES ('Item', 1, 'CHANGED', '{}')"
    )
    await asyncio.sleep(0.4)

    lines = await log_lines(database, LOG)

    await holder.close()
    await reader.close()
    assert lines[0].startswith("events takes ")
    assert "in 3 partitions, with about 200 rows" in lines[0]
    assert lines[1].startswith("events grew by 25 rows (")
    assert [line for line in lines if "nightly" in line]
    assert not [line for line in lines if "reader" in line]
