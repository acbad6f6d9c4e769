"""How many statements a request costs, and how many blocks they look at.

The counts are PostgreSQL's own, by pg_stat_statements, in a pass that nobody times.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.store import Store

# Sessions hear of a changed setting before their next statement, but not at once.
_RELOAD_SECONDS = 0.3

_CONTROL = re.compile(
    r"\s*(begin|start|commit|rollback|savepoint|release|set|reset|discard|close|unlisten|deallocate"
    r"|select pg_advisory_unlock_all)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Statements:
    """Per request: statements that read, and those that only begin, end and reset."""

    reading: float
    control: float
    # Blocks of 8 KiB, as often as they were looked at.
    blocks: float

    def __str__(self) -> str:
        reading, control = f"{round(self.reading, 1):g}", f"{round(self.control, 1):g}"
        return f"{reading} + {control}" if self.control else reading


@dataclass(frozen=True)
class _Counts:
    """What one statement has cost."""

    text: str
    calls: int
    blocks: int


class Counted:
    """What ran during `counted`, known when its block has ended."""

    statements: list[_Counts]

    def per_request(self, requests: int) -> Statements:
        control = sum(each.calls for each in self.statements if _CONTROL.match(each.text))
        reading = sum(each.calls for each in self.statements) - control
        # Without those that ran meanwhile, but for no request.
        blocks = sum(each.blocks for each in self.statements if each.calls >= requests)
        return Statements(reading / requests, control / requests, blocks / requests)


def prepare_counting(store: Store) -> None:
    """See that statements can be counted, and are not until then."""
    asyncio.run(_prepare(store))


@contextmanager
def counted(store: Store) -> Iterator[Counted]:
    """Count the statements that run during the block."""
    count = Counted()
    asyncio.run(_track(store, "top"))
    try:
        yield count
    finally:
        count.statements = asyncio.run(_track(store, "none"))


async def _prepare(store: Store) -> None:
    connection = await store.connect()
    try:
        await connection.execute("CREATE EXTENSION pg_stat_statements")
        await connection.execute("ALTER SYSTEM SET pg_stat_statements.track = 'none'")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
    await asyncio.sleep(_RELOAD_SECONDS)


async def _track(store: Store, what: str) -> list[_Counts]:
    """Change what is counted; return what has been, and begin anew."""
    connection = await store.connect()
    try:
        await connection.execute("SET pg_stat_statements.track = 'none'")
        await connection.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{what}'")
        await connection.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(_RELOAD_SECONDS)
        # Not what has just been done here.
        rows: list[Any] = await connection.fetch(
            "SELECT query, calls, shared_blks_hit + shared_blks_read FROM pg_stat_statements"
            " WHERE query !~ 'pg_stat_statements'"
        )
        await connection.execute("SELECT pg_stat_statements_reset()")
    finally:
        await connection.close()
    return [_Counts(*row) for row in rows]
