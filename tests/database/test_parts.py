"""A statement that is joined from parts is the one that SQLAlchemy writes as a whole."""

from __future__ import annotations

import gc
import os
import re
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from sqlalchemy import literal_column, select

from graph.database.dialect import DIALECT
from graph.database.reads.json_query import json_statement
from graph.database.reads.parts import Part, Place, joined
from graph.database.reads.sql_fragments import Expression
from graph.database.worlds import EVERYTHING, HiddenColumn, World, dialect_in, world_of
from graph.execution.documents.document import Documents
from graph.execution.failures import RequestRejected
from graph.store.access import ROLES
from graph.store.schema import schema
from graph.viewer import Viewer
from tests.execution.generator import Known
from tests.execution.generator.choices import Choices
from tests.execution.generator.operations import _Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.reads.json_query import JsonStatement
    from graph.database.reads.sql_fragments import Sql
    from graph.selection import DataField

SCHEMA = schema._schema  # noqa: SLF001  as Execution does
DRAWN = 120
SEED = int(os.environ.get("GRAPH_TEST_SEED", "0"))
WORLDS = {
    "everything": EVERYTHING,
    **{role: world_of(Viewer("somebody", role, may)) for role, may in ROLES.items()},
}


def drawn() -> Iterator[tuple[DataField, ...]]:
    """The root fields of operations that SQL answers."""
    documents = Documents(SCHEMA)
    for number in range(DRAWN):
        source = Choices(Random(SEED * DRAWN + number))  # noqa: S311
        operation = _Writer(SCHEMA, Known(), source).operation()
        try:
            read = documents.read(operation.text).operation(operation.name)
            compiled, _ = read.compiled(read.variables.coerced(operation.variables[0]))
        except RequestRejected:
            continue
        if compiled.query is not None:
            yield compiled.query._roots  # noqa: SLF001


def as_a_whole(sql: Sql, world: World) -> tuple[str, list[str]]:
    """What SQLAlchemy writes, if it gets all clauses at once."""
    clauses = (each.clause if isinstance(each, Part) else each for each in sql)
    whole = select(Expression("/**/", *clauses, "/**/").label("whole"))
    compiled: Any = whole.compile(dialect=dialect_in(world, DIALECT))
    return str(compiled).split("/**/")[1], list(compiled.positiontup or ())


def written(roots: tuple[DataField, ...], world: World, most: int | None) -> JsonStatement:
    return json_statement.__wrapped__(roots, "json_scalar", world, most)


def anonymous(sql: str) -> str:
    """The SQL without the numbers of anonymous names: each part numbers its own."""
    return re.sub(r"\b([a-z_]+)_\d+\b|%\(\d+ anon\)s", r"\1_N", sql)


@pytest.mark.parametrize("name", WORLDS)
def test_parts_are_joined_to_the_statement_that_is_written_at_once(name: str) -> None:
    compared = 0

    def compare(sql: Sql, world: World) -> tuple[str, list[str]]:
        nonlocal compared
        (text, parameters), (whole, names) = joined(sql, world), as_a_whole(sql, world)
        assert anonymous(text) == anonymous(whole)
        assert parameters == names
        compared += 1
        return text, parameters

    with patch("graph.database.reads.json_query.joined", compare):
        for roots in drawn():
            with suppress(HiddenColumn):
                written(roots, WORLDS[name], None)
                written(roots, WORLDS[name], 1_000)

    assert compared > DRAWN / 3


def quoting(place: Place) -> Any:
    return literal_column("'$1 and above__.id' || " + f'"$2".x || {place.above}.y')


def test_marks_inside_quotes_are_text() -> None:
    text, parameters = joined(("SELECT ", Part(quoting, (), above="r7")), EVERYTHING)

    assert text == """SELECT '$1 and above__.id' || "$2".x || r7.y"""
    assert parameters == []


def test_a_statement_leaves_nothing_to_the_garbage_collector() -> None:
    every = list(drawn())
    for roots in every:
        written(roots, EVERYTHING, 1_000)
    gc.collect()
    gc.disable()
    try:
        for roots in every[:20]:
            written(roots, EVERYTHING, 1_000)
        assert gc.collect() == 0
    finally:
        gc.enable()
