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

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, ColumnElement, String, bindparam, cast, select
from sqlalchemy import literal_column as raw_sql

from graph.database.dialect import DIALECT
from graph.database.reads import columns
from graph.database.reads.connections import ConnectionWriter
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
)
from graph.database.worlds import EVERYTHING, OWN, dialect_in
from graph.errors import AnswerTooLarge
from graph.selection import (
    Column,
    Connection,
    EnumLookup,
    GlobalId,
    Nodes,
    Selection,
    ToOne,
    Typename,
    Variants,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Select

    from graph.database.worlds import World
    from graph.selection import DataField, Value


# The name of a parameter: a argument_index, what is read there, and which of several.
_PARAMETER = re.compile(r"([0-9]+)\.([a-z]+)([0-9]*)")


@dataclass(slots=True)
class JsonStatement:
    """A statement.

    `sql` returns one row with the JSON text of each root field as bytes, in order.
    """

    sql: str
    # None for the key of the viewer's own row.
    _binders: tuple[Callable[[Sequence[Value]], Any] | None, ...]
    runs: int = 0

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

    def is_compiled(self, world: World) -> bool:
        return world in self._statements

    def statement(
        self, json_function: str, world: World, max_bytes: int | None = None
    ) -> JsonStatement:
        statement = self._statements.get(world)
        if statement is None:
            statement = json_statement(self._roots, json_function, world, max_bytes)
            self._statements[world] = statement
        return statement


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
    texts = [Expression(concatenated(writer.root(root))) for root in roots]
    statement = _encoded(texts) if max_bytes is None else _bounded(texts, max_bytes)
    compiled: Any = statement.compile(dialect=dialect_in(world, DIALECT))
    return JsonStatement(str(compiled), tuple(_binder(name) for name in compiled.positiontup or ()))


def _encoded(texts: Sequence[Expression]) -> Select[Any]:
    encoded = [Expression(("textsend(", *text.sql, ")")) for text in texts]
    return select(*(column.label(f"root{nth}") for nth, column in enumerate(encoded)))


def _bounded(texts: Sequence[Expression], max_bytes: int) -> Select[Any]:
    """The texts, computed once and measured."""
    # OFFSET 0: else each use of a text would compute it again.
    columns = [text.label(f"text{nth}") for nth, text in enumerate(texts)]
    made = select(*columns).offset(raw_sql("0")).subquery("made")
    size = "+".join(f"octet_length(made.text{nth})::bigint" for nth in range(len(texts)))
    bounded = [
        Expression((f"CASE WHEN {size}<={max_bytes} THEN textsend(made.text{nth}) END",))
        for nth in range(len(texts))
    ]
    roots = (column.label(f"root{nth}") for nth, column in enumerate(bounded))
    return select(*roots, Expression((size,)).label("size")).select_from(made)


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
            key = raw_sql(f"{alias}.id", columns.union_key_type(*entities_of(selection)))
            return [self._by_entity(selection.selections, f"{alias}.entity", key)]
        entity = selection.entity
        return object_of(
            (field.response_key, self._field(entity, field, alias)) for field in selection.fields
        )

    def _field(self, entity: str, field: Any, alias: str) -> SqlText:
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
        key_type = columns.key_type_of(relationship)
        key = raw_sql(named(parent, relationship.source_column or "id"), key_type)
        text = self._one(one, columns.belongs(relationship, key))
        return [("coalesce(", *text, ",'null')") if relationship.is_optional else text]

    def _lookup(self, one: ToOne) -> SqlText:
        relationship = one.relationship
        assert relationship.target_column is not None  # noqa: S101  a look-up has one
        scalar = columns.scalar_of_column(relationship.target, relationship.target_column)
        value = scalar.bound(f"{one.argument_index}.value")
        return [
            ("coalesce(", *self._one(one, columns.matches(one.relationship, value)), ",'null')")
        ]

    def _one(self, one: ToOne, found: ColumnElement[bool]) -> Sql:
        alias = next(self.aliases)
        row = select(*columns.columns_of(one.relationship.target, one.selection.columns)).where(
            found
        )
        text = concatenated(self.row(one.selection, alias))
        return ("(SELECT ", *text, " FROM (", row, f") {alias})")

    def _by_entity(
        self, selections: tuple[Selection, ...], entity: str, key: ColumnElement[Any]
    ) -> Sql:
        """The JSON text of the row with this entity and key.

        Only the branch of its entity is executed.
        """
        branches: list[Any] = []
        for selection in selections:
            alias = next(self.aliases)
            id_ = columns.column_of(selection.entity, "id")
            type_ = columns.column_key_type(selection.entity, "id")
            found = id_ == (cast(key, type_) if isinstance(key.type, String) else key)
            row = select(*columns.columns_of(selection.entity, selection.columns)).where(found)
            text = concatenated(self.row(selection, alias))
            branches += [f" WHEN '{selection.entity}' THEN (SELECT ", *text, " FROM (", row]
            branches.append(f") {alias})")
        return (f"CASE {entity}", *branches, " END")

    def _nodes(self, nodes: Nodes) -> SqlText:
        """The JSON of `nodes`; an id without a row is null."""
        ids = next(self.aliases)
        key_type = columns.union_key_type(*entities_of(nodes))
        key = raw_sql(f"{ids}.key", key_type)
        answer = ("coalesce(", *self._by_entity(nodes.selections, f"{ids}.entity", key), ",'null')")
        entities = bindparam(f"{nodes.argument_index}.entities", type_=ARRAY(String))
        what = "texts" if isinstance(key_type, String) else "keys"
        keys = bindparam(f"{nodes.argument_index}.{what}", type_=ARRAY(key_type))
        source = (" FROM unnest(", entities, ",", keys, f") WITH ORDINALITY {ids}(entity,key,nth)")
        if not nodes.is_list:
            return [("(SELECT ", *answer, *source, ")")]
        listed = ("(SELECT coalesce(string_agg(", *answer, f",',' ORDER BY {ids}.nth),'')")
        return [Json("["), (*listed, *source, ")"), Json("]")]


def entities_of(rows: Variants | Nodes) -> list[str]:
    return [selection.entity for selection in rows.selections]


def _enum_lookup(value: str, texts: Iterable[tuple[str, str]]) -> Sql:
    """One of a few texts, selected by the value of a column."""
    quoted = ((given.replace("'", "''"), text.replace("'", "''")) for given, text in texts)
    return (f"CASE {value}", *(f" WHEN '{given}' THEN '{text}'" for given, text in quoted), " END")


def _binder(name: str) -> Callable[[Sequence[Any]], Any] | None:
    """A function that reads a parameter such as `3.limit` from the values of the arguments.

    None for the key of the viewer's own row, which is no argument.
    """
    if name == OWN:
        return None
    argument_index, what, number = _PARAMETER.fullmatch(name).groups()  # type: ignore[union-attr]
    return _reader(int(argument_index), what, int(number or 0))


def _reader(  # noqa: PLR0911  one for each
    argument_index: int, what: str, number: int
) -> Callable[[Sequence[Any]], Any]:
    match what:
        case "o":
            return lambda values: values[argument_index].operands[number]
        case "limit":
            return lambda values: values[argument_index].size
        case "offset":
            return lambda values: values[argument_index].offset
        case "after":
            return lambda values: values[argument_index].after[number]
        case "before":
            return lambda values: values[argument_index].before[number]
        case "entities":
            return lambda values: [entity for entity, _ in values[argument_index].keys]
        case "keys":
            return lambda values: [key for _, key in values[argument_index].keys]
        case "texts":
            return lambda values: [str(key) for _, key in values[argument_index].keys]
        case _:
            return lambda values: values[argument_index].value
