"""The follower under faults: nothing is missed, nothing comes twice, whatever writers do."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.database.catalog import catalog
from graph.database.engine import Database
from graph.database.events import LogReader
from graph.execution.live.follower import Follower
from tests.conftest import settings_for
from tests.rows import an_item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from graph.database.events import Event

WRITERS, TRANSACTIONS, ITEMS = 8, 40, 5


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come true in time")


class Collector:
    """Keeps what a follower tells of."""

    def __init__(self) -> None:
        self.is_listening = True
        self.seen: list[int] = []
        self.order: list[int] = []
        self.upto = 0
        self.restarts = 0

    def changed(self, events: Sequence[Event] | None) -> None:
        self.seen += [event.number for event in events or ()]

    def settled_up_to(self, events: Sequence[Event] | None, number: int) -> None:
        self.order += [event.number for event in events or ()]
        self.upto = number

    def restarted(self) -> None:
        self.restarts += 1

    async def reaches(self, number: int) -> None:
        await until(lambda: self.upto >= number)


def log_of(database: Database) -> LogReader:
    assert catalog.log is not None
    return LogReader(database, catalog.log)


@asynccontextmanager
async def following(database: Database) -> AsyncIterator[tuple[Follower, Collector]]:
    collector = Collector()
    follower = Follower(log_of(database), collector)
    await follower.catch_up()
    running = asyncio.create_task(follower.run())
    try:
        yield follower, collector
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        yield connection
    finally:
        connection.terminate()


@pytest.fixture
async def items(database: Database) -> None:
    async with database.write() as session:
        for number in range(1, ITEMS + 1):
            item = an_item(number)
            item.stock = 1_000_000
            session.add(item)


async def last_number(database: Database) -> int:
    return (await log_of(database).look()).last


TAKE = "UPDATE items SET stock = stock - 1 WHERE id = $1"


async def write(url: str, seed: int) -> None:
    """Transactions of every kind: short, long, rolled back in part or whole, and killed."""
    random = Random(seed)  # noqa: S311  it only has to vary
    for _ in range(TRANSACTIONS):
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            async with connected(url) as connection, connection.transaction():
                for item in sorted(random.sample(range(1, ITEMS + 1), random.randint(1, 3))):
                    await connection.execute(TAKE, item)
                    await asyncio.sleep(random.choice((0, 0, 0.001, 0.01)))
                with suppress(ZeroDivisionError):
                    async with connection.transaction():
                        await connection.execute(TAKE, ITEMS)
                        assert 1 / random.randint(0, 1)
                match random.randint(0, 9):
                    case 0:
                        await asyncio.sleep(0.2)
                    case 1:
                        raise asyncpg.PostgresError
                    case 2:
                        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def read_naively(database: Database, done: asyncio.Event) -> list[int]:
    """A reader that takes all numbers beyond the last it has seen."""
    found: list[int] = [0]
    while not done.is_set():
        sql = "SELECT id FROM events WHERE id > $1 ORDER BY id"
        found += [number for (number,) in await database.all(sql, found[-1])]
        await asyncio.sleep(0.005)
    return found[1:]


async def test_nothing_is_missed_or_doubled(
    database: Database, database_url: str, items: None
) -> None:
    del items
    done = asyncio.Event()
    before = await last_number(database)
    async with following(database) as (_, collector):
        naive = asyncio.create_task(read_naively(database, done))
        await asyncio.gather(*(write(database_url, seed) for seed in range(WRITERS)))
        await collector.reaches(await last_number(database))
        done.set()
        naively = [number for number in await naive if number > before]

    rows = await database.all("SELECT id, entity_id, payload FROM events WHERE id > $1", before)
    written = {number: (item, payload) for number, item, payload in rows}
    assert collector.order == sorted(written)
    assert sorted(collector.seen) == sorted(written), "each is told of once before"
    # In the order of the stream, each stock begins where the one before ended.
    for item in range(1, ITEMS + 1):
        steps = [written[n][1]["stock"] for n in collector.order if written[n][0] == item]
        assert all(one[1] == other[0] for one, other in itertools.pairwise(steps))
    # The same check finds the misses of a reader without a barrier.
    assert naively != sorted(written)


async def test_an_open_transaction_holds_back_only_what_may_follow_it(
    database: Database, database_url: str, items: None
) -> None:
    del items
    async with following(database) as (follower, collector), connected(database_url) as slow:
        begun = follower.settled or 0
        late = slow.transaction()
        await late.start()
        await slow.execute(TAKE, 1)  # takes a number
        async with connected(database_url) as quick:
            await quick.execute(TAKE, 2)
        await until(lambda: begun + 2 in collector.seen)
        # It is visible, and told of as a change; as an event it waits for the one before it.
        assert collector.order == []
        await late.commit()
        await collector.reaches(begun + 2)
        assert collector.order == [begun + 1, begun + 2]


async def test_a_cold_follower_waits_for_writers_that_it_finds(
    database: Database, database_url: str, items: None
) -> None:
    del items
    async with connected(database_url) as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(TAKE, 1)
        follower = Follower(log_of(database), Collector())
        starting = asyncio.create_task(follower.catch_up())
        await asyncio.sleep(0.2)
        assert not starting.done()
        await transaction.commit()
        assert await starting == await last_number(database)


async def test_a_fresh_log_has_the_number_zero(database: Database) -> None:
    assert await Follower(log_of(database), Collector()).catch_up() == 0


async def test_numbers_that_begin_anew_are_noticed(
    database: Database, database_url: str, items: None
) -> None:
    del items
    async with following(database) as (follower, collector), connected(database_url) as admin:
        await admin.execute("ALTER SEQUENCE events_id_seq RESTART")
        await admin.execute("ALTER TABLE events DISABLE TRIGGER events_refuse_change")
        await admin.execute("DELETE FROM events")
        await until(lambda: bool(collector.restarts))
        await admin.execute(TAKE, 1)
        await until(lambda: follower.settled == 1)


async def test_numbers_that_begin_anew_are_noticed_though_there_are_as_many(
    database: Database, database_url: str, items: None
) -> None:
    del items
    async with following(database) as (follower, collector), connected(database_url) as admin:
        last = follower.settled or 0
        async with admin.transaction():
            await admin.execute("TRUNCATE events RESTART IDENTITY")
            await admin.execute("SELECT setval('events_id_seq', $1)", last)
        await until(lambda: bool(collector.restarts))
        await until(lambda: follower.settled == last)
        await admin.execute(TAKE, 1)
        await collector.reaches(last + 1)
        assert collector.restarts == 1


async def test_a_lost_database_delays_and_loses_nothing(
    database: Database, database_url: str, items: None
) -> None:
    del items
    async with following(database) as (_, collector), connected(database_url) as writer:
        for _ in range(5):
            await writer.execute(TAKE, 1)
            await writer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            await writer.execute(TAKE, 2)
        last = await last_number(database)
        await collector.reaches(last)
        assert collector.order == list(range(last - 9, last + 1))


async def test_it_reads_one_number_while_nothing_happens(database: Database) -> None:
    texts: list[str] = []
    async with following(database):
        database.listeners.append(lambda sql, _: texts.append(sql))
        began = asyncio.get_running_loop().time()
        await until(lambda: len(texts) >= 5)
        took = asyncio.get_running_loop().time() - began
    assert len(texts) <= 1 + took / 0.05
    assert all("pg_sequence_last_value" in sql for sql in texts)


async def test_a_pool_of_one_connection_is_enough(database_url: str, items: None) -> None:
    del items
    database = Database.connect(settings_for(database_url, pool_size=1))
    async with following(database) as (_, collector), connected(database_url) as writer:
        await writer.execute(TAKE, 1)
        await collector.reaches(await last_number(database))
    await database.close()


async def test_changes_are_told_of_however_long_an_older_transaction_takes(
    database: Database, database_url: str, items: None
) -> None:
    del items
    async with (
        following(database) as (follower, collector),
        connected(database_url) as oldest,
        connected(database_url) as older,
        connected(database_url) as quick,
    ):
        begun = follower.settled or 0
        transactions = [oldest.transaction(), older.transaction()]
        for connection, transaction, item in zip(
            (oldest, older), transactions, (1, 2), strict=True
        ):
            await transaction.start()
            await connection.execute(TAKE, item)
        await until(lambda: follower.last == begun + 2)
        for _ in range(250):
            await quick.execute(TAKE, 3)
        await until(lambda: begun + 252 in collector.seen)
        await transactions[1].commit()
        await until(lambda: begun + 2 in collector.seen)
        assert collector.order == []
        await transactions[0].commit()
        await collector.reaches(begun + 252)
        assert collector.order == list(range(begun + 1, begun + 253))
        assert sorted(collector.seen) == collector.order
