"""The bazaar's schema."""

from typing import Annotated, Any

import strawberry
from strawberry import UNSET
from strawberry.schema.config import StrawberryConfig

from graph.schema.connections import Connection
from graph.schema.context import Info
from graph.schema.fields import (
    PAGE,
    Meaning,
    argument,
    connection,
    declare,
    lookup,
    many,
    with_arguments,
)
from graph.schema.node import Node
from graph.schema.scalars import SCALARS, BigInt
from graph.schema.schema import Schema
from tests.bazaar.types import ENTITIES, Good, Stall, Trader


def _argument(description: str) -> Any:
    return strawberry.argument(description=description)


@strawberry.input(one_of=True, description="What names a trader.")
class TraderLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description="The global id.")
    database_id: BigInt | None = strawberry.field(default=UNSET, description="The number.")


@strawberry.input(one_of=True, description="What names a stall.")
class StallLookup:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description="The global id.")
    keeper_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Its keeper.")


def _node(info: Info, id: Annotated[strawberry.ID, _argument("A global id.")]) -> Any:  # noqa: A002
    (node,) = info.context.loaders.nodes(info.context.selected(info.path))
    return node


def _nodes(info: Info, ids: Annotated[list[strawberry.ID], _argument("Global ids.")]) -> Any:
    return info.context.loaders.nodes(info.context.selected(info.path))


Discovery = Annotated[Trader | Good, strawberry.union("Discovery", description="What is found.")]


@strawberry.type(description="The ways into the bazaar.")
class Query:
    node: Node | None = declare(Meaning.NODE, "Any object.", resolver=_node)
    nodes: list[Node | None] = declare(Meaning.NODES, "Any objects.", resolver=_nodes)
    trader: Trader | None = lookup("One trader.", by=argument(TraderLookup, "Which one."))
    stall: Stall | None = lookup("One stall.", by=argument(StallLookup, "Which one."))
    discover: Connection[Discovery] = declare(
        Meaning.SEARCH,
        "What a text finds.",
        resolver=with_arguments(many, {"text": Annotated[str, _argument("Words.")], **PAGE}),
    )
    traders = connection("All traders.", entity="Trader", offset=True)
    goods = connection("All goods.", entity="Good", offset=True)
    stalls = connection("All stalls.", entity="Stall", offset=True)
    deals = connection("All deals.", entity="Deal", offset=True)


schema = Schema(
    query=Query,
    entities=ENTITIES,
    config=StrawberryConfig(scalar_map=SCALARS, enable_experimental_incremental_execution=True),
)
