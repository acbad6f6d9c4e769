"""The edges of the store: one for each relationship of the models, and ways in from the root."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from graph.database.models import Base
from graph.database.search import FOUND
from graph.selection import Edge

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapper, RelationshipProperty


@cache
def mappers() -> dict[str, Mapper[Base]]:
    """The mapped classes by noun."""
    return {mapper.class_.__name__: mapper for mapper in Base.registry.mappers}


@cache
def edge(noun: str, relationship: str) -> Edge:
    """The edge that follows a relationship of a noun, named after both."""
    found: RelationshipProperty[Base] = mappers()[noun].relationships[relationship]
    ((local, remote),) = found.local_remote_pairs
    return Edge(
        name=f"{relationship}_of_{_snake_case(noun)}",
        source=noun,
        source_column=local.key,
        target=found.mapper.class_.__name__,
        target_column=remote.key,
    )


@cache
def every(noun: str) -> Edge:
    """The edge from the root to all rows of a noun."""
    return Edge(name=f"every_{_snake_case(noun)}", target=noun)


@cache
def lookup(noun: str, column: str) -> Edge:
    """The edge from the root to the one row of a noun that has a value in a unique column."""
    return Edge(name=f"{_snake_case(noun)}_by_{column}", target=noun, target_column=column)


@cache
def found() -> Edge:
    """The edge from the root to all that can be searched, whatever its noun."""
    return every(FOUND)


@cache
def reference(source: str, name: str, target: str) -> Edge:
    """The edge from an object that is no row to the row whose key it has."""
    return Edge(
        name=f"{name}_of_{_snake_case(source)}",
        source=source,
        source_column=f"{name}_id",
        target=target,
        target_column="id",
    )


def _snake_case(noun: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", noun).lower()
