"""What every entity is: an object with a global id; and the entities of the schema, by name."""

from typing import Any

import strawberry

from graph.schema.fields import global_id


@strawberry.interface(
    description="Anything that has a global id (Relay's Global Object Identification)."
)
class Node:
    global_id: strawberry.ID = global_id("Names the object among all objects: give it to `node`.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        """Also true of the entity's mapped class, which a resolver of one's own may return."""
        return isinstance(value, cls) or type(value).__name__ == cls.__name__


# The entities of all stores, by name: filled when a store is imported.
ENTITIES: dict[str, type[Node]] = {}


def register(*types: type[Node]) -> tuple[type[Node], ...]:
    """Let these types be entities, those whose objects are rows; return them, for the schema."""
    ENTITIES.update({type_.__name__: type_ for type_ in types})
    return types
