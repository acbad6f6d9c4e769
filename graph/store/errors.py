"""The domain errors that are specific to this store, as GraphQL types."""

from typing import Any

import strawberry

from graph.schema.enum_lookup import plain
from graph.schema.error_types import Error, register
from graph.schema.fields import column
from graph.schema.payloads import reference
from graph.store.types import Item


@strawberry.type(description="An item that does not have enough stock.")
class Shortage:
    item: Item = reference("The item.")
    requested: int = column("The number of pieces requested.")
    available: int = column("The number of pieces in stock.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return type(value).__name__ == cls.__name__


@register
@strawberry.type(description="Items do not have enough stock.")
class InsufficientStock(Error):
    shortages: list[Shortage] = plain("All items that do not have enough stock.")
