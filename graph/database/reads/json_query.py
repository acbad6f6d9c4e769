"""The JSON text of a whole tree: one statement per operation, one column per root field.

PostgreSQL pages, joins and encodes; its result is the answer. The SQL of pages, look-ups and counts
is the same as the loaders' (`columns`, `expressions`, `lists`); this module adds the text around
it:

    an object              '{"a":'||...||',"b":'||...||'}'
    a to-one relationship  a scalar sub-select: it cannot become a join that loses the rows' order
    a connection           see `connections`

The rows of a level are an alias, r0, r1, ..., with the plain columns that the level needs. Text is
built above the page, so that rows beyond a LIMIT are not encoded. An inner level refers to its
parent's key as the text `r0.id`, so that SQLAlchemy has nothing to correlate: it would add the
parent to the FROM of a page inside a FROM, which gives wrong rows.

A NULL in `||` would make the whole answer NULL, so every nullable value is coalesced.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, String, cast, select
from sqlalchemy import literal_column as raw_sql

from graph.database.reads import columns
from graph.database.reads.connections import ConnectionWriter
from graph.database.reads.parameters import binder
from graph.database.reads.parts import Part, joined
from graph.database.reads.placeholders import placeholder
from graph.database.reads.sql_fragments import (
    Expression,
    Json,
    Sql,
    SqlText,
    concatenated,
    global_id_of,
    json_of,
    named,
    object_of,
    separated,
)
from graph.database.worlds import EVERYTHING, NotChanged, after
from graph.errors import AnswerTooLarge
from graph.selection import (
    Column,
    Connection,
    EnumLookup,
    GlobalId,
    Nodes,
    Resolved,
    Selection,
    ToOne,
    Typename,
    Variants,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Select

    from graph.database.reads.parts import Place
    from graph.database.worlds import World
    from graph.selection import DataField, Relationship, Value


@dataclass(slots=True)
class JsonStatement:
    """A statement.

    `sql` returns one row with the JSON text of each root field as bytes, in order.
    """

    sql: str
    # None for the key of the viewer's own row.
    _binders: tuple[Callable[[Sequence[Value]], Any] | None, ...]
    # A plan for any values can take a thousand times as long as one for those that are given.
    needs_values: bool = False
    runs: int = 0
    _on_replica: JsonStatement | None = None

    @property
    def on_replica(self) -> JsonStatement:
        """The same for a replica, with one parameter more: see `graph.database.replicas`."""
        if self._on_replica is None:
            check = f"\nWHERE ${len(self._binders) + 1}::replayed IS NULL OR true"
            self._on_replica = JsonStatement(self.sql + check, self._binders, self.needs_values)
        return self._on_replica

    def parameters(self, values: Sequence[Value], own: Any = None) -> list[Any]:
        """The positional parameters for these values of the operation's arguments.

        `own` is the key of the viewer's own row.
        """
        return [own if bind is None else bind(values) for bind in self._binders]


class JsonQuery:
    """Root fields that one statement answers, in each world.

    It is compiled once the server's version is known.
    """

    def __init__(self, roots: tuple[DataField, ...]) -> None:
        self._roots = roots
        self._statements: dict[World, JsonStatement] = {}
        self._after_changes: dict[World, JsonStatement | None] = {}

    def compiled(self, world: World) -> JsonStatement | None:
        """The statement of a world, if it was compiled before."""
        return self._statements.get(world)

    def statement(
        self, json_function: str, world: World, max_bytes: int | None = None
    ) -> JsonStatement:
        statement = self._statements.get(world)
        if statement is None:
            statement = json_statement(self._roots, json_function, world, max_bytes)
            self._statements[world] = statement
        return statement

    def statement_after(
        self, rows: tuple[tuple[str, str], ...], json_function: str, world: World, max_bytes: int
    ) -> JsonStatement:
        """The statement as a part of one that makes a change, whose rows are in these queries.

        Each root is the one row of its entity there. A larger answer is an error.

        Raises:
            NotChanged: it reads other rows.
        """
        changed = after(world, rows)
        if changed not in self._after_changes:
            try:
                statement = json_statement(self._roots, json_function, changed, max_bytes)
            except NotChanged:
                statement = None
            self._after_changes[changed] = statement
        found = self._after_changes[changed]
        if found is None:
            raise NotChanged
        return found


@lru_cache(maxsize=1024)
def json_statement(
    roots: tuple[DataField, ...],
    json_function: str,
    world: World = EVERYTHING,
    max_bytes: int | None = None,
) -> JsonStatement:
    """The statement that answers these root fields.

    `json_function` turns a scalar into JSON: `json_scalar`, or `to_json` before PostgreSQL 17. With
    `max_bytes` the size of all texts is one more column, and the texts of a larger answer are NULL:
    they do not leave PostgreSQL.
    """
    writer = RowWriter(json_function, world)
    texts = [concatenated(writer.root(root)) for root in roots]
    if max_bytes is None:
        statement = _encoded(texts)
    else:
        statement = _bounded(texts, max_bytes, fails=world.changed is not None)
    sql, parameters = joined(statement, world)
    return JsonStatement(sql, tuple(map(binder, parameters)), writer.looks_across)


def _encoded(texts: Sequence[Sql]) -> Sql:
    columns = [("textsend(", *text, f") AS root{nth}") for nth, text in enumerate(texts)]
    return ("SELECT ", *separated(columns))


def _bounded(texts: Sequence[Sql], max_bytes: int, *, fails: bool) -> Sql:
    """The texts, computed once and measured. With `fails` those of a larger answer are an error."""
    size = "+".join(f"octet_length(made.text{nth})::bigint" for nth in range(len(texts)))
    bounded = [
        f"CASE WHEN {size}<={max_bytes} THEN textsend(made.text{nth}) END AS root{nth}, "
        for nth in range(len(texts))
    ]
    if fails:
        size = f"CASE WHEN {size}<={max_bytes} THEN {size} ELSE ({size}||' bytes')::bigint END"
    columns = [(*text, f" AS text{nth}") for nth, text in enumerate(texts)]
    # OFFSET 0: else each use of a text would compute it again.
    made = (" \nFROM (SELECT ", *separated(columns), "\n LIMIT ALL OFFSET 0) AS made")
    return ("SELECT ", *bounded, size, " AS size", *made)


def check_size(columns: Sequence[Any], max_bytes: int) -> Sequence[bytes]:
    """The columns of a statement with `max_bytes`, without their size.

    Raises:
        AnswerTooLarge: they are larger together.
    """
    *texts, size = columns
    if size is not None and size > max_bytes:
        raise AnswerTooLarge(max_bytes)
    return texts


class RowWriter:
    """Writes the JSON of rows and of all selections below them.

    Each level has an alias of its own.
    """

    def __init__(self, json_function: str, world: World) -> None:
        self.json_function = json_function
        self._world = world
        self.aliases = (f"r{number}" for number in count())
        # Whether the filter of a list looks at rows of other tables.
        self.looks_across = False

    def root(self, root: DataField) -> SqlText:
        match root:
            case ToOne():
                return self._lookup(root)
            case Connection():
                return ConnectionWriter(self, root, parent="").text()
            case Nodes():
                return self._nodes(root)
        raise NotImplementedError(root)

    def row(self, selection: Selection | Variants, alias: str) -> SqlText:
        """The JSON text of one row, whose columns belong to the alias."""
        if isinstance(selection, Variants):
            return [self._by_entity(selection, alias, "id")]
        entity = selection.entity
        return object_of(
            (field.response_key, self._field(entity, field, alias)) for field in selection.fields
        )

    def _field(self, entity: str, field: Any, alias: str) -> SqlText:  # noqa: PLR0911  one for each
        match field:
            case Column():
                return self._column(entity, field.name, alias)
            case GlobalId():
                return global_id_of(entity, named(alias, "id"))
            case EnumLookup():
                permitted = tuple(map(self._world.permits, field.depends_on))
                return [_enum_lookup(named(alias, field.name), dict(field.texts)[permitted])]
            case Typename():
                return [Json(f'"{field.text}"')]
            case ToOne():
                return self._relationship(field, alias)
            case Connection():
                return ConnectionWriter(self, field, parent=alias).text()
            case Resolved():
                return placeholder(entity, field, alias, self.json_function)
        raise NotImplementedError(field)

    def _column(self, entity: str, name: str, alias: str) -> SqlText:
        scalar = columns.scalar_of_column(entity, name)
        # A NULL that the field cannot be is an error; in a chain of text it would lose the row.
        absent = f"({alias}.id||' has no {entity}.{name}')::int::text"
        return json_of(
            scalar,
            named(alias, name),
            nullable=scalar.is_nullable,
            function=self.json_function,
            absent=absent if scalar.is_required else "'null'",
        )

    def _relationship(self, one: ToOne, parent: str) -> SqlText:
        relationship = one.relationship
        row = Part(_related_row, (relationship, one.selection.columns), parent)
        text = self._one(one, row)
        return [("coalesce(", *text, ",'null')") if relationship.is_optional else text]

    def _lookup(self, one: ToOne) -> SqlText:
        assert one.argument_index is not None  # noqa: S101  a look-up has one
        arguments = (one.relationship, one.selection.columns)
        if changed := self._world.changed_rows(one.relationship.target):
            row = Part(_changed_row, (*arguments, changed))
        else:
            row = Part(_row_looked_up, arguments, indexes=(one.argument_index,))
        return [("coalesce(", *self._one(one, row), ",'null')")]

    def _one(self, one: ToOne, row: Part) -> Sql:
        alias = next(self.aliases)
        text = concatenated(self.row(one.selection, alias))
        return ("(SELECT ", *text, " FROM (", row, f") {alias})")

    def _by_entity(self, rows: Variants | Nodes, above: str, key: str) -> Sql:
        """The JSON text of the row whose entity and key are columns of the row above.

        Only the branch of its entity is executed.
        """
        entities = tuple(entities_of(rows))
        branches: list[Any] = []
        for selection in rows.selections:
            alias = next(self.aliases)
            arguments = (selection.entity, selection.columns, key, entities)
            row = Part(_row_with_key, arguments, above)
            text = concatenated(self.row(selection, alias))
            branches += [f" WHEN '{selection.entity}' THEN (SELECT ", *text, " FROM (", row]
            branches.append(f") {alias})")
        return (f"CASE {above}.entity", *branches, " END")

    def _nodes(self, nodes: Nodes) -> SqlText:
        """The JSON of `nodes`; an id without a row is null."""
        ids = next(self.aliases)
        answer = ("coalesce(", *self._by_entity(nodes, ids, "key"), ",'null')")
        given = Part(_entities_and_keys, tuple(entities_of(nodes)), indexes=(nodes.argument_index,))
        source = (" FROM unnest(", given, f") WITH ORDINALITY {ids}(entity,key,nth)")
        if not nodes.is_list:
            return [("(SELECT ", *answer, *source, ")")]
        listed = ("(SELECT coalesce(string_agg(", *answer, f",',' ORDER BY {ids}.nth),'')")
        return [Json("["), (*listed, *source, ")"), Json("]")]


def _related_row(place: Place, relationship: Relationship, names: frozenset[str]) -> Select[Any]:
    column = relationship.source_column or "id"
    key = place.column_above(column, columns.key_type_of(relationship))
    row = select(*columns.columns_of(relationship.target, names))
    return row.where(columns.belongs(relationship, key))


def _row_looked_up(place: Place, relationship: Relationship, names: frozenset[str]) -> Select[Any]:
    assert relationship.target_column is not None  # noqa: S101  a look-up has one
    scalar = columns.scalar_of_column(relationship.target, relationship.target_column)
    value = scalar.bound(f"{place.prefixes[0]}value")
    row = select(*columns.columns_of(relationship.target, names))
    return row.where(columns.matches(relationship, value))


def _changed_row(
    _: Place, relationship: Relationship, names: frozenset[str], changed: str
) -> Select[Any]:
    """The row that a change in the same statement gives, by the query of these."""
    assert relationship.target_column is not None  # noqa: S101  a look-up has one
    scalar = columns.scalar_of_column(relationship.target, relationship.target_column)
    key = raw_sql(f"(SELECT id FROM {changed})", scalar.bound("value").type)
    return select(*columns.columns_of(relationship.target, names)).where(
        columns.matches(relationship, key)
    )


def _row_with_key(
    place: Place, entity: str, names: frozenset[str], column: str, entities: tuple[str, ...]
) -> Select[Any]:
    key = place.column_above(column, columns.union_key_type(*entities))
    type_ = columns.column_key_type(entity, "id")
    value = cast(key, type_) if isinstance(key.type, String) else key
    row = select(*columns.columns_of(entity, names))
    return row.where(columns.column_of(entity, "id") == value)


def _entities_and_keys(place: Place, *entities: str) -> Expression:
    key_type = columns.union_key_type(*entities)
    what = "texts" if isinstance(key_type, String) else "keys"
    keys = place.parameter(what, ARRAY(key_type))
    return Expression(place.parameter("entities", ARRAY(String)), ",", keys)


def entities_of(rows: Variants | Nodes) -> list[str]:
    return [selection.entity for selection in rows.selections]


def _enum_lookup(value: str, texts: Iterable[tuple[str, str]]) -> Sql:
    """One of a few texts, selected by the value of a column."""
    quoted = ((given.replace("'", "''"), text.replace("'", "''")) for given, text in texts)
    return (f"CASE {value}", *(f" WHEN '{given}' THEN '{text}'" for given, text in quoted), " END")
