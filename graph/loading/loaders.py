"""The loaders of an operation: one for each relationship and page.

A loader is a DataLoader whose batch is one statement: all keys of a level in, their rows out. It
is identified by its relationship and page, not by the field. Two fields that select the same
relationship and page share a loader, so that rows are loaded once, with the columns of both.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from graph.database import reads, relationships
from graph.database.catalog import catalog
from graph.loading.levels import LevelScheduler
from graph.loading.row_loader import RowLoader
from graph.loading.rows import Counted, FoundRow, PageResult
from graph.selection import (
    Aggregates,
    Connection,
    Groups,
    Nodes,
    Page,
    Selection,
    ToOne,
    Variants,
    terms_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping, Sequence

    from graph.database.engine import ReadSession, Row
    from graph.database.transaction import LoadingTransaction
    from graph.database.worlds import World
    from graph.relay import RowKey
    from graph.selection import (
        CountUpTo,
        DataField,
        Grouping,
        Ids,
        Key,
        Limit,
        Relationship,
        Term,
        Value,
    )


@dataclass(slots=True)
class _Wanted:
    """The combined requirements of all fields that share a loader."""

    columns: set[str] = field(default_factory=set)
    one_more: bool = False  # to tell whether the list goes on
    other_side: bool = False  # to tell whether it had begun before
    cursors: bool = False
    terms: dict[Term, None] = field(default_factory=dict)


class Loaders:
    """The loaders of one operation, with their rows, on its one snapshot.

    `types` are the types of records: a record is an instance of its entity's type with only the
    selected columns. Loaded rows are returned directly, others as a future.
    """

    def __init__(
        self,
        session: ReadSession | LoadingTransaction,
        fields: Iterable[DataField],
        values: Sequence[Value],
        types: Mapping[str, type],
    ) -> None:
        self._session = session
        self._values = values
        self._types = types
        self._levels = LevelScheduler()
        self._loaders: dict[Any, RowLoader[Any, Any]] = {}
        # By the identity of the field, which is stored with it: equal ones take long to compare.
        self._known: dict[int, tuple[DataField, RowLoader[Any, Any] | None]] = {}
        self._wanted: defaultdict[Any, _Wanted] = defaultdict(_Wanted)
        for follows in fields:
            self._note(follows)

    def one(self, one: ToOne, source: Any) -> Any:
        """The record of a to-one relationship or a look-up; None if there is none."""
        key = self._key_of_one(one, source)
        return None if key is None else self._loader_of(one).value(key)

    async def ones(self, one: ToOne, sources: Iterable[Any]) -> list[Any]:
        """The records of all sources, each once; `one` has them from now on."""
        keys = [self._key_of_one(one, source) for source in sources]
        records = await self._loader_of(one).values_of(key for key in keys if key is not None)
        return [record for record in records if record is not None]

    def nodes(self, nodes: Nodes) -> list[Any]:
        """The record, or None, of each global id; an error for one that is malformed."""
        ids = cast("Ids", self._values[nodes.argument_index])
        problems = dict(ids.problems)
        return [
            problems[index]
            if index in problems
            else self._row(relationships.lookup(entity, "id")).value(key)
            for index, (entity, key) in enumerate(ids.keys)
        ]

    def node(self, entity: str, key: RowKey) -> Awaitable[Any]:
        """The record of an entity's row that a resolver refers to; or None."""
        return self._row(relationships.lookup(entity, "id")).load(key)

    def many(self, many: Connection, source: Any) -> PageResult | Awaitable[PageResult]:
        """The page of a source's relationship; without rows if only counts are selected."""
        key = self._key_of_many(many, source)
        loader = self._loader_of(many)
        return PageResult(key=key) if loader is None else loader.value(key)

    async def pages(self, many: Connection, sources: Iterable[Any]) -> list[PageResult]:
        """The pages of all sources, each once; `many` has them from now on."""
        keys = [self._key_of_many(many, source) for source in sources]
        loader: RowLoader[RowKey, PageResult] | None = self._loader_of(many)
        if loader is None:
            return [PageResult(key=key) for key in keys]
        return await loader.values_of(keys)

    def count(self, many: Connection, key: RowKey) -> int | Awaitable[int]:
        """The number of rows of a relationship for the source with this key, on all pages."""
        identity, page = self._list(many, "count"), self._page_at(many.argument_index)
        batch = partial(self._counts, many.relationship, page)
        return self._loader(identity, batch).value(key)

    def count_up_to(
        self, many: Connection, selected: CountUpTo, key: RowKey
    ) -> Counted | Awaitable[Counted]:
        """As `count`, but counting stops at the selected limit."""
        limit = cast("Limit", self._values[selected.argument_index]).size
        identity, page = self._list(many, limit), self._page_at(many.argument_index)
        batch = partial(self._counts_up_to, many.relationship, page, limit)
        return self._loader(identity, batch).value(key)

    def aggregates(self, many: Connection, key: RowKey) -> Any:
        """The measures of all rows of a relationship for the source with this key."""
        identity, page = self._list(many, "aggregates"), self._page_at(many.argument_index)
        terms = tuple(self._wanted[identity].terms)
        batch = partial(self._measures, many.relationship, page, terms)
        return self._loader(identity, batch).value(key)

    def groups(self, many: Connection, selected: Groups, key: RowKey) -> Any:
        """The groups of these rows, in order: their keys and measures."""
        grouping = cast("Grouping", self._values[selected.argument_index])
        identity, page = self._list(many, grouping), self._page_at(many.argument_index)
        terms = tuple(self._wanted[identity].terms)
        batch = partial(self._groups, many.relationship, page, grouping, terms)
        return self._loader(identity, batch).value(key)

    async def close(self) -> None:
        """Stop all loading, and release all rows."""
        await self._levels.close()
        self._loaders.clear()
        self._known.clear()

    def _note(self, follows: DataField) -> None:
        match follows:
            case ToOne():
                self._wanted[_row_identity(follows.relationship)].columns |= columns_of(
                    follows.selection, self._session.world
                )
            case Nodes():
                self._note_variants(Variants(follows.selections))
            case Connection():
                wanted = self._wanted[follows.relationship, self._page_at(follows.argument_index)]
                if follows.relationship.target in catalog.unions:
                    wanted.columns |= Variants(()).columns
                for rows in follows.rows:
                    wanted.columns |= columns_of(rows, self._session.world)
                    self._note_variants(rows)
                wanted.one_more |= follows.wants_more
                wanted.other_side |= follows.wants_other_side
                wanted.cursors |= follows.wants_cursors
                self._note_terms(follows)

    def _note_variants(self, rows: Selection | Variants) -> None:
        for selection in rows.selections if isinstance(rows, Variants) else ():
            identity = _row_identity(relationships.lookup(selection.entity, "id"))
            self._wanted[identity].columns |= columns_of(selection, self._session.world)

    def _note_terms(self, many: Connection) -> None:
        for part in many.fields:
            match part:
                case Aggregates():
                    identity = self._list(many, "aggregates")
                case Groups():
                    identity = self._list(many, self._values[part.argument_index])
                case _:
                    continue
            self._wanted[identity].terms |= dict.fromkeys(terms_of(part.fields))

    def _page_at(self, argument_index: int) -> Page:
        return cast("Page", self._values[argument_index])

    def _list(self, many: Connection, what: Any) -> Any:
        """The identity of a whole list, independent of its page."""
        page = self._page_at(many.argument_index)
        return what, many.relationship, page.where, page.operands

    def _key_of_one(self, one: ToOne, source: Any) -> Any:
        if one.argument_index is None:
            return getattr(source, one.relationship.source_column or "id")
        return cast("Key", self._values[one.argument_index]).value

    def _key_of_many(self, many: Connection, source: Any) -> Any:
        column = many.relationship.source_column
        return reads.ROOT_KEY if column is None else getattr(source, column)

    def _loader_of(self, follows: ToOne | Connection) -> Any:
        """The loader of a field's rows; None for a connection that needs none."""
        known = self._known.get(id(follows))
        if known is None:
            loader = None
            if isinstance(follows, ToOne):
                loader = self._row(follows.relationship)
            elif follows.needs_rows:
                loader = self._page(follows.relationship, self._page_at(follows.argument_index))
            known = self._known[id(follows)] = (follows, loader)
        return known[1]

    def _row(self, relationship: Relationship) -> RowLoader[Any, Any]:
        return self._loader(_row_identity(relationship), partial(self._rows, relationship))

    def _page(self, relationship: Relationship, page: Page) -> RowLoader[RowKey, PageResult]:
        return self._loader((relationship, page), partial(self._slices, relationship, page))

    def _loader(self, identity: Any, batch: Any) -> RowLoader[Any, Any]:
        """The operation's loader of this identity."""
        loader = self._loaders.get(identity)
        if loader is None:
            loader = self._loaders[identity] = RowLoader(self._levels, batch)
        return loader

    async def _rows(self, relationship: Relationship, keys: list[Any]) -> list[Any]:
        columns = frozenset(self._wanted[_row_identity(relationship)].columns)
        by_text = reads.is_by_text(relationship)
        statement = (reads.rows_by_text if by_text else reads.rows_by_key)(relationship, columns)
        rows = await self._session.rows(statement, {"keys": keys})
        found = {row.key: record for row, record in self._records(relationship.target, rows)}
        return [found.get(key) for key in keys]

    async def _slices(
        self, relationship: Relationship, page: Page, keys: list[RowKey]
    ) -> list[PageResult]:
        wanted = self._wanted[relationship, page]
        statement = reads.pages(
            relationship,
            page.shape,
            frozenset(wanted.columns),
            one_more=wanted.one_more,
            other_side=wanted.other_side,
            cursors=wanted.cursors,
        )
        rows = await self._session.rows(statement, {"keys": keys} | parameters_of(page))
        records: dict[RowKey, list[Any]] = {key: [] for key in keys}
        other_side = {row.key: row.other_side for row in rows} if wanted.other_side else {}
        for row, record in self._records(relationship.target, rows):
            records[row.key].append(record)
        if relationship.target in catalog.unions:
            records = {key: await self._found(records[key]) for key in keys}
        return [
            PageResult.cut(key, page, records[key], other_side=other_side.get(key, False))
            for key in keys
        ]

    async def _found(self, found: list[Any]) -> list[Any]:
        """The records of a search: one more statement for each entity among the results."""
        records: dict[tuple[str, str], Any] = {}
        for entity in {each.entity for each in found}:
            keys = [reads.stored_key(entity, each.id) for each in found if each.entity == entity]
            rows = await self._rows(relationships.lookup(entity, "id"), keys)
            records |= {(entity, str(record.id)): record for record in rows}
        for each in found:
            records[each.entity, str(each.id)].__dict__["cursor"] = getattr(each, "cursor", None)
        return [records[each.entity, str(each.id)] for each in found]

    async def _counts(
        self, relationship: Relationship, page: Page, keys: list[RowKey]
    ) -> list[int]:
        statement = reads.counts(relationship, page.where)
        return [row.total for row in await self._lists(statement, page, keys)]

    async def _counts_up_to(
        self, relationship: Relationship, page: Page, limit: int, keys: list[RowKey]
    ) -> list[Counted]:
        statement = reads.counts_up_to(relationship, page.where)
        rows = await self._lists(statement, page, keys, limit=limit)
        return [Counted.up_to(limit, row.total) for row in rows]

    async def _measures(
        self, relationship: Relationship, page: Page, terms: tuple[Term, ...], keys: list[RowKey]
    ) -> list[Mapping[Term, Any]]:
        rows = await self._lists(reads.aggregates(relationship, page.where, terms), page, keys)
        return [_values(terms, row) for row in rows]

    async def _groups(
        self,
        relationship: Relationship,
        page: Page,
        grouping: Grouping,
        terms: tuple[Term, ...],
        keys: list[RowKey],
    ) -> list[list[Mapping[Term, Any]]]:
        statement = reads.groups(relationship, page.where, grouping.shape, terms)
        parameters = {"keys": keys} | parameters_of(page) | parameters_of(grouping, "g.")
        found: defaultdict[RowKey, list[Mapping[Term, Any]]] = defaultdict(list)
        for row in await self._session.rows(statement, parameters):
            found[row.key].append(_values(terms, row))
        return [found[key] for key in keys]

    async def _lists(
        self, statement: Any, page: Page, keys: list[RowKey], **parameters: Any
    ) -> list[Row]:
        """The only row of each key."""
        parameters = {"keys": keys} | parameters_of(page) | parameters
        found = {row.key: row for row in await self._session.rows(statement, parameters)}
        return [found[key] for key in keys]

    def _records(self, entity: str, rows: Sequence[Row]) -> Iterable[tuple[Row, Any]]:
        type_ = self._types.get(entity, FoundRow)
        names = rows[0]._fields if rows else ()
        for row in rows:
            if row.id is not None:  # a parent without rows, see `reads.pages`
                record: Any = object.__new__(type_)
                record.__dict__.update(zip(names, row, strict=True))
                yield row, record


def columns_of(selection: Selection | Variants, world: World) -> frozenset[str]:
    """The columns of a selection; all that the world has if a Python resolver may read any."""
    if isinstance(selection, Selection) and selection.reads_any_column:
        entity = selection.entity
        return frozenset(
            name for name in reads.all_columns(entity) if not world.hides(entity, name)
        )
    return selection.columns


def _row_identity(relationship: Relationship) -> Any:
    """The identity of to-one relationships and look-ups; those by the same column are equal."""
    by_text = reads.is_by_text(relationship)
    return relationship.target, relationship.target_column, by_text


def parameters_of(value: Page | Grouping, prefix: str = "") -> dict[str, Any]:
    """The parameters of a page or grouping for its statements."""
    named = {"limit": value.size} | {f"o{nth}": each for nth, each in enumerate(value.operands)}
    named["offset"] = value.offset
    if isinstance(value, Page):
        for name, cursor in (("after", value.after), ("before", value.before)):
            named |= {f"{name}{nth}": each for nth, each in enumerate(cursor or ())}
    return {prefix + name: each for name, each in named.items()}


def _values(terms: tuple[Term, ...], row: Row) -> dict[Term, Any]:
    return {term: getattr(row, f"t{nth}") for nth, term in enumerate(terms)}
