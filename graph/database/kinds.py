"""The kinds of values that columns have: how they are bound, compared and written in JSON.

The annotation of a declared field tells the kind of its column (`graph.schema.annotations`); of a
column that no field declares, its SQL type does. `Scalar` is what is known of a term's values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
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
    """The value is the SQL type, without a length or a scale."""

    INTEGER = Integer()  # smallint and int: a JSON number
    BIGINT = BigInteger()  # a string: a JSON number is exact up to 2**53 only
    COUNT = BigInteger()  # a JSON number
    DECIMAL = Numeric()
    FLOAT = Double[float]()  # a JSON number; NaN and infinity are null
    DATE = Date()
    TIME = DateTime(timezone=True)
    TEXT = String()
    ENUM = String()
    UUID = Uuid()
    BOOLEAN = Boolean()
    JSON = JsonText()  # it is only read
    TEXTS = ARRAY(String())  # it has no order


# The driver cannot bind the first and the last time or date that a column can hold, but their text.
_BOUND_AS_TEXT = {ScalarKind.TIME, ScalarKind.DATE}


@dataclass(frozen=True, slots=True)
class Scalar:
    """What is known of the values of a column or another term.

    `is_nullable`: the SQL expression can be NULL. `is_required`: its field cannot be null all the
    same, so that a NULL is an error. `references`: the entity whose keys the values are. `own_type`:
    the SQL type of a column that can be compared with this type only, an enum or an array. `names`:
    the values of an enum.
    """

    kind: ScalarKind
    is_nullable: bool = False
    is_required: bool = False
    references: str | None = None
    own_type: TypeEngine[Any] | None = None
    names: tuple[str, ...] = ()

    def bound(self, name: str, *, is_list: bool = False) -> ColumnElement[Any]:
        """A parameter for a value of this kind, or for an array of them."""
        type_: TypeEngine[Any] = self.own_type or self.kind.value
        as_text = self.kind in _BOUND_AS_TEXT or isinstance(type_, sqlalchemy.Enum)
        bound_as: TypeEngine[Any] = String() if as_text else type_
        sql: ColumnElement[Any] = bindparam(name, type_=ARRAY(bound_as) if is_list else bound_as)
        return cast(sql, ARRAY(type_) if is_list else type_) if as_text else sql


def kind_of_type(type_: TypeEngine[Any]) -> ScalarKind | None:  # noqa: PLR0911  one for each
    """The kind of a column of this SQL type; None if the engine does not know the type."""
    match type_:
        case BigInteger():
            return ScalarKind.BIGINT
        case Integer():
            return ScalarKind.INTEGER
        case Float():
            return ScalarKind.FLOAT
        case Numeric():
            return ScalarKind.DECIMAL
        case DateTime(timezone=True):
            return ScalarKind.TIME
        case Date():
            return ScalarKind.DATE
        case Boolean():
            return ScalarKind.BOOLEAN
        case sqlalchemy.Enum():
            return ScalarKind.ENUM
        case String():
            return ScalarKind.TEXT
        case Uuid():
            return ScalarKind.UUID
        case JsonText() | sqlalchemy.JSON():
            return ScalarKind.JSON
        case ARRAY(item_type=String()):
            return ScalarKind.TEXTS
    return None


def key_type(*kinds: ScalarKind) -> TypeEngine[Any]:
    """A SQL type for the keys of several entities; text where some of them are not numbers."""
    if set(kinds) <= {ScalarKind.INTEGER}:
        return Integer()
    if set(kinds) <= {ScalarKind.INTEGER, ScalarKind.BIGINT}:
        return BigInteger()
    return Uuid() if set(kinds) == {ScalarKind.UUID} else String()


def fits(kind: ScalarKind, key: Any) -> bool:
    """Whether a key, as a global id holds it, is one that a column of this kind can have."""
    if kind is ScalarKind.UUID:
        return not isinstance(key, int)
    most = INT4_MAX if kind is ScalarKind.INTEGER else INT8_MAX
    return isinstance(key, int) and -most - 1 <= key <= most
