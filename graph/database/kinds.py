"""The kinds of values of columns: how they are bound, compared and written as JSON.

The annotation of a declared field determines the kind of its column (`graph.schema.annotations`);
for a column without a declared field, its SQL type does. `Scalar` describes the values of a term.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Double,
    Float,
    Integer,
    Numeric,
    String,
    Uuid,
    bindparam,
    cast,
)

from graph.database.types import JsonText
from graph.relay import INT4_MAX, INT8_MAX

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine


class ScalarKind(Enum):
    """A kind of values, whatever their length or scale."""

    INTEGER = auto()  # smallint and int: a JSON number
    BIGINT = auto()  # a string: a JSON number is exact up to 2**53 only
    COUNT = auto()  # a bigint that is a JSON number
    DECIMAL = auto()
    FLOAT = auto()  # a JSON number; NaN and infinity are null
    DATE = auto()
    TIME = auto()
    TEXT = auto()
    ENUM = auto()
    UUID = auto()
    BOOLEAN = auto()
    JSON = auto()  # it is only read
    TEXTS = auto()  # it has no order

    @property
    def sql_type(self) -> TypeEngine[Any]:
        return _TYPES[self]


_TYPES: dict[ScalarKind, TypeEngine[Any]] = {
    ScalarKind.INTEGER: Integer(),
    ScalarKind.BIGINT: BigInteger(),
    ScalarKind.COUNT: BigInteger(),
    ScalarKind.DECIMAL: Numeric(),
    ScalarKind.FLOAT: Double(),
    ScalarKind.DATE: Date(),
    ScalarKind.TIME: DateTime(timezone=True),
    ScalarKind.TEXT: String(),
    ScalarKind.ENUM: String(),
    ScalarKind.UUID: Uuid(),
    ScalarKind.BOOLEAN: Boolean(),
    ScalarKind.JSON: JsonText(),
    ScalarKind.TEXTS: ARRAY(String()),
}
# By SQL type; the first that fits is the kind of a column.
_KINDS: tuple[tuple[type[TypeEngine[Any]], ScalarKind], ...] = (
    (BigInteger, ScalarKind.BIGINT),
    (Integer, ScalarKind.INTEGER),
    (Float, ScalarKind.FLOAT),
    (Numeric, ScalarKind.DECIMAL),
    (DateTime, ScalarKind.TIME),
    (Date, ScalarKind.DATE),
    (Boolean, ScalarKind.BOOLEAN),
    (sqlalchemy.Enum, ScalarKind.ENUM),
    (String, ScalarKind.TEXT),
    (Uuid, ScalarKind.UUID),
    (JsonText, ScalarKind.JSON),
    (sqlalchemy.JSON, ScalarKind.JSON),
    (ARRAY, ScalarKind.TEXTS),
)
# The driver cannot bind the first and the last time or date that a column can hold, but their text.
_BOUND_AS_TEXT = {ScalarKind.TIME, ScalarKind.DATE}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A description of the values of a column or another term.

    `is_nullable`: the SQL expression can be NULL. `is_required`: its field is not nullable, so that
    a NULL is an error. `references`: the entity whose keys the values are. `own_type`: the SQL type
    of a column that is comparable with this type only, an enum or an array. `names`: the values of
    an enum.
    """

    kind: ScalarKind
    is_nullable: bool = False
    is_required: bool = False
    references: str | None = None
    own_type: TypeEngine[Any] | None = None
    names: tuple[str, ...] = ()

    def bound(self, name: str, *, is_list: bool = False) -> ColumnElement[Any]:
        """A parameter for a value of this kind, or for an array of them."""
        type_: TypeEngine[Any] = self.own_type or self.kind.sql_type
        as_text = self.kind in _BOUND_AS_TEXT or isinstance(type_, sqlalchemy.Enum)
        bound_as: TypeEngine[Any] = String() if as_text else type_
        sql: ColumnElement[Any] = bindparam(name, type_=ARRAY(bound_as) if is_list else bound_as)
        return cast(sql, ARRAY(type_) if is_list else type_) if as_text else sql


def kind_of_type(type_: TypeEngine[Any]) -> ScalarKind | None:
    """The kind of a column of this SQL type; None if the engine does not know the type."""
    if isinstance(type_, DateTime) and not type_.timezone:
        return None
    if isinstance(type_, ARRAY) and not isinstance(type_.item_type, String):
        return None
    return next((kind for known, kind in _KINDS if isinstance(type_, known)), None)


def key_type(*kinds: ScalarKind) -> TypeEngine[Any]:
    """A SQL type for the keys of several entities; text where some of them are not numbers."""
    if set(kinds) <= {ScalarKind.INTEGER}:
        return Integer()
    if set(kinds) <= {ScalarKind.INTEGER, ScalarKind.BIGINT}:
        return BigInteger()
    return Uuid() if set(kinds) == {ScalarKind.UUID} else String()


def fits(kind: ScalarKind, key: Any) -> bool:
    """Whether a column of this kind can hold the key of a global id."""
    if kind is ScalarKind.UUID:
        return not isinstance(key, int)
    most = INT4_MAX if kind is ScalarKind.INTEGER else INT8_MAX
    return isinstance(key, int) and -most - 1 <= key <= most
