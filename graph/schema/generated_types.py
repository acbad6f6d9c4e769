"""Every type that is made from an entity's: its connection, filters, sorts, aggregates, groups.

They are members of this module, where the entities' own types find them (`fields.derived`).
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
    """The types that are made from an entity's, by name."""
    connection = {f"{entity}Connection": connection_of(entity, ENTITIES[entity])}
    return connection | inputs_of(entity_of(entity)) | outputs_of(entity_of(entity))


def generate(entities: Iterable[str]) -> None:
    """Make the types of these entities; a schema that is built needs them."""
    for entity in entities:
        if f"{entity}Connection" not in globals():
            globals().update(types_of(entity))
