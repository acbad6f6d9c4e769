"""The relationships of the models, and those from the root to an entity."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from graph.database.catalog import catalog
from graph.selection import Association, Relationship

if TYPE_CHECKING:
    from sqlalchemy import Column, Table
    from sqlalchemy.orm import DeclarativeBase, Mapper, RelationshipProperty


def mappers(base: type[DeclarativeBase] | None = None) -> dict[str, Mapper[Any]]:
    """The mapped classes by entity: those of one store's models, or of all."""
    bases = catalog.bases if base is None else [base]
    return {mapper.class_.__name__: mapper for each in bases for mapper in each.registry.mappers}


@cache
def mapper_of(entity: str) -> Mapper[Any]:
    return mappers()[entity]


def entity_of_column(column: Column[Any]) -> tuple[str, str] | None:
    """The entity and attribute name of a table's column."""
    for entity, mapper in mappers().items():
        if mapper.local_table is column.table:
            return entity, mapper.get_property_by_column(column).key
    return None


@cache
def relationship(entity: str, name: str) -> Relationship:
    """The relationship for one of an entity's model, named after both entities."""
    found: RelationshipProperty[Any] = mapper_of(entity).relationships[name]
    association, local, remote = None, *found.local_remote_pairs[0]
    if found.secondary is not None:
        ((local, to_source),) = found.synchronize_pairs
        pairs: Any = found.secondary_synchronize_pairs
        ((remote, to_target),), table = pairs, cast("Table", found.secondary)
        association = Association(table.key, str(to_source.key), str(to_target.key))
    return Relationship(
        name=f"{name}_of_{_snake_case(entity)}",
        source=entity,
        source_column=found.parent.get_property_by_column(local).key,
        target=found.mapper.class_.__name__,
        target_column=found.mapper.get_property_by_column(remote).key,
        association=association,
        is_list=bool(found.uselist),
        is_optional=not found.uselist and not always_leads(local, remote),
    )


def always_leads(local: Any, remote: Any) -> bool:
    """Whether a constraint guarantees a row with this value in the remote column."""
    return not local.nullable and any(key.column is remote for key in local.foreign_keys)


def association_of(relationship: Relationship) -> Table | None:
    """The table of a many-to-many relationship."""
    if relationship.association is None:
        return None
    tables: Any = mapper_of(relationship.target).local_table
    table: Table = tables.metadata.tables[relationship.association.table]
    return table


@cache
def every(entity: str) -> Relationship:
    """The relationship from the root to all rows of an entity, or of a union of entities."""
    return Relationship(name=f"every_{_snake_case(entity)}", target=entity, is_list=True)


@cache
def lookup(entity: str, column: str) -> Relationship:
    """The relationship from the root to the row of an entity with a value in a unique column."""
    return Relationship(
        name=f"{_snake_case(entity)}_by_{column}", target=entity, target_column=column
    )


@cache
def reference(source: str, name: str, target: str, *, is_optional: bool = False) -> Relationship:
    """The relationship from an object that is not a row to the row whose key it holds."""
    return Relationship(
        name=f"{name}_of_{_snake_case(source)}",
        source=source,
        source_column=f"{name}_id",
        target=target,
        target_column="id",
        is_optional=is_optional,
    )


def _snake_case(entity: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", entity).lower()
