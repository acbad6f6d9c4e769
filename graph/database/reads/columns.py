"""Rows in a statement, their columns, and the descriptions of their values."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    REAL,
    Column,
    ColumnElement,
    Double,
    Enum,
    Index,
    Label,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    case,
    cast,
    func,
    select,
    true,
)
from sqlalchemy import literal_column as raw_sql
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import iterate

from graph.database.catalog import catalog
from graph.database.dialect import with_constants
from graph.database.kinds import Scalar, ScalarKind, fits, key_type, kind_of_type
from graph.database.reads.nullability import may_be_null
from graph.database.relationships import association_of, mapper_of
from graph.database.search import everything
from graph.database.types import JsonText
from graph.errors import InvalidId
from graph.relay import from_global_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import FromClause
    from sqlalchemy.types import TypeEngine

    from graph.database.catalog import DeclaredColumn
    from graph.selection import Relationship

_MOST: ColumnElement[float] = raw_sql("1.7976931348623157e308::float8", Double)


@cache
def table_of(entity: str) -> FromClause:
    if entity in catalog.unions:
        return everything(entity, column_of, union_key_type(entity))
    return mapper_of(entity).local_table


@cache
def attribute_of(entity: str, name: str) -> ColumnElement[Any]:
    """The model's column: a column of the table, or the expression of a computed one."""
    column: ColumnElement[Any] = mapper_of(entity).column_attrs[name].columns[0]
    if isinstance(column, Column):
        return column
    computed: Any = column.element if isinstance(column, Label) else column
    return with_constants(computed)


def scalar_of_column(entity: str, name: str) -> Scalar:
    """The description of a column's values, from its field or else from its model."""
    if entity in catalog.unions:
        return Scalar(_kind_of_union(entity) if name == "id" else ScalarKind.TEXT)
    return _scalar(entity, name, catalog.columns.get((entity, name)))


@cache
def _scalar(entity: str, name: str, declared: DeclaredColumn | None) -> Scalar:
    column = attribute_of(entity, name)
    kind = declared.kind if declared else kind_of_type(column.type)
    assert kind is not None, f"{entity}.{name}"  # noqa: S101  refused when the schema was built
    return Scalar(
        kind,
        is_nullable=kind is ScalarKind.FLOAT or may_be_null(column),
        is_required=declared is not None and not declared.is_nullable,
        references=declared.references if declared else None,
        own_type=column.type if _is_own_type(column.type) else None,
        names=tuple(column.type.enums) if isinstance(column.type, Enum) else (),
    )


def _is_own_type(type_: TypeEngine[Any]) -> bool:
    return isinstance(type_, ARRAY) or (isinstance(type_, Enum) and type_.native_enum)


def is_computed(entity: str, name: str) -> bool:
    """Whether a column is an expression."""
    is_union = entity in catalog.unions
    return not is_union and not isinstance(attribute_of(entity, name), Column)


@cache
def looks_elsewhere(entity: str, name: str) -> bool:
    """Whether a column is an expression that looks at other rows."""
    if not is_computed(entity, name):
        return False
    return any(isinstance(part, SelectBase) for part in iterate(attribute_of(entity, name)))


@cache
def is_indexed(entity: str, name: str) -> bool:
    """Whether an index begins with a column, so that its values and their order are found."""
    if entity in catalog.unions or is_computed(entity, name):
        return False
    table: Any = mapper_of(entity).local_table
    column = attribute_of(entity, name)
    leading = [next(iter(index.expressions), None) for index in table.indexes]
    return is_unique(entity, name) or any(each is column for each in leading)


@cache
def is_unique(entity: str, name: str) -> bool:
    """Whether at most one row has a value of a column."""
    if entity in catalog.unions or is_computed(entity, name):
        return False
    column: Any = attribute_of(entity, name)
    table: Any = mapper_of(entity).local_table
    alone = [list(key.columns) for key in (*table.constraints, *table.indexes) if _forbids(key)]
    return [column] in alone


def _forbids(key: Any) -> bool:
    """Whether a constraint or an index forbids two rows with the same values."""
    return isinstance(key, PrimaryKeyConstraint | UniqueConstraint) or bool(
        isinstance(key, Index) and key.unique and not key.dialect_options["postgresql"]["where"]
    )


def column_of(entity: str, name: str | None) -> ColumnElement[Any]:
    """The SQL of a column, stored or computed."""
    assert name is not None  # noqa: S101  the relationship leads to every row: it has no column
    if entity in catalog.unions:
        return table_of(entity).c[name]
    column, kind = attribute_of(entity, name), scalar_of_column(entity, name).kind
    match kind:
        case ScalarKind.FLOAT:
            return _finite(column)
        case ScalarKind.TEXTS:
            return _without_nulls(column)
        case ScalarKind.JSON:
            return column if isinstance(column.type, JsonText) else cast(column, Text)
        case ScalarKind.ENUM:
            return column
    # SQLAlchemy may take the type of a computed column for another: the field's annotation counts.
    return column if isinstance(column, Column) else cast(column, kind.sql_type)


