"""The cost of fields, declared in the schema by the directives of IBM's cost specification.

Their types are those of Apollo Federation 2.9, which refuses to compose any others: a weight is a
whole number there, and a slicing argument an `Int`.

Each object costs 1, and a value costs nothing. A list multiplies the cost of its elements by the
size of its page. `@cost` adds the cost of the field itself.
"""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import UNSET
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    description="The cost of the field itself, in addition to the objects that it returns.",
)
class Cost:
    weight: int


# A search costs as much wherever it stands, in a filter or as a field.
SEARCH = Cost(weight=10)
# Each element of a list in a mutation's input: a row to write.
ROW = Cost(weight=5)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="The size of a list: that of its slicing arguments, or else the assumed size.",
)
class ListSize:
    assumed_size: int | None = strawberry.directive_field(name="assumedSize", default=UNSET)
    slicing_arguments: list[str] | None = strawberry.directive_field(
        name="slicingArguments", default=UNSET
    )
    sized_fields: list[str] | None = strawberry.directive_field(name="sizedFields", default=UNSET)
    require_one_slicing_argument: bool | None = strawberry.directive_field(
        name="requireOneSlicingArgument", default=True
    )


def weight_of(declared: Any) -> int:
    """The weight in `@cost` of a Strawberry field."""
    directives = getattr(declared, "directives", ())
    return next((each.weight for each in directives if isinstance(each, Cost)), 0)


def assumed_size_of(declared: Any) -> int:
    """The assumed size of a list without a page size."""
    directives = getattr(declared, "directives", ())
    sizes = (each.assumed_size for each in directives if isinstance(each, ListSize))
    return next((size for size in sizes if size), 1)
