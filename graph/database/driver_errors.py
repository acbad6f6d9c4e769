"""The typed errors for those of the driver.

A lost connection shows in several ways: the SQLSTATE that PostgreSQL sends before it closes it, an
error of the driver's own without a SQLSTATE, or SQLAlchemy's mark. A read that was interrupted so
may run again. A server that accepts no changes is one that has been, or has become, a standby.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from asyncpg import InternalClientError, InvalidCachedStatementError
from asyncpg.exceptions import InterfaceError, TargetServerAttributeNotMatched
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from graph.database.outages import outages
from graph.errors import (
    Interrupted,
    ReadOnly,
    TimedOut,
    TooManyBuckets,
    TooMuchStorage,
    Unavailable,
)
from graph.selection import MAX_FILLED_GROUPS, MAX_GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOO_MANY_CONNECTIONS = "53300"
_INVALID_TEXT = "22P02"
# query_canceled, configuration_limit_exceeded (of temporary files), read_only_sql_transaction.
_MEANINGS: dict[str, Callable[[], Unavailable]] = {
    "57014": TimedOut,
    "53400": TooMuchStorage,
    "25006": ReadOnly,
}
# A single read waits for no row, so these are a standby's recovery, which removes rows that it
# reads, or a migration. A transaction of ours begins anew (`graph.database.transaction`).
_CONFLICTS = ("40001", "40P01")
_CONNECTION = "08"
# PostgreSQL ends the connection: 08 in the driver's words; an administrator, a crash of another
# backend, a database that is dropped, one idle for too long.
_ENDED = ("08003", "08006", "08P01", "57P01", "57P02", "57P04", "57P05", "25P03")
# What begins a SQLSTATE that says "not now": connection, authorization, no such database,
# resources, a database that takes no connections, operator intervention.
_TRANSIENT = (_CONNECTION, "28", "3D", "53", "55000", "57")
# The driver's own words for a connection that was lost, or whose protocol went out of step with it.
_BROKEN = re.compile(
    r"cannot switch to|cannot process message|not connected|unknown error in protocol"
    r"|connection (is|was) closed"
)


def translated(error: Exception) -> Exception:
    """The typed error for an error of the driver, which is noted if it is one of an outage.

    Any other error is returned as it is, to be masked.
    """
    failure = typed(error)
    # One of ours says why this process has ended the statement.
    is_of_database = failure is not error and isinstance(failure, Unavailable)
    if is_of_database and not isinstance(failure, TimedOut | TooMuchStorage):
        *_, original = _causes(error)
        outages.failed(original, sqlstate(error))
    return failure


def typed(error: Exception) -> Exception:
    """As `translated`, for an error that is not the last word on its statement."""
    state, text = sqlstate(error), str(getattr(error, "orig", error))
    if state in _MEANINGS:
        return _MEANINGS[state]()
    if state == _INVALID_TEXT and TooManyBuckets.MARK in text:
        return TooManyBuckets(MAX_GROUPS, MAX_FILLED_GROUPS)
    if state in _CONFLICTS or is_lost(error):
        return Interrupted()
    if _is_unreachable(error) or is_outdated(error) or state.startswith(_TRANSIENT):
        return Unavailable()
    return error


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error; empty if it has none. See `was_sent`."""
    return next((state for each in _causes(error) if (state := _state_of(each))), "")


def was_sent(error: BaseException) -> bool:
    """Whether PostgreSQL sent the error: a statement that was its own transaction did nothing.

    For a connection that is lost the driver has an error of its own, with a SQLSTATE as well. What
    PostgreSQL sent before is the cause of that.
    """
    states = filter(None, map(_state_of, _causes(error)))
    return any(not state.startswith(_CONNECTION) for state in states)


def is_lost(error: Exception) -> bool:
    """Whether an error means that a connection that had been open is of no more use."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = sqlstate(error)
    if state:
        return state in _ENDED
    return any(
        isinstance(each, InternalClientError | InterfaceError) and _BROKEN.search(str(each))
        for each in _causes(error)
    )


def is_outdated(error: Exception) -> bool:
    """Whether a statement was kept from before a migration; the driver has dropped it by now."""
    return any(isinstance(each, InvalidCachedStatementError) for each in _causes(error))


def _is_unreachable(error: Exception) -> bool:
    """Whether no connection could be opened, or none was free in time."""
    return isinstance(error, PoolTimeout | OSError) or any(
        isinstance(each, TargetServerAttributeNotMatched) for each in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from: SQLAlchemy puts its own around the driver's."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        # `raise translated(error) from error` makes an error of no type of ours its own cause.
        cause = cause.__cause__ if cause.__cause__ is not cause else None


def _state_of(error: Any) -> str | None:
    state: str | None = getattr(error, "sqlstate", None)
    return state
