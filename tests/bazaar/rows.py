"""Rows of the bazaar: random ones, for the comparison of both ways."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from sqlalchemy import text, update

from graph.relay import INT8_MAX
from tests.bazaar.models import Base, Good, Stall
from tests.execution.generator import write_tables

if TYPE_CHECKING:
    from graph.database.engine import Database


async def create_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


async def write_bazaar(database: Database, number: int) -> None:
    """Make the tables, and fill them with the rows of this number; 0 is a bazaar without any."""
    await create_tables(database)
    tables = Base.metadata.sorted_tables
    async with database.write() as session:
        random = Random(number)  # noqa: S311  no secrets here
        await write_tables(session, random, tables, empty=not number, largest_key=INT8_MAX)
        # No constraint sees to it, so that some lead nowhere.
        star = Good.__table__.select().with_only_columns(Good.id).limit(1).scalar_subquery()
        await session.execute(update(Stall).where(Stall.id % 2 == 0).values(star_good=star))
        await session.execute(text("UPDATE goods SET tags = '{{a,b},{c,NULL}}' WHERE pieces = 1"))
