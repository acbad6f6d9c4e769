"""Locks that nobody has to queue behind: asked for briefly, and again if they are not had."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from graph.errors import MigrationRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

T = TypeVar("T")

logger = logging.getLogger(__name__)

# Others that want the table queue behind whoever waits for a stronger lock. It is less than
# PostgreSQL waits before it looks for deadlocks: of two, it is never the other that is ended.
_LOCK_TIMEOUT_MILLISECONDS = 100
_ATTEMPTS = 600
_PAUSE_SECONDS = 0.5
_LOCK_NOT_AVAILABLE = {"55P03", "40P01"}


@contextmanager
def transaction(connection: Connection, *, exclusive: Sequence[str]) -> Iterator[None]:
    """One transaction of a connection in autocommit, that has these tables for itself.

    Raises:
        MigrationRefused: after five minutes others held one of them still.
    """
    tables = ", ".join(sorted(set(exclusive)))
    patiently(lambda: _begin(connection, tables), what=tables)
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _begin(connection: Connection, tables: str) -> None:
    connection.exec_driver_sql("BEGIN")
    try:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MILLISECONDS}")
        connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


def patiently(attempt: Callable[[], T], *, what: str) -> T:
    """Do it, and again as long as others hold a lock that it needs.

    Raises:
        MigrationRefused: after five minutes they held it still.
    """
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _LOCK_NOT_AVAILABLE:
                raise
            if number == 0:
                logger.info("%s is in use: trying again until it is free", what)
        await_only(asyncio.sleep(_PAUSE_SECONDS))
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


BRIEF_WAITS = {"lock_timeout": f"{_LOCK_TIMEOUT_MILLISECONDS}ms"}
