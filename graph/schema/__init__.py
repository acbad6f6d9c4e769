"""What a client may ask."""

from strawberry.schema.config import StrawberryConfig

from graph.schema.directives import DIRECTIVES
from graph.schema.mutations import Mutation
from graph.schema.queries import Query
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.schema.types import NOUNS

__all__ = ["Schema", "schema", "text_of"]

schema = Schema(
    query=Query,
    mutation=Mutation,
    types=list(NOUNS.values()),
    directives=DIRECTIVES,
    config=StrawberryConfig(scalar_map=SCALARS, enable_experimental_incremental_execution=True),
)


def text_of(schema: Schema) -> str:
    """The schema in its own language, as `schema.graphql` holds it."""
    return schema.as_str() + "\n"
