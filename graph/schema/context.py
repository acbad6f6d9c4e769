"""The context of resolvers: `info.context`."""

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
    """The state of one mutation: its transaction, and its outcome."""

    transaction: Transaction
    outcome: Any = None

    async def once(self, change: Callable[[], Awaitable[Any]]) -> Any:
        """The outcome of the change, which is made at the first call."""
        if self.outcome is None:
            self.outcome = await change()
        return self.outcome


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one operation, with its selections and loaders.

    `plan` has the selection at each path; its arguments are checked. In a mutation each field has a
    context, with its `change`. For an answer in parts, `prefetcher` loads the rows of parts that
    are reached.
    """

    viewer: Viewer
    loaders: Loaders
    plan: Mapping[FieldPath, DataField]
    change: Change | None = None
    prefetcher: Prefetcher | None = None
    # By the identity of the path, which is stored with it: resolvers of a list share a path.
    _known: dict[int, tuple[Any, Any]] = field(default_factory=dict, init=False, repr=False)

    @property
    def transaction(self) -> Transaction:
        """The transaction of the mutation."""
        assert self.change is not None  # noqa: S101  queries have none
        return self.change.transaction

    def selected(self, path: Any) -> Any:
        """The selection at the path of a resolver (`info.path`)."""
        known = self._known.get(id(path))
        if known is None:
            known = self._known[id(path)] = (path, self.plan[field_path(path)])
        return known[1]


Info: TypeAlias = strawberry.Info[Context, None]


def field_path(path: Any) -> FieldPath:
    """The path in the answer, from graphql-core's linked `Path`, without list indexes."""
    steps = []
    while path is not None:
        if path.typename is not None:
            steps.append((path.typename, path.key))
        path = path.prev
    return tuple(reversed(steps))
