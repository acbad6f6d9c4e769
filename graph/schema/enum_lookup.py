"""Values that depend only on a column with few values, such as an order's status.

They are computed in Python once for each value of the column when an operation is compiled, and
selected by a CASE in SQL: no row needs a call. They may also depend on what the viewer may do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.database.catalog import catalog
from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import Meaning, declare

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum


@dataclass(frozen=True, slots=True)
class Choice:
    column: str
    values: type[Enum]
    value_of: Callable[..., Any]
    depends_on: tuple[frozenset[str], ...]


def enum_lookup(
    description: str,
    *,
    column: str,
    values: type[Enum],
    value_of: Callable[..., Any],
    depends_on: tuple[frozenset[str], ...] = (),
) -> Any:
    """A field whose value is `value_of(column)`: plain objects, described by `plain` fields.

    For each set of permissions that it `depends_on`, `value_of` also takes whether the viewer has
    one of them.
    """
    catalog.deciding |= frozenset[str]().union(*depends_on)

    def resolve(root: Any, info: Info) -> Any:
        return value_of(getattr(root, column), *map(info.context.viewer.has, depends_on))

    return declare(
        Meaning.ENUM_LOOKUP,
        description,
        resolver=resolve,
        more=Choice(column, values, value_of, depends_on),
    )


def plain(description: str) -> Any:
    """A field of an object that is not a row: its attribute of the same Python name."""
    return declare(Meaning.PLAIN, description)
