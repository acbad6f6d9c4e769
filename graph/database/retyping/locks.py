"""Locks that nobody has to queue behind: asked for briefly, and again if they are not had."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from graph.errors import MigrationRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

T = TypeVar("T")

# Others that want the table queue behind whoever waits for a stronger lock: for so long at most.
# It is less than PostgreSQL waits before it looks for deadlocks: the others are never its victims.
_WAIT_MILLISECONDS = 250
_PAUSE_SECONDS = 0.3
_PATIENCE_SECONDS = 300
# Others take two tables in either order, and those that hold one while the other is asked for do
# not come to an end. So two are taken at a moment when nobody has the first, without waiting.
_POLL_SECONDS = 0.005
_POLLS = 100
_LOCK_NOT_AVAILABLE = {"55P03", "40P01"}


@contextmanager
def transaction(
    connection: Connection, *tables: str, mode: str = "ACCESS EXCLUSIVE"
) -> Iterator[None]:
    """One transaction of a connection in autocommit, that has these tables locked.

    Raises:
        MigrationRefused: for minutes others held one of them at each attempt.
    """
    polls = _POLLS if len(tables) > 1 and mode == "ACCESS EXCLUSIVE" else 0
    attempts = cycle([*[True] * polls, False])
    orders = cycle((tables, tables[::-1]))

    def attempt() -> None:
        _begin(connection, next(orders), mode, at_once=next(attempts))

    pause = _POLL_SECONDS if polls else _PAUSE_SECONDS
    patiently(attempt, what=" and ".join(tables), pause_seconds=pause)
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _begin(connection: Connection, tables: Sequence[str], mode: str, *, at_once: bool) -> None:
    until = time.monotonic() + _WAIT_MILLISECONDS / 1000
    first, no_wait = tables[0], " NOWAIT" if at_once else ""
    connection.exec_driver_sql("BEGIN")
    try:
        for table in tables:
            left = max(1, round((until - time.monotonic()) * 1000))  # 0 would be without limit
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {left}")
            how = no_wait if table == first else ""
            connection.exec_driver_sql(f"LOCK TABLE {table} IN {mode} MODE{how}")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


def patiently(attempt: Callable[[], T], *, what: str, pause_seconds: float = _PAUSE_SECONDS) -> T:
    """Do it, and again as long as others hold a lock that it needs.

    Raises:
        MigrationRefused: for minutes they held it at each attempt.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            return attempt()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _LOCK_NOT_AVAILABLE:
                raise
        await_only(asyncio.sleep(pause_seconds))
    raise MigrationRefused(
        f"others hold {what} all the time (pg_locks names them). What was done so far stays:"
        " run graph migrate again"
    )


@contextmanager
def settings(connection: Connection, values: dict[str, str]) -> Iterator[None]:
    """Settings of the session, for as long as the block lasts."""
    for name, value in values.items():
        connection.exec_driver_sql(f"SET {name} = '{value}'")
    try:
        yield
    finally:
        for name in values:
            connection.exec_driver_sql(f"RESET {name}")


BRIEF_WAITS = {"lock_timeout": f"{_WAIT_MILLISECONDS}ms"}
