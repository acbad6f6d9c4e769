"""`graph` with a Python resolver: a field of Customer as an engineer would add it to the store.

The type is extended before the schema is built, as the store's own schema has no such field.
"""

from __future__ import annotations

from typing import Any

from graph.schema.resolvers import resolver
from graph.store import types


@resolver("The initials.", needs=["first_name", "last_name"])
def initials(self: Any) -> str:
    return f"{self.first_name[:1]}{self.last_name[:1]}"


def _extend(type_: Any, name: str, field: Any) -> None:
    field.python_name, field.origin = name, type_
    type_.__strawberry_definition__.fields.append(field)


_extend(types.Customer, "initials", initials)

# The schema is built when it is imported: with the field.
from graph.app import served_app  # noqa: E402

__all__ = ["served_app"]
