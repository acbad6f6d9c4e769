"""The refusals that only this store knows, as types of the schema."""

from typing import Any

import strawberry

from graph.schema.enum_lookup import plain
from graph.schema.error_types import Error, register
from graph.schema.fields import column
from graph.schema.payloads import reference
from graph.store.types import Item


@strawberry.type(description="One item of which there are not enough pieces.")
class Shortage:
    item: Item = reference("The item.")
    requested: int = column("How many pieces are wanted.")
    available: int = column("How many pieces there are.")

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return type(value).__name__ == cls.__name__


@register
@strawberry.type(description="Fewer pieces are in stock than are wanted.")
class InsufficientStock(Error):
    lines: list[Shortage] = plain("The items of which there are not enough.")
