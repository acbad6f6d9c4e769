"""What a client may ask."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from graph.schema.queries import Query
from graph.schema.scalars import SCALARS
from graph.schema.types import NOUNS

schema = strawberry.Schema(
    query=Query, types=list(NOUNS.values()), config=StrawberryConfig(scalar_map=SCALARS)
)


def schema_text() -> str:
    """The schema in its own language, as `schema.graphql` holds it."""
    return schema.as_str() + "\n"
