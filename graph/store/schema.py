"""The schema that graph serves."""

from strawberry.schema.config import StrawberryConfig

from graph.schema.directives import DIRECTIVES
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.store import access  # noqa: F401  the rules
from graph.store.mutations import Mutation
from graph.store.queries import Query
from graph.store.types import ENTITIES

schema = Schema(
    query=Query,
    mutation=Mutation,
    entities=ENTITIES,
    directives=DIRECTIVES,
    config=StrawberryConfig(scalar_map=SCALARS, enable_experimental_incremental_execution=True),
)
