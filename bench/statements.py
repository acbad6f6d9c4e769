"""How many statements a request costs: pg_stat_statements, in a pass that nobody times."""

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

    def __str__(self) -> str:
        reading, control = f"{round(self.reading, 1):g}", f"{round(self.control, 1):g}"
        return f"{reading} + {control}" if self.control else reading


class Counted:
    """What ran during `counted`, known when its block has ended."""

    calls: list[tuple[str, int]]

    def per_request(self, requests: int) -> Statements:
        control = sum(count for text, count in self.calls if _CONTROL.match(text))
        reading = sum(count for _, count in self.calls) - control
        return Statements(reading / requests, control / requests)


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
        count.calls = asyncio.run(_track(store, "none"))


async def _prepare(store: Store) -> None:
    connection = await store.connect()
    try:
        await connection.execute("CREATE EXTENSION pg_stat_statements")
        await connection.execute("ALTER SYSTEM SET pg_stat_statements.track = 'none'")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
    await asyncio.sleep(_RELOAD_SECONDS)


async def _track(store: Store, what: str) -> list[tuple[str, int]]:
    """Change what is counted; return the (text, calls) of what has been, and begin anew."""
    connection = await store.connect()
    try:
        await connection.execute("SET pg_stat_statements.track = 'none'")
        await connection.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{what}'")
        await connection.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(_RELOAD_SECONDS)
        # Not what has just been done here.
        rows: list[Any] = await connection.fetch(
            "SELECT query, calls FROM pg_stat_statements WHERE query !~ 'pg_stat_statements'"
        )
        await connection.execute("SELECT pg_stat_statements_reset()")
    finally:
        await connection.close()
    return [(row["query"], row["calls"]) for row in rows]
