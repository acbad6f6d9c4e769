"""Single statements that take a connection, beside sessions that check one out."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text

from graph.database import pool as graph_pool
from graph.database.engine import Database
from graph.database.reads.json_query import JsonQuery, JsonStatement
from graph.errors import TimedOut, Unavailable
from tests.conftest import settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.worlds import World

PID = "SELECT textsend(pg_backend_pid()::text)"
SLEEP = "SELECT textsend(pg_sleep(30)::text)"
NAP = "SELECT textsend(pg_sleep(0.05)::text || pg_backend_pid())"


@asynccontextmanager
async def pool_of(size: int, url: str, **settings: Any) -> AsyncIterator[Database]:
    database = Database.connect(settings_for(url, pool_size=size, **settings))
    try:
        # What waits for ever fails, where it would hang.
        async with asyncio.timeout(120):
            yield database
    finally:
        await database.close()


class Written(JsonQuery):
    """A statement that was not made from fields."""

    def __init__(self, sql: str) -> None:
        super().__init__(())
        self._sql = sql

    def statement(
        self, json_function: str, world: World, max_bytes: int | None = None
    ) -> JsonStatement:
        del json_function, world, max_bytes
        return JsonStatement(f"{self._sql}, 0 AS size", ())


async def value_of(database: Database, sql: str = PID) -> str:
    (column,) = await database.fetch_json(Written(sql), [])
    return column.decode()


async def value_in_session(database: Database, sql: str = "SELECT pg_backend_pid()") -> str:
    session = database.read()
    try:
        ((value,),) = await session.rows(text(sql), {})
    finally:
        await session.close()
    return str(value)


@asynccontextmanager
async def administrator(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        yield connection
    finally:
        await connection.close()


async def backends(url: str) -> set[str]:
    async with administrator(url) as connection:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'graph'"
        )
    return {str(row["pid"]) for row in rows}


async def left(url: str, count: int) -> None:
    """Return when so many backends are left: they end a moment after their connections."""
    async with asyncio.timeout(60):
        while len(await backends(url)) != count:  # noqa: ASYNC110  PostgreSQL tells nobody
            await asyncio.sleep(0.02)


async def end(url: str, *pids: str) -> None:
    async with administrator(url) as connection:
        for pid in pids:
            await connection.execute("SELECT pg_terminate_backend($1, 5000)", int(pid))
    # The driver hears of it when the event loop runs next.
    await asyncio.sleep(0.05)


async def begun(url: str, statement: str) -> None:
    """Return when the statement is running."""
    async with administrator(url) as connection:
        for _ in range(1000):
            if await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                " AND starts_with(query, $1) AND datname = current_database()",
                statement,
            ):
                return
            await asyncio.sleep(0.01)
    raise TimeoutError


def idle(database: Database) -> bool:
    """Whether every connection is back."""
    pool: Any = database.engine.pool
    return bool(pool.checkedout() == 0)


# One limit for all


async def test_one_statement_after_another_uses_one_connection(database_url: str) -> None:
    async with pool_of(10, database_url) as database:
        pids = {await value_of(database) for _ in range(20)}
        pids |= {await value_in_session(database), await value_of(database)}

        assert pids == await backends(database_url)
        assert len(pids) == 1
        assert idle(database)


async def test_no_more_connections_are_opened_than_the_pool_may_have(database_url: str) -> None:
    async with pool_of(3, database_url) as database:
        await asyncio.gather(
            *(
                value_of(database, NAP)
                if nth % 2
                else value_in_session(database, "SELECT pg_sleep(0)")
                for nth in range(40)
            )
        )

        assert len(await backends(database_url)) == 3
        assert idle(database)


async def test_a_session_that_waits_gets_the_connection_of_a_statement(database_url: str) -> None:
    async with pool_of(1, database_url) as database:
        await value_of(database)
        statement = asyncio.create_task(value_of(database, NAP))
        await asyncio.sleep(0)
        pid = await value_in_session(database)

        assert (await statement).endswith(pid)
        assert idle(database)


async def test_a_statement_that_waits_gets_the_connection_of_a_session(database_url: str) -> None:
    async with pool_of(1, database_url) as database:
        session = database.read()
        ((pid,),) = await session.rows(text("SELECT pg_backend_pid()"), {})
        statements = [asyncio.create_task(value_of(database)) for _ in range(3)]
        await asyncio.sleep(0.1)
        before = [statement.done() for statement in statements]
        await session.close()

        assert await asyncio.gather(*statements) == [str(pid)] * 3
        assert before == [False] * 3
        assert idle(database)


async def test_a_session_is_not_starved_by_statements_without_end(database_url: str) -> None:
    async with pool_of(1, database_url) as database:

        async def flood() -> None:
            while True:
                await value_of(database)

        floods = [asyncio.create_task(flood()) for _ in range(5)]
        await asyncio.sleep(0.1)
        try:
            pids = {await value_in_session(database) for _ in range(20)}
        finally:
            for task in floods:
                task.cancel()
            await asyncio.gather(*floods, return_exceptions=True)

        assert pids == {await value_of(database)}
        assert idle(database)


async def test_a_session_begun_amid_statements_waits_its_turn_and_no_longer(
    database_url: str,
) -> None:
    async with pool_of(1, database_url) as database:
        await value_of(database)
        order: list[str] = []

        async def noted(name: str, waiting: Any) -> None:
            await waiting
            order.append(name)

        await asyncio.gather(
            noted("first", value_of(database, NAP)),
            noted("second", value_of(database)),
            noted("session", value_in_session(database)),
            noted("third", value_of(database)),
        )

        assert order == ["first", "second", "session", "third"]


async def test_an_exhausted_pool_is_unavailable_until_a_connection_is_back(
    database_url: str,
) -> None:
    async with pool_of(1, database_url, pool_timeout_seconds=0.1) as database:
        session = database.read()
        await session.rows(text("SELECT 1"), {})
        with pytest.raises(Unavailable):
            await value_of(database)
        await session.close()

        assert await value_of(database)
        assert idle(database)


# What goes wrong in the middle


async def test_those_that_wait_give_up_each_at_its_own_time(database_url: str) -> None:
    async with pool_of(1, database_url) as database:
        queue = database.pool._pool  # noqa: SLF001  sessions and statements share one time

        patient, cancelled = (asyncio.create_task(queue.turn(seconds)) for seconds in (60, 0.01))
        await asyncio.sleep(0)
        cancelled.cancel()
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await queue.turn(0.05)
            assert not patient.done()
        assert queue.waiting == 1

        queue.put_nowait("connection")
        assert await patient == "connection"


async def test_a_statement_that_is_cancelled_leaves_its_connection_clean(
    database_url: str,
) -> None:
    async with pool_of(1, database_url) as database:
        pid = await value_of(database)
        statement = asyncio.create_task(value_of(database, SLEEP))
        await begun(database_url, SLEEP)
        statement.cancel()
        with pytest.raises(asyncio.CancelledError):
            await statement

        assert await value_of(database) == await value_in_session(database) == pid
        assert idle(database)


async def test_a_task_cancelled_while_waiting_loses_no_connection(database_url: str) -> None:
    async with pool_of(1, database_url) as database:
        session = database.read()
        ((pid,),) = await session.rows(text("SELECT pg_backend_pid()"), {})
        gone, waits = [asyncio.create_task(value_of(database)) for _ in range(2)]
        await asyncio.sleep(0.05)
        await session.close()
        gone.cancel()

        assert await waits == str(pid)
        assert gone.cancelled()
        assert idle(database)


async def test_a_statement_that_takes_too_long_leaves_its_connection_clean(
    database_url: str,
) -> None:
    async with pool_of(1, database_url, statement_timeout_seconds=1) as database:
        pid = await value_of(database)
        with pytest.raises(TimedOut):
            await value_of(database, SLEEP)

        assert await value_of(database) == pid
        assert idle(database)


async def test_a_connection_that_dies_under_a_statement_is_replaced(database_url: str) -> None:
    async with pool_of(1, database_url) as database:
        pid = await value_of(database)
        statement = asyncio.create_task(value_of(database, SLEEP))
        await begun(database_url, SLEEP)
        await end(database_url, pid)
        with pytest.raises(Unavailable):
            await statement

        assert {await value_of(database)} == await backends(database_url) != {pid}
        assert idle(database)


async def test_a_connection_that_dies_idle_is_replaced_unnoticed(database_url: str) -> None:
    async with pool_of(2, database_url) as database:
        pids = set(await asyncio.gather(*(value_of(database, NAP) for _ in range(2))))
        assert len(pids) == 2
        await end(database_url, *await backends(database_url))

        after = set(await asyncio.gather(*(value_of(database, NAP) for _ in range(4))))
        assert len(after) == 2
        assert not pids & after
        assert idle(database)


async def test_when_a_session_lost_the_server_older_connections_are_not_trusted(
    database_url: str,
) -> None:
    async with pool_of(2, database_url) as database:
        session = database.read()
        ((doomed,),) = await session.rows(text("SELECT pg_backend_pid()"), {})
        other = await value_of(database)
        lost = asyncio.create_task(session.rows(text("SELECT pg_sleep(30)"), {}))
        await begun(database_url, "SELECT pg_sleep(30)")
        await end(database_url, str(doomed))
        with pytest.raises(Unavailable):
            await lost
        await session.close()

        after = set(await asyncio.gather(*(value_of(database, PID) for _ in range(2))))
        assert not after & {other, str(doomed)}
        assert idle(database)


async def test_nothing_is_left_open(database_url: str) -> None:
    async with pool_of(5, database_url) as database:
        await asyncio.gather(*(value_of(database, NAP) for _ in range(10)))
        assert len(await backends(database_url)) == 5

    await left(database_url, 0)


async def test_connections_that_were_open_for_long_are_replaced(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, later = time.time, 0.0
    for module in (time, graph_pool):
        monkeypatch.setattr(module, "time", lambda: clock() + later)
    async with pool_of(1, database_url, pool_recycle_seconds=600) as database:
        pids = {await value_of(database)}
        assert {await value_of(database), await value_in_session(database)} == pids
        for read in (value_of, value_in_session):
            later += 601
            pids.add(await read(database))

        assert len(pids) == 3
        await left(database_url, 1)
        assert idle(database)


# No room in PostgreSQL


@asynccontextmanager
async def role_of(url: str, connections: int) -> AsyncIterator[str]:
    """The URL of a role that may have so many connections."""
    role = f"narrow_{url.partition('clone_')[2].partition('?')[0]}"
    async with administrator(url) as connection:
        await connection.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}")
        yield url.replace("//graph@", f"//{role}@")
        await connection.execute(f"DROP ROLE {role}")


async def test_where_there_is_no_room_all_wait_for_the_connections_there_are(
    database_url: str,
) -> None:
    async with role_of(database_url, 2) as url, pool_of(8, url) as database:
        one = [value_of(database, NAP) for _ in range(20)]
        many = [value_in_session(database, "SELECT pg_sleep(0.05)") for _ in range(20)]
        answers = await asyncio.gather(
            *(each for pair in zip(one, many, strict=True) for each in pair)
        )

        assert len(answers) == 40
        assert len(await backends(database_url)) == 2
        assert idle(database)


async def test_where_there_is_no_room_one_waits_until_another_client_is_gone(
    database_url: str,
) -> None:
    async with role_of(database_url, 1) as url, pool_of(2, url) as database:
        async with administrator(url):
            waits = [asyncio.create_task(each) for each in (value_of(database), value_of(database))]
            await asyncio.sleep(0.3)
            assert not any(wait.done() for wait in waits)
        assert len(set(await asyncio.gather(*waits))) == 1

        # The connection is lost, and somebody else takes its place.
        await end(database_url, *await backends(database_url))
        async with administrator(url):
            wait = asyncio.create_task(value_in_session(database))
            await asyncio.sleep(0.3)
            assert not wait.done()
        assert await wait
        assert idle(database)


async def test_where_there_is_no_room_for_too_long_the_database_is_unavailable(
    database_url: str,
) -> None:
    async with (
        role_of(database_url, 1) as url,
        administrator(url),
        pool_of(2, url, pool_timeout_seconds=0.3) as database,
    ):
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            await value_of(database)
        with pytest.raises(Unavailable):
            await value_in_session(database)
        assert asyncio.get_running_loop().time() - began >= 0.6
        assert idle(database)
