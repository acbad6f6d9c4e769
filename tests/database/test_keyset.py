"""The keyset condition of cursors over nullable keys, compared with rows sorted in Python."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, union_all

from graph.database.kinds import Scalar, ScalarKind
from graph.database.reads import keyset
from graph.database.reads.keyset import Ordering
from graph.selection import Attribute, Sort
from tests.execution.plain.lists import Key, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.engine import Database

SCRATCH = Table(
    "scratch",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("number", Integer),
    Column("word", String),
    prefixes=["TEMPORARY"],
)
SCALARS = {
    "id": Scalar(ScalarKind.INTEGER),
    "number": Scalar(ScalarKind.INTEGER, is_nullable=True),
    "word": Scalar(ScalarKind.TEXT, is_nullable=True),
}
# Each value, and none, beside each, twice.
ROWS = [
    {"id": nth, "number": number, "word": word}
    for nth, (number, word, _) in enumerate(
        product((None, 1, 2), (None, "x", "y"), range(2)), start=1
    )
]
DIRECTIONS = {
    "ASC": (False, False),
    "DESC": (True, False),
    "ASC_NULLS_FIRST": (False, True),
    "DESC_NULLS_FIRST": (True, True),
}


@pytest.fixture(autouse=True)
def scratch() -> Iterator[None]:
    """The table has the columns of an entity; all but its key can be null."""
    with patch.object(keyset, "scalar_of", lambda _entity, term: SCALARS[term.name]):
        yield


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("number", DIRECTIONS)
@pytest.mark.parametrize("word", DIRECTIONS)
async def test_each_row_beyond_a_cursor_is_in_one_range(
    database: Database, number: str, word: str, backwards: bool
) -> None:
    said = {"number": number, "word": word, "id": "DESC" if backwards else "ASC"}
    order = Ordering(
        "Scratch",
        tuple(Sort(Attribute(name), *DIRECTIONS[direction]) for name, direction in said.items()),
    )

    def keys(row: dict[str, Any]) -> list[Key]:
        return [Key(row[name], direction) for name, direction in said.items()]

    columns = [SCRATCH.c[name] for name in said]
    async with database.engine.connect() as connection:
        await connection.run_sync(SCRATCH.create)
        await connection.execute(insert(SCRATCH), ROWS)
        turned = order.backwards if backwards else order
        for cursor in ROWS:
            beyond = -1 if backwards else 1
            expected = [row for row in ROWS if compare(keys(row), keys(cursor)) == beyond]
            values = turned.cursor_values(
                tuple(cursor[name] is None for name in said), lambda nth: f"c{nth}"
            )
            bound = {f"c{nth}": cursor[name] for nth, name in enumerate(said)}
            ranges = [
                select(SCRATCH.c.id).where(*conditions)
                for conditions in turned.ranges(columns, values)
            ]
            found = list(await connection.scalars(union_all(*ranges), bound))
            same = list(
                await connection.scalars(
                    select(SCRATCH.c.id).where(turned.beyond(columns, values)), bound
                )
            )
            assert sorted(found) == sorted(same) == [row["id"] for row in expected], cursor

        in_order = await connection.scalars(select(SCRATCH.c.id).order_by(*order.clauses(columns)))
        placed = [ROWS[id_ - 1] for id_ in in_order]
        assert all(compare(keys(one), keys(other)) < 0 for one, other in pairwise(placed))
