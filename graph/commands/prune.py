"""The command `graph prune`: what is no longer needed is removed from the database."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from graph.commands.database import with_database
from graph.errors import InvalidSetting
from graph.settings import read_settings

if TYPE_CHECKING:
    from graph.database.engine import Database

_DURATION = re.compile(r"(\d{1,9})([smhdw])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MOST = timedelta(days=36_500)


def prune(
    events_older_than: Annotated[
        str | None,
        typer.Option(help="Remove events as well that are older: 90d, 12h, 30m. [no events]"),
    ] = None,
) -> None:
    """Remove expired idempotency keys and the answers stored with them, and old events.

    Events are removed from the oldest on, while others use the store.
    """
    from graph.database import pruning
    from graph.database.catalog import catalog
    from graph.database.connect import check_migrated
    from graph.database.events import LogReader
    from graph.database.writes import idempotency

    kept = timedelta(hours=read_settings().idempotency_key_hours)
    older_than = None if events_older_than is None else _duration(events_older_than)

    async def run(database: Database) -> None:
        await check_migrated(database)
        removed = await idempotency.prune(database, kept=kept)
        typer.echo(f"Removed {removed:,} expired idempotency keys.")
        if catalog.log is None:
            return
        await pruning.add_partitions(database, catalog.log)
        if older_than is None:
            return
        done = await pruning.prune(database, catalog.log, older_than=older_than)
        through = await LogReader(database, catalog.log).pruned_through()
        typer.echo(
            f"Removed {done.rows:,} events, {done.partitions} partitions as a whole."
            f" No event up to number {through:,} is left."
        )

    with_database(run)


def _duration(given: str) -> timedelta:
    match = _DURATION.fullmatch(given)
    if match is None or int(match[1]) == 0:
        raise InvalidSetting("--events-older-than", "it must be a duration such as 90d, 12h or 30m")
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
    if seconds > _MOST.total_seconds():
        raise InvalidSetting("--events-older-than", f"it must be {_MOST.days} days at most")
    return timedelta(seconds=seconds)
