"""The Python types that fields may be annotated with, and the kinds of their values."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import strawberry
from strawberry.types.base import StrawberryList, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition

from graph.database.kinds import ScalarKind
from graph.schema.scalars import BigInt, Json

if TYPE_CHECKING:
    from strawberry.types.field import StrawberryField

KINDS: dict[Any, ScalarKind] = {
    int: ScalarKind.INTEGER,
    BigInt: ScalarKind.BIGINT,
    Decimal: ScalarKind.DECIMAL,
    float: ScalarKind.FLOAT,
    date: ScalarKind.DATE,
    datetime: ScalarKind.TIME,
    str: ScalarKind.TEXT,
    UUID: ScalarKind.UUID,
    bool: ScalarKind.BOOLEAN,
    Json: ScalarKind.JSON,
}


class Annotation(NamedTuple):
    """A field's annotation: its Python type without `| None`, and the kind of its values.

    `kind` is None for an id, whose kind is that of the key, and for an unknown type.
    """

    type: Any
    kind: ScalarKind | None
    is_nullable: bool

    @property
    def is_id(self) -> bool:
        return self.type is strawberry.ID


def annotation_of(declared: StrawberryField) -> Annotation:
    type_: Any = declared.type
    is_nullable = isinstance(type_, StrawberryOptional)
    if isinstance(type_, StrawberryOptional):
        type_ = type_.of_type
    if isinstance(type_, StrawberryEnumDefinition):
        type_ = type_.wrapped_cls
    if isinstance(type_, StrawberryList):
        kind = ScalarKind.TEXTS if type_.of_type is str else None
        return Annotation(type_, kind, is_nullable)
    if isinstance(type_, type) and issubclass(type_, Enum):
        return Annotation(type_, ScalarKind.ENUM, is_nullable)
    known = KINDS.get(type_) if type_.__hash__ else None
    return Annotation(type_, known, is_nullable)
