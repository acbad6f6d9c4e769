"""About how many rows each entity's table has, by PostgreSQL's own statistics."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import text

from graph.database.catalog import catalog
from graph.database.relationships import mappers
from graph.database.tasks import end_task

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from graph.database.worlds import World

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 60.0
# Smaller changes make no difference to a price.
_SAME_WITHIN = 0.2
# It takes no lock on the tables. One that was never analyzed counts as empty.
_SIZES = text("""
    SELECT entity, greatest(reltuples, 0)
    FROM unnest(CAST(:entities AS text[]), CAST(:tables AS text[])) AS wanted(entity, name)
    JOIN pg_class ON oid = to_regclass(name)
""")


class Sizes(Protocol):
    """The sizes of tables, as `TableSizes` has them."""

    @property
    def version(self) -> int: ...

    def rows(self, entity: str) -> float: ...


@dataclass(frozen=True, slots=True)
class SizesInWorld:
    """The sizes that a viewer's prices depend on.

    A table counts as empty unless all its rows exist for the viewer: a price would tell how many
    there are. What a look at it takes is charged by the time of the statement.
    """

    sizes: Sizes
    world: World

    @property
    def version(self) -> int:
        return self.sizes.version

    def rows(self, entity: str) -> float:
        members = catalog.unions.get(entity, (entity,))
        return sum(self.sizes.rows(each) for each in members if each not in self.world.rules)


class TableSizes:
    """The sizes of one database's tables, refreshed now and then. One per database.

    `version` changes with them. Until the first refresh all are 0.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.version = 0
        self._engine = engine
        self._rows: dict[str, float] = {}
        self._due = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    def rows(self, entity: str) -> float:
        """The rows of an entity, or of all entities of a union."""
        members = catalog.unions.get(entity, (entity,))
        return sum(self._rows.get(member, 0.0) for member in members)

    def refresh_if_due(self) -> None:
        """Refresh in the background; nobody waits for it."""
        if monotonic() >= self._due and (self._refreshing is None or self._refreshing.done()):
            self._due = monotonic() + _REFRESH_SECONDS
            self._refreshing = asyncio.create_task(self._refresh_quietly())

    async def refresh(self) -> None:
        entities = sorted(mappers())
        tables = [str(mappers()[entity].local_table) for entity in entities]
        async with self._engine.connect() as connection:
            found = await connection.execute(_SIZES, {"entities": entities, "tables": tables})
            rows = {entity: float(number) for entity, number in found}
        if any(not _is_same(number, self._rows.get(entity)) for entity, number in rows.items()):
            self._rows = rows
            self.version += 1

    async def close(self) -> None:
        await end_task(self._refreshing)

    async def _refresh_quietly(self) -> None:
        try:
            await self.refresh()
        except Exception as error:  # noqa: BLE001  the next refresh may succeed
            logger.debug("the sizes of tables are not known: %s", error)


def _is_same(rows: float, before: float | None) -> bool:
    return before is not None and abs(rows - before) <= _SAME_WITHIN * max(rows, before)
