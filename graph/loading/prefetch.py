"""Loads rows before resolvers need them: all that the document selects, level by level.

A resolver that waits for its row costs a task and a future in every list around it, for each
element. The rows of declared fields are known before any resolver runs. So they are loaded first,
field by field of the document, and resolvers find them in the loaders. Rows below a Python resolver
are not known, and are loaded on request.

An answer in parts has deferred fields, and streamed lists with elements after the initial ones.
Their rows are loaded when the executor reaches their path: for all objects there at once, and one
path after the other, so that the part that is reached first comes first.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from graph.database.catalog import catalog
from graph.selection import (
    Aggregates,
    Connection,
    CountUpTo,
    EdgeList,
    EdgeNode,
    Groups,
    NodeList,
    Nodes,
    ToOne,
    TotalCount,
    Variants,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from graph.loading.loaders import Loaders
    from graph.loading.rows import PageResult
    from graph.selection import ConnectionField, DataField, Root, Selection

    _Load: TypeAlias = Callable[[], Awaitable[None]]

F = TypeVar("F", bound=Any)

# Response keys from the root of the answer, list indexes left out.
KeyPath: TypeAlias = tuple[str, ...]

# Stands below a streamed list for its elements after the first ones; no response key is like it.
REST = "*"


class Prefetcher:
    """Loads the rows of one operation; those of later parts only when the executor reaches them.

    These are the fields at the paths `deferred`, and the elements after the initial ones of
    `streamed`.
    """

    def __init__(
        self,
        loaders: Loaders,
        deferred: Collection[KeyPath] = (),
        streamed: Mapping[KeyPath, int] = MappingProxyType({}),
    ) -> None:
        self._loaders = loaders
        self._deferred = deferred
        self._streamed = streamed
        self._put_off: defaultdict[KeyPath, list[_Load]] = defaultdict(list)
        self._reached: dict[KeyPath, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def load(self, roots: Iterable[Root]) -> None:
        """Load all rows of these root fields, except those below a Python resolver.

        It does not raise the errors of statements: the resolver that requests the rows does.
        """
        loaded = [root for root in roots if isinstance(root, ToOne | Connection | Nodes)]
        await self._each((), loaded, lambda path, root: self._load(path, root, [None]))

    def reach(self, paths: Iterable[KeyPath]) -> Awaitable[Any] | None:
        """An awaitable that ends when all deferred rows at these paths are loaded; or None."""
        loading = [task for path in paths if (task := self._task(path)) and not task.done()]
        # It is shared: cancelling one waiter must not cancel it.
        return asyncio.wait(loading) if loading else None

    async def close(self) -> None:
        """Stop all loading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _task(self, path: KeyPath) -> asyncio.Task[None] | None:
        if path in self._put_off:
            # Once more, where what was reached before has put off more of the same.
            task = asyncio.create_task(self._catch_up(self._put_off.pop(path)))
            self._reached[path] = task
            self._tasks.add(task)
        return self._reached.get(path)

    async def _catch_up(self, put_off: list[_Load]) -> None:
        async with self._turn:
            await asyncio.gather(*(load() for load in put_off))

    async def _each(
        self,
        path: KeyPath,
        fields: Iterable[F],
        load: Callable[[KeyPath, F], Awaitable[None]],
    ) -> None:
        """Load the rows of each of these fields; those of deferred fields when they are reached."""
        now = []
        for field in fields:
            at = (*path, field.response_key)
            if at in self._deferred:
                self._put_off[at].append(partial(load, at, field))
            else:
                now.append(load(at, field))
        await asyncio.gather(*now)

    async def _load(self, path: KeyPath, follows: DataField, sources: Sequence[Any]) -> None:
        """Load the rows of a field for these sources, then all below it."""
        loaders = self._loaders
        match follows:
            case ToOne():
                records = await loaders.ones(follows, sources)
                await self._below(path, follows.selection, records)
            case Connection():
                results = await loaders.pages(follows, sources)
                await self._each(
                    path, follows.fields, lambda at, part: self._part(at, follows, part, results)
                )
            case Nodes():
                records = await _loaded(loaders.nodes(follows))
                await self._list(
                    path, [records], partial(self._below, path, Variants(follows.selections))
                )

    async def _part(
        self, path: KeyPath, many: Connection, part: ConnectionField, results: list[PageResult]
    ) -> None:
        """Load one field of a connection: its elements, or a value of the whole list."""
        lists, keys = [result.nodes for result in results], [result.key for result in results]
        match part:
            case NodeList():
                await self._list(path, lists, partial(self._below, path, part.selection))
            case EdgeList():
                await self._list(path, lists, partial(self._edges, path, part))
            case TotalCount():
                await _loaded([self._loaders.count(many, key) for key in keys])
            case CountUpTo():
                await _loaded([self._loaders.count_up_to(many, part, key) for key in keys])
            case Aggregates():
                await _loaded([self._loaders.aggregates(many, key) for key in keys])
            case Groups():
                await _loaded([self._loaders.groups(many, part, key) for key in keys])

    async def _list(
        self, path: KeyPath, lists: list[list[Any]], load: Callable[[list[Any]], Awaitable[None]]
    ) -> None:
        """Load the selection of the elements of lists; of a streamed list only the initial ones."""
        first = self._streamed.get(path)
        if first is not None:
            rest = [each for elements in lists for each in elements[first:]]
            self._put_off[*path, REST].append(partial(load, rest))
        await load([each for elements in lists for each in elements[:first]])

    async def _edges(self, path: KeyPath, part: EdgeList, records: list[Any]) -> None:
        nodes = [field for field in part.fields if isinstance(field, EdgeNode)]
        await self._each(path, nodes, lambda at, node: self._below(at, node.selection, records))

    async def _below(
        self, path: KeyPath, selection: Selection | Variants, records: list[Any]
    ) -> None:
        if isinstance(selection, Variants):
            for variant in selection.selections:
                of_noun = [each for each in records if type(each).__name__ == variant.entity]
                await self._below(path, variant, of_noun)
        elif records:
            followed = [
                field for field in selection.fields if isinstance(field, ToOne | Connection)
            ]
            await self._each(path, followed, lambda at, field: self._load(at, field, records))


def need_one_statement(fields: Collection[DataField]) -> bool:
    """Whether they are one row, or one page without counts: their rows are of one statement."""
    if len(fields) != 1:
        return False
    (selected,) = fields
    if isinstance(selected, ToOne):
        return True
    if not isinstance(selected, Connection) or selected.relationship.target in catalog.unions:
        return False
    return not any(isinstance(part, TotalCount) for part in selected.fields)


async def _loaded(answers: Iterable[Any]) -> list[Any]:
    """The results of loaders, without those that failed."""
    found = []
    for answer in answers:
        try:
            found.append(await answer if asyncio.isfuture(answer) else answer)
        except Exception:  # noqa: BLE001, S112  the resolver that asks for it raises it
            continue
    return found
