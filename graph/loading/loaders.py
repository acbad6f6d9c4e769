"""Loaders: one for each edge (and page) that an operation asks for.

A loader is a `DataLoader` whose batch is one statement: all keys of a level in, their rows out. It
is known by its edge and page, not by the field that asks: two fields that follow one edge in the
same way share a loader, so the same rows by the same key are loaded once, with the columns that
either of them needs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from strawberry.dataloader import DataLoader

from graph.database import edges, reads
from graph.database.search import FOUND
from graph.loading.levels import Levels
from graph.loading.rows import Counted, FoundRow, Slice
from graph.selection import (
    Aggregates,
    Groups,
    Many,
    Nodes,
    One,
    Page,
    Selection,
    Variants,
    terms_of,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Iterable, Mapping, Sequence

    from graph.database.engine import ReadSession, Row
    from graph.database.transaction import Transaction
    from graph.selection import (
        CountUpTo,
        Edge,
        Follows,
        Grouping,
        Ids,
        Key,
        Limit,
        Term,
        Value,
    )

T = TypeVar("T")


@dataclass(slots=True)
class _Wanted:
    """What all fields that share a loader want of its rows."""

    columns: set[str] = field(default_factory=set)
    one_more: bool = False  # to tell whether the list goes on
    other_side: bool = False  # to tell whether it had begun before
    cursors: bool = False
    terms: dict[Term, None] = field(default_factory=dict)


class Loaders:
    """The loaders of one operation: they keep what they have loaded, and its one snapshot.

    `types` makes the records: a record is an instance of its noun's type that has just the columns
    that were asked for. What is loaded is answered at once; a future stands for the rest.
    """

    def __init__(
        self,
        session: ReadSession | Transaction,
        fields: Iterable[Follows],
        values: Sequence[Value],
        types: Mapping[str, type],
    ) -> None:
        self._session = session
        self._values = values
        self._types = types
        self._levels = Levels()
        self._loaders: dict[Any, DataLoader[Any, Any]] = {}
        self._wanted: defaultdict[Any, _Wanted] = defaultdict(_Wanted)
        for follows in fields:
            self._note(follows)

    def one(self, one: One, source: Any) -> Any:
        """The record that an edge leads to from a source row, or that a look-up names; or None."""
        if one.place is None:
            key = getattr(source, one.edge.source_column or "id")
        else:
            key = cast("Key", self._values[one.place]).value
        return _loaded(self._row(one.edge), key)

    def nodes(self, nodes: Nodes) -> list[Any]:
        """The record, or None, of each global id."""
        ids = cast("Ids", self._values[nodes.place])
        return [_loaded(self._row(edges.lookup(noun, "id")), key) for noun, key in ids.keys]

    def node(self, noun: str, key: int) -> Awaitable[Any]:
        """The record of a noun's row that a resolver names; or None."""
        return self._row(edges.lookup(noun, "id")).load(key)

    def many(self, many: Many, source: Any) -> Slice | Awaitable[Slice]:
        """The page of a source's edge; without its rows, at once, where only a count is asked."""
        column = many.edge.source_column
        key = reads.ROOT_KEY if column is None else getattr(source, column)
        if not many.needs_rows:
            return Slice(key=key)
        return _loaded(self._page(many.edge, self._page_at(many.place)), key)

    def count(self, many: Many, key: int) -> int | Awaitable[int]:
        """How many rows an edge leads to from the source with this key, on all pages."""
        identity, page = self._list(many, "count"), self._page_at(many.place)
        return _loaded(self._loader(identity, partial(self._counts, many.edge, page)), key)

    def count_up_to(self, many: Many, asked: CountUpTo, key: int) -> Counted | Awaitable[Counted]:
        """The same, but no further than the limit that was asked for."""
        limit = cast("Limit", self._values[asked.place]).size
        identity, page = self._list(many, limit), self._page_at(many.place)
        batch = partial(self._counts_up_to, many.edge, page, limit)
        return _loaded(self._loader(identity, batch), key)

    def aggregates(self, many: Many, key: int) -> Any:
        """The measures of all rows that an edge leads to from the source with this key."""
        identity, page = self._list(many, "aggregates"), self._page_at(many.place)
        terms = tuple(self._wanted[identity].terms)
        return _loaded(self._loader(identity, partial(self._measures, many.edge, page, terms)), key)

    def groups(self, many: Many, asked: Groups, key: int) -> Any:
        """The groups of these rows, in order: their keys and their measures."""
        grouping = cast("Grouping", self._values[asked.place])
        identity, page = self._list(many, grouping), self._page_at(many.place)
        terms = tuple(self._wanted[identity].terms)
        batch = partial(self._groups, many.edge, page, grouping, terms)
        return _loaded(self._loader(identity, batch), key)

    async def close(self) -> None:
        """Stop what still loads, and let go of all rows: nothing else may hold them."""
        await self._levels.close()
        self._loaders.clear()

    def _note(self, follows: Follows) -> None:
        match follows:
            case One():
                self._wanted[_row_identity(follows.edge)].columns |= columns_of(follows.to)
            case Nodes():
                self._note_variants(Variants(follows.to))
            case Many():
                wanted = self._wanted[follows.edge, self._page_at(follows.place)]
                wanted.columns |= Variants(()).columns if follows.edge.target == FOUND else set()
                for rows in follows.rows:
                    wanted.columns |= columns_of(rows)
                    self._note_variants(rows)
                wanted.one_more |= follows.wants_more
                wanted.other_side |= follows.wants_other_side
                wanted.cursors |= follows.wants_cursors
                self._note_terms(follows)

    def _note_variants(self, rows: Selection | Variants) -> None:
        for selection in rows.selections if isinstance(rows, Variants) else ():
            identity = _row_identity(edges.lookup(selection.noun, "id"))
            self._wanted[identity].columns |= columns_of(selection)

    def _note_terms(self, many: Many) -> None:
        for part in many.parts:
            match part:
                case Aggregates():
                    identity = self._list(many, "aggregates")
                case Groups():
                    identity = self._list(many, self._values[part.place])
                case _:
                    continue
            self._wanted[identity].terms |= dict.fromkeys(terms_of(part.fields))

    def _page_at(self, place: int) -> Page:
        return cast("Page", self._values[place])

    def _list(self, many: Many, what: Any) -> Any:
        """The identity of what is said of a whole list, whatever its page."""
        page = self._page_at(many.place)
        return what, many.edge, page.where, page.operands

    def _row(self, edge: Edge) -> DataLoader[Any, Any]:
        return self._loader(_row_identity(edge), partial(self._rows, edge))

    def _page(self, edge: Edge, page: Page) -> DataLoader[int, Slice]:
        return self._loader((edge, page), partial(self._slices, edge, page))

    def _loader(self, identity: Any, batch: Any) -> DataLoader[Any, Any]:
        """The operation's loader of this identity; its batches run with their level."""
        loader = self._loaders.get(identity)
        if loader is None:
            levels = self._levels

            async def load(keys: list[Any]) -> Sequence[Any]:
                return await levels.run(partial(batch, keys))

            loader = self._loaders[identity] = DataLoader(load_fn=load)
        return loader

    async def _rows(self, edge: Edge, keys: list[Any]) -> list[Any]:
        columns = frozenset(self._wanted[_row_identity(edge)].columns)
        by_text = isinstance(keys[0], str)
        statement = (reads.rows_by_text if by_text else reads.rows_by_key)(edge, columns)
        rows = await self._session.rows(statement, {"keys": keys})
        found = {row.key: record for row, record in self._records(edge.target, rows)}
        return [found.get(key) for key in keys]

    async def _slices(self, edge: Edge, page: Page, keys: list[int]) -> list[Slice]:
        wanted = self._wanted[edge, page]
        statement = reads.pages(
            edge,
            page.shape,
            frozenset(wanted.columns),
            one_more=wanted.one_more,
            other_side=wanted.other_side,
            cursors=wanted.cursors,
        )
        rows = await self._session.rows(statement, {"keys": keys} | parameters_of(page))
        records: dict[int, list[Any]] = {key: [] for key in keys}
        other_side = {row.key: row.other_side for row in rows} if wanted.other_side else {}
        for row, record in self._records(edge.target, rows):
            records[row.key].append(record)
        if edge.target == FOUND:
            records = {key: await self._found(records[key]) for key in keys}
        return [
            Slice.cut(key, page, records[key], other_side=other_side.get(key, False))
            for key in keys
        ]

    async def _found(self, found: list[Any]) -> list[Any]:
        """The records of what a search found: one more statement for each noun among it."""
        records: dict[tuple[str, int], Any] = {}
        for noun in {each.noun for each in found}:
            keys = [each.id for each in found if each.noun == noun]
            rows = await self._rows(edges.lookup(noun, "id"), keys)
            records |= {(noun, record.id): record for record in rows}
        for each in found:
            records[each.noun, each.id].__dict__["cursor"] = getattr(each, "cursor", None)
        return [records[each.noun, each.id] for each in found]

    async def _counts(self, edge: Edge, page: Page, keys: list[int]) -> list[int]:
        statement = reads.counts(edge, page.where)
        return [row.total for row in await self._lists(statement, page, keys)]

    async def _counts_up_to(
        self, edge: Edge, page: Page, limit: int, keys: list[int]
    ) -> list[Counted]:
        statement = reads.counts_up_to(edge, page.where)
        rows = await self._lists(statement, page, keys, limit=limit)
        return [Counted.up_to(limit, row.total) for row in rows]

    async def _measures(
        self, edge: Edge, page: Page, terms: tuple[Term, ...], keys: list[int]
    ) -> list[Mapping[Term, Any]]:
        rows = await self._lists(reads.aggregates(edge, page.where, terms), page, keys)
        return [_values(terms, row) for row in rows]

    async def _groups(
        self,
        edge: Edge,
        page: Page,
        grouping: Grouping,
        terms: tuple[Term, ...],
        keys: list[int],
    ) -> list[list[Mapping[Term, Any]]]:
        statement = reads.groups(edge, page.where, grouping.shape, terms)
        parameters = {"keys": keys} | parameters_of(page) | parameters_of(grouping, "g.")
        found: defaultdict[int, list[Mapping[Term, Any]]] = defaultdict(list)
        for row in await self._session.rows(statement, parameters):
            found[row.key].append(_values(terms, row))
        return [found[key] for key in keys]

    async def _lists(
        self, statement: Any, page: Page, keys: list[int], **parameters: Any
    ) -> list[Row]:
        """The one row of each key."""
        parameters = {"keys": keys} | parameters_of(page) | parameters
        found = {row.key: row for row in await self._session.rows(statement, parameters)}
        return [found[key] for key in keys]

    def _records(self, noun: str, rows: Sequence[Row]) -> Iterable[tuple[Row, Any]]:
        type_ = self._types.get(noun, FoundRow)
        names = rows[0]._fields if rows else ()
        for row in rows:
            if row.id is not None:  # a parent without rows, see `reads.pages`
                record: Any = object.__new__(type_)
                record.__dict__.update(zip(names, row, strict=True))
                yield row, record


