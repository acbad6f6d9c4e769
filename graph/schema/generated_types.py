"""The types that are generated from entities: connections, filters, sorts, aggregates, groups.

They are members of this module, where the entities' types refer to them (`fields.derived`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.schema.aggregates import outputs_of
from graph.schema.connections import connection_of
from graph.schema.entities import entity_of
from graph.schema.inputs import inputs_of
from graph.schema.node import ENTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable


def types_of(entity: str) -> dict[str, Any]:
    """The types that are generated from an entity, by name."""
    connection = {f"{entity}Connection": connection_of(entity, ENTITIES[entity])}
    return connection | inputs_of(entity_of(entity)) | outputs_of(entity_of(entity))


def generate(entities: Iterable[str]) -> None:
    """Generate the types of these entities, which a schema needs."""
    for entity in entities:
        if f"{entity}Connection" not in globals():
            globals().update(types_of(entity))
