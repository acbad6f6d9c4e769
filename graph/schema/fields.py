"""The words in which the schema is declared: one declaration gives a field all of its meanings.

    column(...)      a value of the row, stored or computed
    to_one(...)      a to-one relationship
    connection(...)  a to-many relationship; on Query, every row of an entity
    lookup(...)      on Query: the one row of an entity that a unique value names

To Strawberry each is a field with a type (from the annotation), arguments and a resolver. To
`graph.execution` its meaning says what to select. A field declared in Strawberry's own way, with a
Python resolver, works beside them: nothing is known of it, so all columns of its row are loaded.

Resolvers take no notice of their arguments: these were checked, and are part of what was selected.
"""

from __future__ import annotations

import inspect
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import strawberry
from strawberry import UNSET
from strawberry.types.lazy_type import LazyType
from strawberry.utils.str_converters import to_camel_case

from graph.relay import to_global_id
from graph.schema.context import Info
from graph.schema.costs import SEARCH, Cost, ListSize
from graph.selection import DEFAULT_PAGE_SIZE, MAX_OFFSET, MAX_PAGE_SIZE, MAX_SORTS

if TYPE_CHECKING:
    from collections.abc import Callable


class Meaning(Enum):
    """The meaning of a field for the store."""

    # Enum computes it in Python, from the name; each of them exists once.
    __hash__ = object.__hash__

    COLUMN = auto()
    GLOBAL_ID = auto()
    TO_ONE = auto()
    CONNECTION = auto()
    LOOKUP = auto()
    NODE = auto()
    NODES = auto()
    SEARCH = auto()
    # Parts of a connection, and of its edges.
    NODE_LIST = auto()
    EDGE_LIST = auto()
    PAGE_INFO = auto()
    TOTAL_COUNT = auto()
    COUNT = auto()
    AGGREGATES = auto()
    GROUPS = auto()
    EDGE_NODE = auto()
    EDGE_CURSOR = auto()
    # Parts of aggregates and groups: objects that only put terms together, and the terms.
    TERMS = auto()
    MEASURE = auto()
    GROUP_KEY = auto()
    # A value that is chosen by a column of few values; objects that are no rows, below it.
    ENUM_LOOKUP = auto()
    PLAIN = auto()
    # Mutations, and what their payloads say of rows.
    MUTATION = auto()
    REFERENCE = auto()
    CURRENT = auto()
    # Subscriptions: the events of the log, and any query.
    STREAM = auto()
    LIVE = auto()


_PAGED = ListSize(
    assumed_size=DEFAULT_PAGE_SIZE,
    slicing_arguments=["first", "last"],
    sized_fields=["nodes", "edges"],
    require_one_slicing_argument=False,
)
_SLICED = ListSize(
    assumed_size=DEFAULT_PAGE_SIZE,
    slicing_arguments=["first"],
    require_one_slicing_argument=False,
)
# What a field costs where that is not what it returns. Counts and aggregates read whole lists.
_COSTS: dict[Meaning, tuple[Cost | ListSize, ...]] = {
    Meaning.CONNECTION: (_PAGED,),
    Meaning.SEARCH: (SEARCH, _PAGED),
    Meaning.NODES: (ListSize(assumed_size=MAX_PAGE_SIZE),),
    Meaning.TOTAL_COUNT: (Cost(weight=5),),
    Meaning.COUNT: (Cost(weight=5),),
    Meaning.AGGREGATES: (Cost(weight=10),),
    Meaning.GROUPS: (Cost(weight=10), _SLICED),
}


# The default of an argument that has none.
REQUIRED = inspect.Parameter.empty


class ColumnOptions(NamedTuple):
    """What a column declares beside its annotation; see `column`."""

    references: str | None
    is_measured: bool


def declare(
    meaning: Meaning,
    description: str,
    *,
    entity: str | None = None,
    more: Any = None,
    **options: Any,
) -> Any:
    """A Strawberry field that carries its meaning, also in the copies that generics make.

    `entity` is the entity that the field concerns, if its type does not determine it; `more` is
    extra information for its meaning.
    """
    metadata = {"meaning": meaning, "entity": entity, "more": more}
    directives = _COSTS.get(meaning, ())
    return strawberry.field(
        description=description, metadata=metadata, directives=directives, **options
    )


def derived(name: str) -> Any:
    """A type of `graph.schema.generated_types`, by name: it is made after its entity."""
    return LazyType(name, "graph.schema.generated_types")


def list_of_generated(name: str) -> Any:
    return list[derived(name)]  # type: ignore[misc]  # a type that is made is none to mypy


def meaning_of(field: object) -> Meaning | None:
    """The meaning of a Strawberry field; None if it has a Python resolver of its own."""
    metadata = getattr(field, "metadata", None) or {}
    meaning: Meaning | None = metadata.get("meaning")
    return meaning


def column(
    description: str,
    *,
    name: str | None = None,
    references: str | None = None,
    is_measured: bool = True,
    **options: Any,
) -> Any:
    """A value of the row: the model's attribute of the same Python name.

    Aggregates leave out a column that is not measured: its sum or its maximum would mean nothing.

    One that is annotated `strawberry.ID` is a foreign key, answered as the global id of the row it
    leads to. `references` names the entity of that row where no constraint of the table does.
    """
    more = ColumnOptions(references, is_measured)
    return declare(Meaning.COLUMN, description, name=name, more=more, **options)


