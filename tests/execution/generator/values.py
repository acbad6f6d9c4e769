"""Values for arguments: drawn by type, and where it matters from what is known of the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_required_input_field,
)

from graph.opaque import INT4_MAX, encode_id
from tests.execution.generator.stores import TEXTS
from tests.store import cursor_of

if TYPE_CHECKING:
    from graphql import GraphQLInputType

    from tests.execution.generator.choices import Choices
    from tests.execution.generator.known import Known

SIZES = ("first", "last")
CURSORS = ("after", "before")
_WRONG_SIZES = (-1, 101, 1000, -(2**31), 2**31 - 1)
_WRONG_TEXTS = ("nul \0 nul", "\0")
_WRONG_IDS = (
    *("", "x", "nul \0", "bnVsbA==", "Customer:1", encode_id("Customer", 1) + "\n"),
    *(encode_id("Invoice", 1), encode_id("Customer", 0), encode_id("Order", 2**31)),
)
_WRONG_CURSORS = (
    *("", "x", "nul \0", "bnVsbA==", cursor_of("Order", 1) + "\n"),
    *(cursor_of("Invoice", 1), cursor_of("Item", 2**31), encode_id("Item", 1)),
)
_MOMENTS = ("0001-01-01T00:00:00Z", "2026-01-31T12:00:00.5+02:00", "9999-12-31T23:59:59.999999Z")
_SCALARS: dict[str, tuple[Any, ...]] = {
    "Boolean": (True, False),
    "DateTime": _MOMENTS,
    "Decimal": ("0.00", "10.5", "99999999.99"),
    "Float": (0.5, -1.0, 1e10),
    "Int": (1, 0, 2, 7, 12, -1, INT4_MAX),
    "String": TEXTS,
}

# Stands for a value that is not given at all.
ABSENT = object()


@dataclass(frozen=True)
class Place:
    """Where a value goes: an argument or input field of this name, of a field of these nouns."""

    name: str
    nouns: tuple[str, ...] = ()


class Values:
    """Draws JSON values for input types. A `careless` one also draws what is refused."""

    def __init__(self, known: Known, choices: Choices, *, careless: bool) -> None:
        self._known = known
        self._choices = choices
        self._careless = careless

    def is_careless(self) -> bool:
        if self._careless and self._choices.chance(30):
            self._choices.note("bad value")
            return True
        return False

    def value(self, type_: GraphQLInputType, place: Place, depth: int = 0) -> Any:
        """A value of the type; null only where the type is nullable, and ABSENT never."""
        if not isinstance(type_, GraphQLNonNull) and self._choices.chance(10):
            self._choices.note("null")
            return None
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if isinstance(inner, GraphQLList):
            return self._list(inner, place, depth)
        if self.is_careless():
            return self._wrong(get_named_type(inner).name, place)
        if isinstance(inner, GraphQLInputObjectType):
            return self._object(inner, place, depth)
        if isinstance(inner, GraphQLEnumType):
            return self._choices.one_of(list(inner.values))
        return self._scalar(get_named_type(inner).name, place)

    def _list(self, type_: GraphQLList[Any], place: Place, depth: int) -> Any:
        if self._choices.chance(5):
            self._choices.note("one for a list")
            return self.value(GraphQLNonNull(get_named_type(type_.of_type)), place, depth)
        items = [self.value(type_.of_type, place, depth) for _ in range(self._choices.number(0, 4))]
        if items and self._choices.chance(25):
            self._choices.note("twice in a list")
            items.append(items[0])
        return items * 101 if self.is_careless() else items

    def _object(self, type_: GraphQLInputObjectType, place: Place, depth: int) -> dict[str, Any]:
        fields = dict(type_.fields)
        if type_.is_one_of:
            name = self._choices.one_of(list(fields))
            names = list(fields)[:2] if self.is_careless() else [name]
            self._choices.note("oneOf")
            return {name: self.member(type_, name, place, depth) for name in names}
        asked = [
            name
            for name, field in fields.items()
            if is_required_input_field(field) or (depth < 3 and self._choices.chance(30))
        ]
        return {name: self.member(type_, name, place, depth) for name in asked}

    def member(self, type_: GraphQLInputObjectType, name: str, place: Place, depth: int = 0) -> Any:
        field = type_.fields[name]
        wanted: Any = GraphQLNonNull(_nullable(field.type)) if type_.is_one_of else field.type
        return self.value(wanted, Place(name, place.nouns), depth + 1)

    def _scalar(self, type_name: str, place: Place) -> Any:
        if type_name == "Int" and place.name in SIZES:
            return self._size()
        if place.name in CURSORS and place.nouns:
            return self._cursor(place.nouns[0])
        if type_name == "ID":
            return self._id(place.nouns)
        known = self._known.values.get(place.name) or self._known.values.get(type_name)
        if known and type_name != "Boolean" and self._choices.chance(85):
            return self._choices.one_of(known)
        return self._choices.one_of(_SCALARS.get(type_name, TEXTS))

    def _size(self) -> int:
        return 100 if self._choices.chance(4) else self._choices.number(0, 5)

    def _cursor(self, noun: str) -> str:
        known = self._known.cursors.get(noun)
        if known and self._choices.chance(85):
            return self._choices.one_of(known)
        # That of a row that is not there, or not any more.
        return cursor_of(noun, self._choices.one_of((3, 0, -1, 9, INT4_MAX)))

    def _id(self, nouns: tuple[str, ...]) -> str:
        noun = self._choices.one_of(nouns or ("Customer",))
        known = self._known.ids.get(noun)
        if known and self._choices.chance(85):
            return self._choices.one_of(known)
        self._choices.note("id of no row")
        return encode_id(noun, self._choices.one_of((999, 3, INT4_MAX)))

    def _wrong(self, type_name: str, place: Place) -> Any:
        """A value that is refused, mostly: for what it says, or by its type."""
        if self._choices.chance(20):
            return self._choices.one_of((7, True, 1.5, None, "x", [], {}, 2**31))
        if place.name in SIZES:
            return self._choices.one_of(_WRONG_SIZES)
        if place.name in CURSORS:
            others = [cursors[0] for cursors in self._known.cursors.values()]
            mangled = [text[: self._choices.number(0, len(text))] for text in others[:1]]
            return self._choices.one_of((*_WRONG_CURSORS, *others, *mangled))
        return self._choices.one_of(_WRONG_IDS if type_name == "ID" else _WRONG_TEXTS)


def literal(value: Any, type_: GraphQLInputType | None) -> str:
    """A JSON value as GraphQL writes it; names of an enum's values are not quoted."""
    while isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    match value:
        case list():
            inner = type_.of_type if isinstance(type_, GraphQLList) else None
            return "[" + ", ".join(literal(item, inner) for item in value) + "]"
        case dict():
            fields = type_.fields if isinstance(type_, GraphQLInputObjectType) else {}
            members = (
                f"{name}: {literal(item, fields[name].type if name in fields else None)}"
                for name, item in value.items()
            )
            return "{" + ", ".join(members) + "}"
        case str() if isinstance(type_, GraphQLEnumType):
            return value
    return json.dumps(value, ensure_ascii=False)


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_
