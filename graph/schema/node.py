"""The interface of all entities, which have a global id; and the registry of the entities."""

from typing import Any

import strawberry
from strawberry.types.base import StrawberryObjectDefinition

from graph.schema.fields import global_id


@strawberry.interface(
    description="Anything that has a global id (Relay's Global Object Identification)."
)
class Node:
    global_id: strawberry.ID = global_id("The global id of the object, for `node` and `nodes`.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Whether the value is a row of this entity.

        A resolver may also return the mapped class.
        """
        return isinstance(value, cls) or type(value).__name__ == cls.__name__


# The entities of all stores, by name: filled when a store is imported.
ENTITIES: dict[str, type[Node]] = {}


def register(*types: type[Node]) -> tuple[type[Node], ...]:
    """Let these types be entities, those whose objects are rows; return them, for the schema."""
    ENTITIES.update({type_.__name__: type_ for type_ in types})
    return types


def types_of_records(schema: strawberry.Schema) -> dict[str, type]:
    """The schema's own type of each entity: an extended one may have others than `ENTITIES`."""
    definitions = {entity: schema.get_type_by_name(entity) for entity in ENTITIES}
    return {
        entity: definition.origin
        for entity, definition in definitions.items()
        if isinstance(definition, StrawberryObjectDefinition)
    }
