"""Registers the declared columns of fields with the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.catalog import DeclaredColumn, catalog
from graph.database.kinds import kind_of_type
from graph.database.reads.columns import attribute_of
from graph.database.relationships import entity_of_column
from graph.schema.annotations import annotation_of
from graph.schema.fields import Meaning, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strawberry.types.field import StrawberryField

    from graph.schema.node import Node


def declare_columns(entities: Iterable[type[Node]]) -> None:
    """Register the kind, nullability and reference of each declared column."""
    for type_ in entities:
        definition: Any = type_
        for field in definition.__strawberry_definition__.fields:
            if meaning_of(field) is Meaning.COLUMN:
                catalog.columns[type_.__name__, field.python_name] = _column(type_.__name__, field)


def _column(entity: str, field: StrawberryField) -> DeclaredColumn:
    annotation = annotation_of(field)
    column = attribute_of(entity, field.python_name)
    references = _references(field, column) if annotation.is_id else None
    kind = annotation.kind or kind_of_type(column.type)
    assert kind is not None  # noqa: S101
    return DeclaredColumn(kind, annotation.is_nullable, references)


def _references(field: StrawberryField, column: Any) -> str | None:
    """The entity whose keys the column holds."""
    named: str | None = field.metadata["more"]
    if named is not None:
        return named
    targets = [entity_of_column(key.column) for key in column.foreign_keys]
    return next((entity for entity, name in filter(None, targets) if name == "id"), None)
