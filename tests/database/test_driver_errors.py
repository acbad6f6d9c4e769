"""The driver's errors, as PostgreSQL and the driver make them, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from graph.database.driver_errors import translated
from graph.errors import Interrupted, ReadOnly, TimedOut, TooMuchStorage, Unavailable
from tests.database.test_pool import Written, administrator, idle, pool_of, value_of

if TYPE_CHECKING:
    from graph.database.engine import Database

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'it happened' USING ERRCODE = '{}'; END $$"
MEANINGS = [
    ("57014", TimedOut),
    ("53400", TooMuchStorage),
    ("25006", ReadOnly),
    ("40001", Interrupted),
    ("40P01", Interrupted),
    ("57P01", Interrupted),
    ("57P02", Interrupted),
    ("57P05", Interrupted),
    ("08006", Interrupted),
    ("57P03", Unavailable),
    ("53300", Unavailable),
    ("28000", Unavailable),
]


@pytest.mark.parametrize(("state", "meaning"), MEANINGS)
async def test_a_sqlstate_means_the_same_from_the_driver_and_from_a_session(
    database: Database, database_url: str, state: str, meaning: type[Exception]
) -> None:
    async with administrator(database_url) as connection:
        with pytest.raises(asyncpg.PostgresError) as raised:
            await connection.execute(RAISE.format(state))
    assert type(translated(raised.value)) is meaning

    # A session that may only read is no standby: there it is a defect, which stays what it is.
    expected = DBAPIError if meaning is ReadOnly else meaning
    session = database.read()
    with pytest.raises(expected) as caught:
        await session.rows(text(RAISE.format(state)), {})
    await session.close()
    assert type(caught.value) is expected
    assert idle(database)


async def test_an_unknown_sqlstate_stays_what_it_is(database_url: str) -> None:
    async with administrator(database_url) as connection:
        with pytest.raises(asyncpg.PostgresError) as raised:
            await connection.execute(RAISE.format("22012"))
    assert translated(raised.value) is raised.value


async def test_a_closed_connection_is_an_interruption(database_url: str) -> None:
    async with administrator(database_url) as connection:
        await connection.close()
        with pytest.raises(asyncpg.InterfaceError) as raised:
            await connection.fetch("SELECT 1")
    assert type(translated(raised.value)) is Interrupted


@pytest.mark.parametrize(
    ("error", "is_masked"),
    [
        (asyncpg.InternalClientError("cannot switch to state 12; another operation (2)"), False),
        (
            asyncpg.InternalClientError('cannot switch to "idle" state; protocol is in "failed"'),
            False,
        ),
        (asyncpg.InternalClientError("missing codec information for OID 7"), True),
        (
            asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
            True,
        ),
    ],
)
async def test_a_protocol_out_of_step_is_an_interruption(
    database_url: str, monkeypatch: pytest.MonkeyPatch, error: Exception, *, is_masked: bool
) -> None:
    async with pool_of(1, database_url) as database:
        pid = await value_of(database)

        async def fail(*_: Any, **__: Any) -> Any:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(asyncpg.Connection, "prepare", fail)
            with pytest.raises(type(error) if is_masked else Interrupted):
                await database.fetch_json(Written("SELECT textsend('a')"), [])

        # Such a connection never recovers, so another one takes its place.
        assert (await value_of(database) == pid) is is_masked
        assert idle(database)


def test_an_error_that_is_its_own_cause_has_no_other() -> None:
    error = ValueError("a defect")
    error.__cause__ = error
    assert translated(error) is error


async def test_no_primary_among_the_hosts_is_unavailable(database_url: str) -> None:
    url = f"{database_url}&target_session_attrs=standby"
    async with pool_of(1, url) as database:
        with pytest.raises(Unavailable) as raised:
            await value_of(database)
    assert type(raised.value) is Unavailable
