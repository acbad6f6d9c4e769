"""The words in which the schema is declared: one declaration gives a field all of its meanings.

    column(...)      a value of the row, stored or computed
    edge(...)        a to-one relationship
    connection(...)  a to-many relationship; on Query, every row of a noun
    lookup(...)      on Query: the one row of a noun that a unique value names

To Strawberry each is a field with a type (from the annotation), arguments and a resolver. To
`graph.execution` its meaning says what to select. A field declared in Strawberry's own way, with a
Python resolver, works beside them: nothing is known of it, so all columns of its row are loaded.

Resolvers take no notice of their arguments: these were checked, and are part of what was selected.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry import UNSET

from graph.opaque import encode_id
from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.selection import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable


class Meaning(Enum):
    """What a field asks of the store."""

    COLUMN = auto()
    GLOBAL_ID = auto()
    EDGE = auto()
    CONNECTION = auto()
    LOOKUP = auto()
    NODE = auto()
    NODES = auto()
    # Parts of a connection, and of its edges.
    NODE_LIST = auto()
    EDGE_LIST = auto()
    PAGE_INFO = auto()
    TOTAL_COUNT = auto()
    EDGE_NODE = auto()
    EDGE_CURSOR = auto()


def declare(meaning: Meaning, description: str, **options: Any) -> Any:
    """A Strawberry field that carries its meaning; copies of it, as generics make, do too."""
    return strawberry.field(description=description, metadata={"meaning": meaning}, **options)


def meaning_of(field: object) -> Meaning | None:
    """What a Strawberry field asks of the store; None when a Python resolver answers it."""
    metadata = getattr(field, "metadata", None) or {}
    meaning: Meaning | None = metadata.get("meaning")
    return meaning


def column(description: str, *, name: str | None = None) -> Any:
    """A value of the row: the model's attribute of the same Python name."""
    return declare(Meaning.COLUMN, description, name=name)


def global_id(description: str) -> Any:
    return declare(Meaning.GLOBAL_ID, description, name="id", resolver=_global_id)


def edge(description: str) -> Any:
    """A to-one edge: the model's relationship of the same Python name."""
    return declare(Meaning.EDGE, description, resolver=_one)


def connection(description: str) -> Any:
    """A to-many edge: the model's relationship of the same Python name; on Query, every row."""
    return declare(Meaning.CONNECTION, description, resolver=_many)


def lookup(description: str, resolver: Callable[..., Any]) -> Any:
    """The one row of a noun that `by`, an argument of the resolver, names."""
    return declare(Meaning.LOOKUP, description, resolver=resolver)


First = Annotated[
    int | None,
    strawberry.argument(
        description=f"Return at most this many, from the start of the list or after `after`. "
        f"{DEFAULT_PAGE_SIZE} when neither `first` nor `last` is given; at most {MAX_PAGE_SIZE}."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(description="Only what comes after this cursor."),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="Return at most this many, from the end of the list or before `before`. "
        f"Not together with `first`; at most {MAX_PAGE_SIZE}."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(description="Only what comes before this cursor."),
]


def _global_id(root: Any) -> strawberry.ID:
    return strawberry.ID(encode_id(type(root).__name__, root.id))


def _one(root: Any, info: Info) -> Any:
    return info.context.loaders.one(info.context.asked(info.path), root)


def _many(  # noqa: PLR0917
    root: Any,
    info: Info,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
) -> Any:
    return info.context.loaders.many(info.context.asked(info.path), root)