def _finite(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """NULL for NaN and infinity, which JSON cannot represent."""
    number = cast(column, Double) if isinstance(column.type, REAL) else column
    return case((number.between(-_MOST, _MOST), number))


def _without_nulls(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The texts of an array in one dimension, whatever PostgreSQL let in."""
    elements = func.unnest(column).table_valued("text", with_ordinality="nth").render_derived()
    found = select(elements.c.text).where(elements.c.text.is_not(None)).order_by(elements.c.nth)
    texts: ColumnElement[Any] = func.array(found.scalar_subquery(), type_=ScalarKind.TEXTS.sql_type)
    return case((column.is_not(None), texts))


def key_type_of(relationship: Relationship) -> TypeEngine[Any]:
    """The SQL type of the keys that a relationship starts from, or of the root's only key."""
    if relationship.source is None or relationship.source_column is None:
        return ScalarKind.INTEGER.sql_type
    return attribute_of(relationship.source, relationship.source_column).type


def column_key_type(entity: str, name: str) -> TypeEngine[Any]:
    """A SQL type that has whatever a column can be compared with: no key is too large for it."""
    kinds = {scalar_of_column(entity, name).kind, kind_of_type(attribute_of(entity, name).type)}
    return key_type(*(kind for kind in kinds if kind is not None))


def key_of(global_id: str, entity: str) -> Any:
    """The key in a global id of this entity.

    Raises:
        InvalidId: the id is malformed, of another entity, or has a key that no row can have.
    """
    found, key = from_global_id(global_id)
    if found != entity and (found, "id") in catalog.columns:
        raise InvalidId(global_id, expected=entity, found=found)
    if found != entity or not fits(kind_of_key(entity), key):
        raise InvalidId(global_id)
    return key


def kind_of_key(entity: str) -> ScalarKind:
    """The kind of an entity's keys, without the rest of their description: each id asks for it."""
    declared = None if entity in catalog.unions else catalog.columns.get((entity, "id"))
    return declared.kind if declared else scalar_of_column(entity, "id").kind


def union_key_type(*entities: str) -> TypeEngine[Any]:
    """A SQL type that has the keys of all these entities, and of all entities of these unions."""
    members = [name for each in entities for name in catalog.unions.get(each, (each,))]
    return key_type(*(scalar_of_column(member, "id").kind for member in members))


def _kind_of_union(union: str) -> ScalarKind:
    kind = kind_of_type(union_key_type(union))
    assert kind is not None  # noqa: S101  it is that of a key
    return kind


def columns_of(entity: str, names: Iterable[str]) -> list[Label[Any]]:
    """The named columns in a fixed order, always with the key, which sorts pages."""
    return [column_of(entity, name).label(name) for name in ("id", *sorted({*names} - {"id"}))]


def belongs(relationship: Relationship, key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a row of the relationship's target belongs to the source row with this key."""
    if relationship.target_column is None:
        return true()
    return _leads(relationship, key, column_of(relationship.target, relationship.target_column))


def _leads(
    relationship: Relationship, key: ColumnElement[Any], to: ColumnElement[Any]
) -> ColumnElement[bool]:
    association = association_of(relationship)
    if relationship.association is None or association is None:
        return to == key
    pairs = association.alias()
    found = select(pairs.c[relationship.association.to_target])
    found = found.where(pairs.c[relationship.association.to_source] == key)
    return to.in_(found.correlate_except(pairs))


def matches(relationship: Relationship, value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a row matches the value of a look-up."""
    column = column_of(relationship.target, relationship.target_column)
    if is_caseless(column):
        return func.lower(column) == func.lower(value)
    return column == value


def is_caseless(column: ColumnElement[Any]) -> bool:
    """Whether the column is unique without regard to case: by an index on its `lower(...)`."""
    indexes = getattr(getattr(column, "table", None), "indexes", ())
    lowered = f"lower({getattr(column, 'name', '')})"
    return any(
        index.unique and [str(each) for each in index.expressions] == [lowered] for index in indexes
    )


class Row:
    """A row of an entity: the table itself, or an alias of it inside the table's own statement."""

    def __init__(
        self, entity: str, source: FromClause | None = None, *, names: Any | None = None
    ) -> None:
        self.entity = entity
        self.source = table_of(entity) if source is None else source
        self._adapter = None if source is None else ClauseAdapter(source)
        # The columns of a sub-select, by name, which has computed them already.
        self._names = names

    def column(self, name: str | None) -> ColumnElement[Any]:
        if self._names is not None:
            known: ColumnElement[Any] = self._names[name]
            return known
        return self._adapted(column_of(self.entity, name))

    def attribute(self, name: str) -> ColumnElement[Any]:
        """The column of the table, which an index may contain."""
        return self._adapted(attribute_of(self.entity, name))

    def _adapted(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column if self._adapter is None else self._adapter.traverse(column)

    def across(self, relationship: Relationship) -> tuple[Row, ColumnElement[bool]]:
        """An alias of the relationship's target, and the condition that joins it to this row."""
        to = Row(relationship.target, table_of(relationship.target).alias())
        key = self.column(relationship.source_column)
        return to, _leads(relationship, key, to.column(relationship.target_column))
