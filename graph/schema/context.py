"""What a resolver can reach: `info.context`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import strawberry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from graph.database.transaction import Transaction
    from graph.loading.loaders import Loaders
    from graph.loading.prefetch import Prefetcher
    from graph.selection import DataField
    from graph.viewer import Viewer

# Where a field stands in an answer, list indexes left out: (type name, response key) from the root.
FieldPath: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Change:
    """One mutation: the transaction it runs in, and what came of it."""

    transaction: Transaction
    outcome: Any = None

    async def once(self, change: Callable[[], Awaitable[Any]]) -> Any:
        """What the change returned; it is made when nobody has asked before."""
        if self.outcome is None:
            self.outcome = await change()
        return self.outcome


@dataclass(frozen=True, slots=True)
class Context:
    """One per operation. `plan` holds what was selected at each place; it was checked before.

    In a mutation, one for each of its fields, and `change` is that. Where the answer comes in
    parts, `prefetcher` loads the rows of those that are reached.
    """

    viewer: Viewer
    loaders: Loaders
    plan: Mapping[FieldPath, DataField]
    change: Change | None = None
    prefetcher: Prefetcher | None = None
    # By identity of the path, which is kept with it: one may be asked for many times.
    _known: dict[int, tuple[Any, Any]] = field(default_factory=dict, init=False, repr=False)

    @property
    def transaction(self) -> Transaction:
        """The transaction of the mutation."""
        assert self.change is not None  # noqa: S101  queries have none
        return self.change.transaction

    def selected(self, path: Any) -> Any:
        """What was selected at the place that a resolver is called for (`info.path`)."""
        known = self._known.get(id(path))
        if known is None:
            known = self._known[id(path)] = (path, self.plan[field_path(path)])
        return known[1]


Info: TypeAlias = strawberry.Info[Context, None]


def field_path(path: Any) -> FieldPath:
    """The place in the answer of graphql-core's linked `Path`."""
    steps = []
    while path is not None:
        if path.typename is not None:
            steps.append((path.typename, path.key))
        path = path.prev
    return tuple(reversed(steps))