def global_id(description: str) -> Any:
    return declare(Meaning.GLOBAL_ID, description, name="id", resolver=_global_id)


def to_one(description: str, **options: Any) -> Any:
    """A to-one relationship: the model's relationship of the same Python name."""
    return declare(Meaning.TO_ONE, description, resolver=_one, **options)


def connection(
    description: str,
    *,
    entity: str | None = None,
    offset: bool = False,
    order: tuple[str, ...] = (),
    **options: Any,
) -> Any:
    """A to-many relationship: the model's of the same Python name; on Query, every row.

    With an entity it is of the entity's own type, `OrderConnection`, and has its filters and sorts.
    Without, the annotation tells (`Connection[Order]`), and there are pages only.

    `order` names the columns by which its rows come, at last by the key, where a client names none:
    an index should have them. The description should name them too.
    """
    resolver = _many(entity, offset=offset, order=order)
    return declare(
        Meaning.CONNECTION, description, entity=entity, more=order, resolver=resolver, **options
    )


def lookup(description: str, *, by: Any, **options: Any) -> Any:
    """At most one row of an entity, selected by the argument `by` (an `argument(...)`)."""
    resolver = with_arguments(_selected_row, {"by": by}, by=REQUIRED)
    return declare(Meaning.LOOKUP, description, resolver=resolver, **options)


def _selected_row(_root: Any, info: Info) -> Any:
    return info.context.loaders.one(info.context.selected(info.path), None)


def argument(type_: Any, description: str) -> Any:
    return Annotated[type_, strawberry.argument(description=description)]


PAGE = {
    "first": argument(
        int | None,
        f"Return at most this many, from the start of the list or after `after`. "
        f"{DEFAULT_PAGE_SIZE} when neither `first` nor `last` is given; at most {MAX_PAGE_SIZE}.",
    ),
    "after": argument(str | None, "Return only elements after this cursor, in the same order."),
    "last": argument(
        int | None,
        "Return at most this many, from the end of the list or before `before`. "
        f"Not together with `first`; at most {MAX_PAGE_SIZE}.",
    ),
    "before": argument(str | None, "Return only elements before this cursor, in the same order."),
}
_OFFSET = argument(
    int | None,
    "Leave out this many from the start of the list, for numbered pages. "
    f"Not together with `after`, `before` or `last`; at most {MAX_OFFSET}.",
)


def _global_id(root: Any) -> strawberry.ID:
    return strawberry.ID(to_global_id(type(root).__name__, root.id))


def _one(root: Any, info: Info) -> Any:
    return info.context.loaders.one(info.context.selected(info.path), root)


def many(root: Any, info: Info) -> Any:
    """The resolver of connections."""
    return info.context.loaders.many(info.context.selected(info.path), root)


def _many(entity: str | None, *, offset: bool, order: tuple[str, ...]) -> Callable[..., Any]:
    """A resolver with the arguments of an entity's connection."""
    arguments = {
        **(_of_entity(entity, order) if entity else {}),
        **PAGE,
        **({"offset": _OFFSET} if offset else {}),
    }

    return with_arguments(many, arguments, derived(f"{entity}Connection") if entity else Any)


def _of_entity(entity: str, order: tuple[str, ...]) -> dict[str, Any]:
    default = ", then ".join(f"`{to_camel_case(name)}`" for name in (*order, "database_id"))
    return {
        "where": argument(derived(f"{entity}Where") | None, "Return only elements that match."),
        "order_by": argument(
            list_of_generated(f"{entity}OrderBy") | None,
            "The order of the list: by the first of these, then by the second, and so on; "
            f"finally by `databaseId`. At most {MAX_SORTS}. The default is {default}.",
        ),
    }


def with_arguments(
    resolver: Callable[[Any, Info], Any],
    arguments: dict[str, Any],
    returns: Any = Any,
    **defaults: Any,
) -> Callable[..., Any]:
    """A resolver for which Strawberry declares these arguments; see `signature`.

    The resolver does not receive them: their values are part of the selection.
    """

    def resolve(root: Any, info: Info, **_: Any) -> Any:
        return resolver(root, info)

    resolve.__signature__ = signature(arguments, returns, **defaults)  # type: ignore[attr-defined]
    return resolve


def signature(
    arguments: dict[str, Any], returns: Any = Any, *, of_root: bool = False, **defaults: Any
) -> inspect.Signature:
    """The signature of a resolver with these arguments, from which Strawberry declares them.

    A field of a root type needs no parameter `root` (`of_root`). An argument is optional (UNSET),
    unless `defaults` has another value for it, or REQUIRED.
    """
    own = {"info": Info} if of_root else {"root": Any, "info": Info}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=type_)
        for name, type_ in own.items()
    ]
    parameters += [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=type_,
            default=defaults.get(name, UNSET),
        )
        for name, type_ in arguments.items()
    ]
    return inspect.Signature(parameters, return_annotation=returns)
