"""What an entity's type declares: its columns and edges, of which filters and sorts speak."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition

from graph.database import relationships
from graph.schema.fields import Meaning, meaning_of
from graph.schema.node import ENTITIES
from graph.schema.scalars import Json

if TYPE_CHECKING:
    from strawberry.types.field import StrawberryField


@dataclass(frozen=True)
class ColumnField:
    """`name` is the column's in Python, `type` that of its values."""

    name: str
    type: Any
    description: str


@dataclass(frozen=True)
class RelationshipField:
    """`name` is the relationship's in Python, `entity` what it leads to."""

    name: str
    entity: str
    description: str


@dataclass(frozen=True)
class Entity:
    """Fields by their names in GraphQL."""

    name: str
    columns: dict[str, ColumnField] = field(default_factory=dict)
    to_one: dict[str, RelationshipField] = field(default_factory=dict)
    to_many: dict[str, RelationshipField] = field(default_factory=dict)


@cache
def entity_of(name: str) -> Entity:
    entity, convert = Entity(name), NameConverter()
    definition: Any = ENTITIES[name]
    for declared in definition.__strawberry_definition__.fields:
        graphql_name = convert.get_graphql_name(declared)
        match meaning_of(declared):
            case Meaning.COLUMN if declared.type is not Json:  # JSON has no order
                entity.columns[graphql_name] = _column(declared)
            case Meaning.TO_ONE:
                entity.to_one[graphql_name] = _relationship(declared, declared.type.__name__)
            case Meaning.CONNECTION:
                entity.to_many[graphql_name] = _relationship(declared, declared.metadata["entity"])
    return entity


def _column(declared: StrawberryField) -> ColumnField:
    type_: Any = declared.type
    if isinstance(type_, StrawberryOptional):
        type_ = type_.of_type
    if isinstance(type_, StrawberryEnumDefinition):
        type_ = type_.wrapped_cls
    return ColumnField(declared.python_name, type_, declared.description or "")


def _relationship(declared: StrawberryField, entity: str) -> RelationshipField:
    return RelationshipField(declared.python_name, entity, declared.description or "")


@cache
def _keys(entity: str) -> set[str]:
    """The columns that only say which row it is, or which row an edge leads to."""
    sources = {
        relationships.relationship(entity, each.name).source_column
        for each in entity_of(entity).to_one.values()
    }
    return {"id", *(name for name in sources if name)}


def ordered_of(entity: Entity) -> dict[str, ColumnField]:
    """The columns whose values have a least and a most."""
    return {name: column for name, column in entity.columns.items() if column.type is not bool}


def numbers_of(entity: Entity) -> dict[str, ColumnField]:
    """The columns that it makes sense to add up."""
    return {
        name: column
        for name, column in entity.columns.items()
        if column.type in {int, Decimal} and column.name not in _keys(entity.name)
    }
