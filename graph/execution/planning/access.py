"""What an operation reads and changes, and what of it its viewer may not.

A forbidden field refuses the operation before it runs. A row that the viewer may not see does not
exist, which is no error: see `graph.database.worlds`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from graphql import GraphQLError

from graph.database.catalog import catalog
from graph.database.worlds import needs_of, world_of
from graph.errors import Forbidden, Unauthenticated
from graph.execution.failures import RequestRejected
from graph.schema.node import ENTITIES
from graph.selection import (
    Attribute,
    Column,
    Connection,
    CountUpTo,
    EnumLookup,
    Exists,
    Matches,
    Measure,
    Mutate,
    PageInfo,
    Payload,
    Plain,
    Resolved,
    Selection,
    Through,
    ToOne,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.database.worlds import World
    from graph.execution.planning.plan import Plan
    from graph.viewer import Viewer


@dataclass(frozen=True, slots=True)
class _Use:
    """A field that reads a column of an entity, or its rows, or changes something.

    `path` are response keys; `needs` are the permissions of which one suffices. `below` is the
    entity of a reference above it that may be null: without rows of it nothing is read there.
    """

    path: tuple[str, ...]
    needs: frozenset[str] = frozenset()
    entity: str = ""
    column: str | None = None
    below: str = ""

    def is_refused(self, world: World, viewer: Viewer) -> bool:
        if self.below and world.is_closed(self.below):
            return False
        if not self.entity:
            return not viewer.has(self.needs)
        if self.column is None:
            return world.is_closed(self.entity)
        return world.hides(self.entity, self.column)

    def permissions(self) -> list[str]:
        return sorted(self.needs or needs_of(self.entity, self.column))


_MAX_KEPT = 64

_Path: TypeAlias = tuple[str, ...]


class Access:
    """What an operation of one shape needs; lives as long as its compiled statement."""

    def __init__(self, plan: Plan) -> None:
        self._uses = tuple(dict.fromkeys(use for root in plan.root for use in _uses(root, (), "")))
        # By the viewer's permissions: roles are few.
        self._refused: dict[frozenset[str], tuple[_Use, ...]] = {}

    def check(self, viewer: Viewer, place: Callable[[_Path], _Path] = tuple) -> None:
        """Check that the viewer may read and change all of it.

        `place` turns a path of the plan into that of the client's document.

        Raises:
            RequestRejected: not all; it lists every path, with the permissions that would do.
        """
        if viewer.may is None:
            return
        refused = self._refused.get(viewer.may)
        if refused is None:
            world = world_of(viewer)
            refused = tuple(use for use in self._uses if use.is_refused(world, viewer))
            if len(self._refused) >= _MAX_KEPT:  # the scopes of services are any texts
                self._refused.clear()
            self._refused[viewer.may] = refused
        if refused:
            named = {".".join(place(use.path)): use.permissions() for use in refused}
            error = (Unauthenticated if viewer.subject is None else Forbidden)(named)
            located = GraphQLError(str(error), path=place(refused[0].path), original_error=error)
            raise RequestRejected([located], code=error.code)


def _uses(part: Any, path: tuple[str, ...], entity: str) -> Iterator[_Use]:
    """Everything that a part of a selection reads; `entity` is that of the rows around it."""
    path = (*path, part.response_key) if hasattr(part, "response_key") else path
    to = entity_within(part)
    inner = entity if to is None else to
    found: Iterator[_Use] = chain(
        _own_uses(part, path, inner), *(_uses(each, path, inner) for each in parts_within(part))
    )
    if _is_optional_reference(part):
        found = (replace(use, below=use.below or inner) for use in found)
    yield from found


def _is_optional_reference(part: Any) -> bool:
    """Whether an object that is no row, such as the viewer, refers to a row that need not exist."""
    if not isinstance(part, ToOne):
        return False
    relationship = part.relationship
    return relationship.is_optional and relationship.source not in {None, *ENTITIES}


def parts_within(part: Any) -> Iterator[Any]:
    """The parts of a part."""
    for name in _names_within(type(part)):  # type: ignore[arg-type]
        value = getattr(part, name)
        for within in value if isinstance(value, tuple) else (value,):
            if is_dataclass(within):
                yield within


@cache
def _names_within(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.name != "relationship")


def entity_within(part: Any) -> str | None:
    """The entity of the rows that a part leads to; "" for an object that is no row."""
    match part:
        case ToOne() | Connection() | Through() | Exists() | Measure() if part.relationship:
            return part.relationship.target
        case Selection():
            return part.entity
        case PageInfo() | CountUpTo() | Plain() | Payload():
            return ""
    return None


def _own_uses(part: Any, path: tuple[str, ...], entity: str) -> Iterator[_Use]:
    """What a part reads by itself; `entity` is that of the rows that it leads to."""
    match part:
        case Mutate() | Resolved() if part.needs:
            yield _Use(path, needs=part.needs)
        case Resolved() if entity:
            for name in sorted(part.columns or ()):
                yield _Use(path, entity=entity, column=name)
        case Column() | EnumLookup() | Attribute() if entity:
            yield _Use(path, entity=entity, column=part.name)
        case Measure(column=str(column)) if entity:
            yield _Use(path, entity=entity, column=column)
        case Matches():
            for name in catalog.searched.get(entity, ()):
                yield _Use(path, entity=entity, column=name)
    # Rows of a union, or those with given ids, are not found where they do not exist.
    if not isinstance(part, Selection) and entity_within(part) and entity not in catalog.unions:
        yield _Use(path, entity=entity)
