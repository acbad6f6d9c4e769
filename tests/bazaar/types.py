"""The bazaar as clients see it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Optional
from uuid import UUID

import strawberry

from graph.schema.fields import column, connection, to_one
from graph.schema.node import Node, register
from graph.schema.scalars import BigInt, Json
from tests.bazaar.models import Mood, Size
from tests.bazaar.resolvers import GoodResolvers, TraderResolvers


@strawberry.type(description="Who buys and sells.")
class Trader(TraderResolvers, Node):
    id: BigInt = column("The number.", name="databaseId")
    name: str = column("The name.")
    mentor_id: strawberry.ID | None = column("The id of the mentor.")
    mood: Mood | None = column("The mood.")
    born: date | None = column("The day of birth.")
    seen: datetime | None = column("When last seen.")
    honest: bool | None = column("Whether honest.")
    purse: BigInt | None = column("What is in the purse.")
    mentor: Optional["Trader"] = to_one("Who taught.")
    pupils = connection("Who was taught.", entity="Trader")
    friends = connection("Friends, in one direction.", entity="Trader")
    goods = connection("What is traded.", entity="Good")
    sold = connection("Sales.", entity="Deal")
    bought = connection("Purchases.", entity="Deal")
    stall: Optional["Stall"] = to_one("The stall, if any.")


@strawberry.type(description="What is traded.")
class Good(GoodResolvers, Node):
    id: UUID = column("The key.", name="databaseId")
    label: str = column("What it is called.")
    size: Size = column("How large it is.")
    pieces: int | None = column("How many there are.")
    price: Decimal | None = column("What one costs.")
    weight: float | None = column("What one weighs.")
    tags: list[str] | None = column("What is said of it.")
    facts: Json | None = column("What is known of it.")
    serial: UUID | None = column("Another number.")
    contained_in: strawberry.ID | None = column("The id of what it is in.")
    worth: Decimal | None = column("What all cost.")
    guess: Decimal = column("The pieces, or else the price.")
    big_label: str | None = column("The label in capitals, if it is long.")
    container: Optional["Good"] = to_one("What it is in.")
    contents = connection("What is in it.", entity="Good")
    traders = connection("Who trades it.", entity="Trader")
    deals = connection("Where it changed hands.", entity="Deal")


@strawberry.type(description="A place to sell.")
class Stall(Node):
    id: int = column("The number.", name="databaseId")
    keeper_id: strawberry.ID | None = column("The id of the keeper.")
    star_good: strawberry.ID | None = column("The id of the best good.", references="Good")
    deals_of_keeper: BigInt = column("How often the keeper sold.")
    keeper: Trader | None = to_one("Who keeps it.")
    star: Good | None = to_one("The best good.")


@strawberry.type(description="A good changed hands.")
class Deal(Node):
    id: int = column("The number.", name="databaseId")
    seller_id: strawberry.ID = column("The id of the seller.")
    buyer_id: strawberry.ID | None = column("The id of the buyer.")
    good_id: strawberry.ID = column("The id of the good.")
    amount: Decimal = column("What was paid.")
    seller: Trader = to_one("Who sold.")
    buyer: Trader | None = to_one("Who bought, if that is known.")
    good: Good = to_one("What was sold.")


ENTITIES = register(Trader, Good, Stall, Deal)
