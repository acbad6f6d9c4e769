"""The schema that graph serves."""

from strawberry.schema.config import StrawberryConfig

from graph.schema.directives import DIRECTIVES
from graph.schema.node import ENTITIES
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.store.mutations import Mutation
from graph.store.queries import Query

schema = Schema(
    query=Query,
    mutation=Mutation,
    types=list(ENTITIES.values()),
    directives=DIRECTIVES,
    config=StrawberryConfig(scalar_map=SCALARS, enable_experimental_incremental_execution=True),
)
