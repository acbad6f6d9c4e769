"""Locks that nobody has to queue behind: asked for briefly, and again if they are not had."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from graph.errors import MigrationRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Transaction

T = TypeVar("T")

_PAUSE_SECONDS = 0.3
# Others take two tables in either order, and those that hold one while the other is asked for do
# not come to an end. So two are taken at a moment when nobody has the first, without waiting.
_POLL_SECONDS = 0.005
_POLLS = 100
_LOCK_NOT_AVAILABLE = {"55P03", "40P01"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a migration waits for a lock at once, and how long it tries again.

    Others that want the table queue behind whoever waits for a stronger lock. The default is less
    than PostgreSQL waits before it looks for deadlocks: the others are never its victims.
    """

    lock_timeout_ms: int = 250
    patience_seconds: float = 300


def set_waiting(connection: Connection, waiting: Waiting) -> None:
    """Let the migrations on this connection wait so; it limits each of their transactions.

    What runs in no transaction has no limit: an index that is built CONCURRENTLY waits for the end
    of older transactions, and nobody queues behind it.
    """
    connection.info[Waiting] = waiting
    limited: Transaction | None = None

    @event.listens_for(connection, "before_cursor_execute")
    def limit(begun: Connection, cursor: Any, *_: Any) -> None:
        nonlocal limited
        is_autocommit = begun.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if not is_autocommit and begun.get_transaction() is not limited:
            limited = begun.get_transaction()
            cursor.execute(f"SET LOCAL lock_timeout = {waiting.lock_timeout_ms}")


def _waiting(connection: Connection) -> Waiting:
    return connection.info.get(Waiting) or Waiting()


@contextmanager
def transaction(
    connection: Connection, *tables: str, mode: str = "ACCESS EXCLUSIVE"
) -> Iterator[None]:
    """One transaction of a connection in autocommit, that has these tables locked.

    Raises:
        MigrationRefused: others held one of them at each attempt (`patiently`).
    """
    polls = _POLLS if len(tables) > 1 and mode == "ACCESS EXCLUSIVE" else 0
    attempts = cycle([*[True] * polls, False])
    orders = cycle((tables, tables[::-1]))

    def attempt() -> None:
        _begin(connection, next(orders), mode, at_once=next(attempts))

    pause = _POLL_SECONDS if polls else _PAUSE_SECONDS
    patiently(connection, attempt, what=" and ".join(tables), pause_seconds=pause)
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _begin(connection: Connection, tables: Sequence[str], mode: str, *, at_once: bool) -> None:
    until = time.monotonic() + _waiting(connection).lock_timeout_ms / 1000
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


def patiently(
    connection: Connection,
    attempt: Callable[[], T],
    *,
    what: str,
    pause_seconds: float = _PAUSE_SECONDS,
) -> T:
    """Do it, and again as long as others hold a lock that it needs.

    Raises:
        MigrationRefused: they held it at each attempt, for as long as `Waiting` allows.
    """
    until = time.monotonic() + _waiting(connection).patience_seconds
    while time.monotonic() < until:
        try:
            return attempt()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _LOCK_NOT_AVAILABLE:
                raise
        await_only(asyncio.sleep(pause_seconds))
    raise MigrationRefused(
        f"others hold {what} all the time (pg_locks names them). What was done so far stays:"
        " run graph migrate again, with a longer --patience or at a quieter time"
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


def brief_waits(connection: Connection) -> dict[str, str]:
    """The setting by which each statement of a session waits for a lock."""
    return {"lock_timeout": f"{_waiting(connection).lock_timeout_ms}ms"}
