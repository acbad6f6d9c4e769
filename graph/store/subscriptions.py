"""The fields of `Subscription`."""

import strawberry

from graph.schema.connections import Edge
from graph.schema.live import live, stream
from graph.store.queries import Query
from graph.store.types import Event


@strawberry.type(description="Results that arrive while the store changes.")
class Subscription:
    events: Edge[Event] = stream(
        "Each change that the viewer may see, once and in one order for everybody: by `databaseId`."
        " A client that subscribes again with the last cursor misses none and gets none twice.",
        entity="Event",
    )
    live: Query = live(
        "The answer of any query, at once and again each time that it changes. Changes within a"
        " short time come as one result."
    )
