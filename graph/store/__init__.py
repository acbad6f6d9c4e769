"""The store that graph serves: its models, types, rules and sample data. Nothing else names an entity."""

from strawberry.schema.config import StrawberryConfig

from graph.schema.directives import DIRECTIVES
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.store.mutations import Mutation
from graph.store.queries import Query
from graph.store.types import ENTITIES

__all__ = ["Schema", "schema", "text_of"]

schema = Schema(
    query=Query,
    mutation=Mutation,
    entities=ENTITIES,
    directives=DIRECTIVES,
    config=StrawberryConfig(scalar_map=SCALARS, enable_experimental_incremental_execution=True),
)


def text_of(schema: Schema) -> str:
    """The schema in its own language, as `schema.graphql` holds it."""
    return schema.as_str() + "\n"