def columns_of(selection: Selection | Variants) -> frozenset[str]:
    """The columns a selection reads: all of them where a Python resolver is among its fields."""
    if isinstance(selection, Selection) and selection.has_resolved:
        return frozenset(reads.all_columns(selection.noun))
    return selection.columns


def _loaded(loader: DataLoader[Any, T], key: Any) -> T | Awaitable[T]:
    """What the loader has for a key; if it has yet to load it, a future."""
    future = cast("asyncio.Future[T]", loader.load(key))
    return future.result() if future.done() else future


def _row_identity(edge: Edge) -> Any:
    """To-one edges and look-ups that read the same column of a noun share a loader."""
    return edge.target, edge.target_column


def parameters_of(value: Page | Grouping, prefix: str = "") -> dict[str, Any]:
    """The parameters of statements that this page, or grouping, is part of."""
    named = {"limit": value.size} | {f"o{nth}": each for nth, each in enumerate(value.operands)}
    if isinstance(value, Page):
        named["offset"] = value.offset
        for name, cursor in (("after", value.after), ("before", value.before)):
            named |= {f"{name}{nth}": each for nth, each in enumerate(cursor or ())}
    return {prefix + name: each for name, each in named.items()}


def _values(terms: tuple[Term, ...], row: Row) -> dict[Term, Any]:
    return {term: getattr(row, f"t{nth}") for nth, term in enumerate(terms)}
