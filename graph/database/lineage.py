"""The columns that a computed column, or the rule of a world, is read from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from operator import eq
from typing import TYPE_CHECKING, Any

from sqlalchemy import BinaryExpression, ColumnClause, Select
from sqlalchemy.sql.visitors import iterate

from graph.database.relationships import mapper_of, mappers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

# The column of keys.
_KEY = "id"


@dataclass(frozen=True, slots=True)
class Read:
    """Columns that are read of the rows of an entity: of the row itself, or of others.

    `on` names the column of the others with the key of the row itself; without it, they are any.
    """

    entity: str
    columns: frozenset[str]
    on: str | None = None


def is_entity(name: str) -> bool:
    """Whether rows of this entity are stored; those of a union are not."""
    return name in mappers()


@cache
def reads_of_column(entity: str, name: str) -> Sequence[Read]:
    """What a column is read from; nothing for one that a search makes."""
    attribute = mapper_of(entity).column_attrs.get(name)
    return () if attribute is None else reads_of(entity, attribute.columns[0])


@cache
def reads_of(entity: str, expression: ColumnElement[Any]) -> Sequence[Read]:
    """What an expression over an entity's columns is read from."""
    entities = {mapper.local_table: name for name, mapper in mappers().items()}
    columns = defaultdict[str, set[str]](set)
    for each in iterate(expression):
        if isinstance(each, ColumnClause) and each.table in entities:
            columns[entities[each.table]].add(each.name)
    return tuple(
        Read(of, frozenset(names), None if of == entity else _correlated(expression, of, entity))
        for of, names in columns.items()
    )


def _correlated(expression: ColumnElement[Any], of: str, entity: str) -> str | None:
    """The column by which the one sub-select that reads `of` finds the rows of the entity's row."""
    other, key = mapper_of(of).local_table, mapper_of(entity).local_table.c[_KEY]
    selects = [
        each
        for each in iterate(expression)
        if isinstance(each, Select) and other in each.get_final_froms()
    ]
    for criterion in selects[0]._where_criteria if len(selects) == 1 else ():  # noqa: SLF001
        if isinstance(criterion, BinaryExpression) and criterion.operator is eq:
            sides: list[Any] = [criterion.left, criterion.right]
            others = [side for side in sides if side is not key]
            if len(others) == 1 and others[0].table is other:
                return str(others[0].name)
    return None
