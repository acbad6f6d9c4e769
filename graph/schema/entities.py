"""The declarations of an entity's type: its columns and relationships, for filters and sorts."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import StrawberryOptional

from graph.database import relationships
from graph.database.catalog import catalog
from graph.database.kinds import ScalarKind
from graph.schema.annotations import annotation_of
from graph.schema.fields import Meaning, meaning_of
from graph.schema.node import ENTITIES
from graph.schema.scalars import BigInt

if TYPE_CHECKING:
    from strawberry.types.field import StrawberryField

_NUMBERS = {int, BigInt, Decimal, float}
_WITHOUT_LEAST = {bool, UUID}


@dataclass(frozen=True)
class ColumnField:
    """A declared column: its name in Python and the type of its values.

    `references` is the entity whose ids the values are; `is_measured`: aggregates have the column.
    """

    name: str
    type: Any
    description: str
    references: str | None = None
    is_nullable: bool = False
    is_measured: bool = True


@dataclass(frozen=True)
class RelationshipField:
    """A declared relationship: its name in Python and its target `entity`."""

    name: str
    entity: str
    description: str


@dataclass(frozen=True)
class Entity:
    """The declared fields by their GraphQL names.

    `texts` are lists of texts, which have no order.
    """

    name: str
    columns: dict[str, ColumnField] = field(default_factory=dict)
    texts: dict[str, ColumnField] = field(default_factory=dict)
    to_one: dict[str, RelationshipField] = field(default_factory=dict)
    to_many: dict[str, RelationshipField] = field(default_factory=dict)


@cache
def entity_of(name: str) -> Entity:
    entity, convert = Entity(name), NameConverter()
    definition: Any = ENTITIES[name]
    for declared in definition.__strawberry_definition__.fields:
        graphql_name = convert.get_graphql_name(declared)
        match meaning_of(declared):
            case Meaning.COLUMN:
                _add_column(entity, graphql_name, declared)
            case Meaning.TO_ONE:
                target = entity_named_by(declared)
                entity.to_one[graphql_name] = _relationship(declared, target)
            case Meaning.CONNECTION:
                entity.to_many[graphql_name] = _relationship(declared, declared.metadata["entity"])
    return entity


def entity_named_by(declared: StrawberryField) -> str:
    """The entity in the annotation of a to-one relationship."""
    type_: Any = declared.type
    type_ = type_.of_type if isinstance(type_, StrawberryOptional) else type_
    name: str = getattr(type_, "__name__", "")
    return name


def _add_column(entity: Entity, graphql_name: str, declared: StrawberryField) -> None:
    """Add a column. JSON columns are only read, so they have no filters and sorts."""
    known = catalog.columns[entity.name, declared.python_name]
    column = ColumnField(
        declared.python_name,
        annotation_of(declared).type,
        declared.description or "",
        known.references,
        known.is_nullable,
        declared.metadata["more"].is_measured,
    )
    if known.kind is ScalarKind.TEXTS:
        entity.texts[graphql_name] = column
    elif known.kind is not ScalarKind.JSON:
        entity.columns[graphql_name] = column


def _relationship(declared: StrawberryField, entity: str) -> RelationshipField:
    return RelationshipField(declared.python_name, entity, declared.description or "")


@cache
def _keys(entity: str) -> set[str]:
    """The columns that hold keys, of the row itself or of its relationships."""
    found = entity_of(entity)
    sources = {
        relationships.relationship(entity, each.name).source_column
        for each in found.to_one.values()
    }
    references = {column.name for column in found.columns.values() if column.references}
    return {"id", *references, *(name for name in sources if name)}


def measured_of(entity: Entity) -> dict[str, ColumnField]:
    """The columns with a useful number of distinct values."""
    return {name: column for name, column in entity.columns.items() if column.is_measured}


def ordered_of(entity: Entity) -> dict[str, ColumnField]:
    """The columns with a useful minimum and maximum."""
    return {
        name: column
        for name, column in measured_of(entity).items()
        if column.type not in _WITHOUT_LEAST and column.name not in _keys(entity.name)
    }


def numbers_of(entity: Entity) -> dict[str, ColumnField]:
    """The columns with a useful sum."""
    return {name: column for name, column in ordered_of(entity).items() if column.type in _NUMBERS}
