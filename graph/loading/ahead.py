"""Rows before they are asked for: all that a document says, one level after the other.

A resolver that has to wait for its row costs a task and a future on every list around it, one for
each element. What declared fields lead to is known before any of them runs. So it is loaded first,
field by field of the document, and resolvers find their rows in the loaders. What a Python resolver
leads to is not known, and is loaded when it is asked for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graph.selection import Aggregates, CountUpTo, Groups, Many, Nodes, One, TotalCount, Variants

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graph.loading.loaders import Loaders
    from graph.loading.rows import Slice
    from graph.selection import Follows, Part, Root, Selection


async def load_ahead(loaders: Loaders, roots: Iterable[Root]) -> None:
    """Load all that these root fields ask for, without a Python resolver between.

    It does not raise what a statement raises: the resolver that asks for its rows does.
    """
    follows = [root for root in roots if isinstance(root, One | Many | Nodes)]
    await asyncio.gather(*(_load(loaders, each, [None]) for each in follows))


async def _load(loaders: Loaders, follows: Follows, sources: Sequence[Any]) -> None:
    """Load what a field leads to from these sources, then all below it."""
    below: list[Any] = []
    match follows:
        case One():
            records = await _loaded([loaders.one(follows, source) for source in sources])
            below += _below(loaders, follows.to, [each for each in records if each is not None])
        case Many():
            slices = await _loaded([loaders.many(follows, source) for source in sources])
            records = [record for slice_ in slices for record in slice_.nodes]
            for selection in follows.rows:
                below += _below(loaders, selection, records)
            below += [_said(loaders, follows, part, slices) for part in follows.parts]
        case Nodes():
            below += _below(loaders, Variants(follows.to), await _loaded(loaders.nodes(follows)))
    await asyncio.gather(*below)


def _below(loaders: Loaders, selection: Selection | Variants, records: list[Any]) -> Iterable[Any]:
    if isinstance(selection, Variants):
        for variant in selection.selections:
            of_noun = [each for each in records if type(each).__name__ == variant.noun]
            yield from _below(loaders, variant, of_noun)
    elif records:
        for field in selection.fields:
            if isinstance(field, One | Many):
                yield _load(loaders, field, records)


async def _said(loaders: Loaders, many: Many, part: Part, slices: Iterable[Slice]) -> None:
    """Load what a part of a connection says of the whole list, if it does."""
    keys = [slice_.key for slice_ in slices]
    match part:
        case TotalCount():
            await _loaded([loaders.count(many, key) for key in keys])
        case CountUpTo():
            await _loaded([loaders.count_up_to(many, part, key) for key in keys])
        case Aggregates():
            await _loaded([loaders.aggregates(many, key) for key in keys])
        case Groups():
            await _loaded([loaders.groups(many, part, key) for key in keys])


async def _loaded(answers: Iterable[Any]) -> list[Any]:
    """The answers of loaders, but for those that failed."""
    found = []
    for answer in answers:
        try:
            found.append(await answer if asyncio.isfuture(answer) else answer)
        except Exception:  # noqa: BLE001, S112  the resolver that asks for it raises it
            continue
    return found
