"""The relationships of the models, and those that lead from the root to an entity."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from graph.database.catalog import catalog
from graph.database.search import FOUND
from graph.selection import Relationship

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapper, RelationshipProperty


@cache
def mappers() -> dict[str, Mapper[Any]]:
    """The mapped classes by entity."""
    assert catalog.models is not None  # noqa: S101  graph.store is imported by now
    return {mapper.class_.__name__: mapper for mapper in catalog.models.registry.mappers}


@cache
def relationship(entity: str, relationship: str) -> Relationship:
    """The relationship that follows a relationship of an entity, named after both."""
    found: RelationshipProperty[Any] = mappers()[entity].relationships[relationship]
    ((local, remote),) = found.local_remote_pairs
    return Relationship(
        name=f"{relationship}_of_{_snake_case(entity)}",
        source=entity,
        source_column=local.key,
        target=found.mapper.class_.__name__,
        target_column=remote.key,
    )


@cache
def every(entity: str) -> Relationship:
    """The relationship from the root to all rows of an entity."""
    return Relationship(name=f"every_{_snake_case(entity)}", target=entity)


@cache
def lookup(entity: str, column: str) -> Relationship:
    """The relationship from the root to the row of an entity with a value in a unique column."""
    return Relationship(
        name=f"{_snake_case(entity)}_by_{column}", target=entity, target_column=column
    )


@cache
def found() -> Relationship:
    """The relationship from the root to all that can be searched, whatever its entity."""
    return every(FOUND)


@cache
def reference(source: str, name: str, target: str) -> Relationship:
    """The relationship from an object that is no row to the row whose key it has."""
    return Relationship(
        name=f"{name}_of_{_snake_case(source)}",
        source=source,
        source_column=f"{name}_id",
        target=target,
        target_column="id",
    )


def _snake_case(entity: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", entity).lower()
