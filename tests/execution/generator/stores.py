"""Random small stores: unusual text, extreme amounts and times, gaps in ids, parents without rows.

The rows are generated from the tables of the models, so that new columns are filled as well.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Double,
    Enum,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Uuid,
    bindparam,
    cast,
    insert,
    text,
)

from graph.database.types import JsonText
from graph.relay import INT4_MAX, INT8_MAX
from graph.store.log_functions import LOGGED
from graph.store.models import Base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Column, Insert, Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.database.engine import Database

TEXTS = (
    "",
    " ",
    "plain",
    'say "no"',
    "back\\slash\\u0041\\",
    "it's ''quoted''",
    "".join(map(chr, range(1, 32))) + "\x7f\x85",
    "</script><!-- & -->",
    "😀 👩‍👩‍👧 \U0001d4b3",
    "\u0645\u0631\u062d\u0628\u0627 \u202e\u05e9\u05dc\u05d5\u05dd\u202c",
    "e\u0301 ÅΩ ﬁ İı ß",
    "\u2028 \u2029 \ufeff \ufffe \uffff",
    "%s %(a)s :name $1 {} ||';--",
    "null",
    '{"a":[1]}',
    "lang" * 60,
)
AMOUNTS = ("0.00", "0.01", "0.10", "1.00", "10.50", "100.00", "99999999.99", "12345678.90")
DATES = ("0001-01-01", "1999-12-31", "2024-02-29", "2026-11-27", "9999-12-31")
FLOATS = (
    *(0.0, -0.0, 0.1, 1.5, -2.25, 1e-7, 1e16, 123456789.125, 5e-324, 1.7976931348623157e308),
    *(float("nan"), float("inf"), float("-inf")),
)
LISTS: tuple[list[str | None], ...] = ([], ["a"], ["a", "b"], ["b", "a", "a"], [None, "a"], [""])
TIMES = (
    "0001-01-01T00:00:00+00:00",
    "0001-01-01T00:00:00.000001+00:00",
    "9999-12-31T23:59:59.999999+00:00",
    "1999-12-31T23:59:59-12:00",
    "2024-02-29T12:30:00.5+05:45",
    "1883-11-18T12:03:58-04:56:02",
)
JSON = (
    *("{}", "[]", '"text"', "10.50", "null", '{"status": ["PLACED", "PAID"], "a": [1.0, null]}'),
    '{"customer_id": [1, null], "date_placed": ["2026-01-31T12:00:00+02:00", null], "version": 2}',
    '{"item_id": 1, "unit_price": [1.50, 2], "item_name": ["a", "b"], "stock": null}',
)


async def write_store(database: Database, number: int) -> None:
    """Fill an empty database with the rows of this number; 0 is a store without any."""
    async with database.write() as session:
        # Events are rows of their own here, and not what the triggers make of the others.
        await session.execute(text("SET LOCAL graph.logging = 'off'"))
        await write_tables(session, Random(number), _TABLES, empty=not number)  # noqa: S311


async def write_tables(
    session: AsyncSession,
    random: Random,
    tables: Iterable[Table],
    *,
    empty: bool,
    largest_key: int = INT8_MAX,
) -> None:
    """Insert rows into these tables, parents first."""
    ids: dict[str, list[Any]] = {}
    for table in tables:
        # A table may have keys of its own rows: of those that are there already.
        parents = [
            ids[key.column.table.name]
            for key in table.foreign_keys
            if key.column.table is not table and not key.parent.nullable
        ]
        size = random.choice((1, 3, 5, 8)) if not empty and all(parents) else 0
        if size and random.random() < 0.05:
            size = 25  # more than a page has when nobody says how long it is
        ids[table.name] = _ids(random, size, table, largest_key)
        if size:
            await session.execute(insert_rows(table), rows_of(random, table, ids))


def insert_rows(table: Table) -> Insert:
    """Times are given as text: the driver takes the first and last there are for infinity."""
    times = [column for column in table.columns if isinstance(column.type, DateTime | Date)]
    return insert(table).values(
        {column.name: cast(bindparam(column.name, type_=String), column.type) for column in times}
    )


def _ids(random: Random, size: int, table: Table, largest: int) -> list[Any]:
    """Ids in order, with gaps; the last may be the last there is."""
    keys = [column for column in table.columns if column.primary_key]
    type_ = keys[0].type if keys else Integer()
    if isinstance(type_, Uuid):
        return sorted(UUID(int=random.getrandbits(128)) for _ in range(size))
    ids = sorted(random.sample(range(1, 2 * size + 3), size))
    if ids and random.random() < 0.1:
        most = next(most for kind, most in _MOST.items() if isinstance(type_, kind))
        ids[-1] = min(most, largest)
    return ids


def rows_of(random: Random, table: Table, ids: dict[str, list[Any]]) -> list[dict[str, Any]]:
    # Few parents have all the children, the others none.
    parents = {
        key.parent.name: random.sample(known := ids[key.column.table.name], (len(known) + 1) // 2)
        for key in table.foreign_keys
        if key.column.table is not table
    }
    own = [key.parent.name for key in table.foreign_keys if key.column.table is table]
    columns = [column for column in table.columns if not column.primary_key]
    rows: list[dict[str, Any]] = []
    for id_ in ids[table.name]:
        parents |= {name: [row["id"] for row in rows] for name in own}
        key = {"id": id_} if "id" in table.c else {}
        rows.append(key | {column.name: _value(random, column, parents, id_) for column in columns})
    return rows


def _value(  # noqa: PLR0911  one for each
    random: Random, column: Column[Any], parents: dict[str, list[Any]], number: Any
) -> object:
    if column.nullable and random.random() < 0.3:
        return None
    if column.name in parents:
        known = parents[column.name]
        if column.unique and known:
            return known.pop()
        return random.choice(known) if known else None
    if (draw := _DRAWN_BY_NAME.get(column.name)) is not None:
        return draw(random)
    match column.type:
        case Enum():
            return random.choice(column.type.enums)
        case String():
            return _text(random, column, number)
    return next(draw(random) for type_, draw in _DRAWN.items() if isinstance(column.type, type_))


def _text(random: Random, column: Column[Any], number: Any) -> str:
    text = random.choice(TEXTS)
    if random.random() < 0.7:
        text = " ".join(random.sample(TEXTS, random.randint(1, 3)))
    prefix = f"{number}:" if _is_unique(column) else ""
    return (prefix + text)[: getattr(column.type, "length", None)]


def _is_unique(column: Column[Any]) -> bool:
    """Whether a unique index or constraint has the column, or an expression of it."""
    indexes = [index for index in column.table.indexes if index.unique]
    expressions = [str(part) for index in indexes for part in index.expressions]
    return bool(column.unique) or any(column.name in expression for expression in expressions)


def _amount(random: Random) -> str:
    return f"{random.randint(0, 99999) / 100:.2f}"


def _moment(random: Random) -> str:
    """Some moment, with microseconds of every shape of trailing zeros."""
    microsecond = random.choice((0, 1, 999999, 10 ** random.randint(0, 5) * random.randint(1, 9)))
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
        seconds=random.randint(-(10**9), 10**9), microseconds=microsecond
    )
    return moment.isoformat()


_TABLES = Base.metadata.sorted_tables
_MOST = {SmallInteger: 2**15 - 1, BigInteger: INT8_MAX, Integer: INT4_MAX}

_DRAWN: dict[type[Any], Callable[[Random], object]] = {
    Boolean: lambda random: random.random() < 0.5,
    Integer: lambda random: random.choice((1, 2, 10, 32767, random.randint(1, 32767))),
    Numeric: lambda random: Decimal(random.choice((*AMOUNTS, _amount(random)))),
    JsonText: lambda random: random.choice(JSON),
    # Beside amounts of money: NaN and infinity, which are no JSON.
    Double: lambda random: random.choice(FLOATS),
    Uuid: lambda random: UUID(int=random.choice((0, 1, 2**127))),
    ARRAY: lambda random: random.choice(LISTS),
    sqlalchemy.JSON: lambda random: json.loads(random.choice(JSON)),
    Date: lambda random: random.choice(DATES),
    DateTime: lambda random: random.choice((*TIMES, _moment(random), _moment(random))),
}
_DRAWN_BY_NAME: dict[str, Callable[[Random], object]] = {
    "cancelled_quantity": lambda random: random.choice((0, 1)),  # not more than a line has
    "taken": lambda _: 0,  # not more than a line has left
    "purse": lambda random: random.choice((1, 2, -3, 2**53 + 1, INT8_MAX, -INT8_MAX - 1)),
    # No foreign key leads from events.
    "order_id": lambda random: random.randint(1, 10),
    "entity_id": lambda random: random.randint(1, 10),
    "entity": lambda random: random.choice([entity for entity, _ in LOGGED.values()]),
}
