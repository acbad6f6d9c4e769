"""The schema that graph serves."""

from strawberry.schema.config import StrawberryConfig

from graph.schema.directives import DIRECTIVES
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.store import access, log  # noqa: F401  the rules, the log
from graph.store.mutations import Mutation
from graph.store.queries import Query
from graph.store.subscriptions import Subscription
from graph.store.types import ENTITIES

_DESCRIPTION = """
A store: customers place orders, an order has lines, a line refers to an item.

Every list is a connection with pages, filters, sorts, counts, aggregates and groups. A global `id`
names an object everywhere, in answers and in inputs; `databaseId` is its number in the database.

An error in the response's `errors` has a code in `extensions.code`, a value of `ErrorCode`. A
mutation answers with a union of its success and of its errors, which implement `Error`.
"""

schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    description=_DESCRIPTION,
    entities=ENTITIES,
    directives=DIRECTIVES,
    config=StrawberryConfig(scalar_map=SCALARS, enable_experimental_incremental_execution=True),
)
