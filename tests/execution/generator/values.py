"""Values for arguments, drawn by type, and from the values of the store where that matters."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_required_input_field,
)

from graph.relay import INT4_MAX, INT8_MAX, to_global_id
from tests.execution.generator.stores import TEXTS
from tests.rows import cursor_of

if TYPE_CHECKING:
    from graphql import GraphQLInputType

    from tests.execution.generator.choices import Choices
    from tests.execution.generator.known import Known

SIZES = ("first", "last")
CURSORS = ("after", "before")
QUANTIFIERS = ("some", "every", "none")
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Asia/Kathmandu"),
    *("Australia/Lord_Howe", "Pacific/Apia", "Etc/GMT+12"),
)
# How deep filters are nested; deeper, only what has no inputs of its own is drawn.
_DEEPEST = 5
_WRONG_SIZES = (-1, 101, 1000, -(2**31), 2**31 - 1)
_WRONG_NUMBERS = {
    **dict.fromkeys(SIZES, _WRONG_SIZES),
    "offset": (-1, 10_001, 2**31 - 1),
    "limit": (0, -1, 1_000_001, -(2**31)),
}
_WRONG_TEXTS = ("nul \0 nul", "\0")
_WRONG_ZONES = ("Mars/Olympus", "", "utc", "+02:00", "localtime", "UTC'--")
_WRONG_IDS = (
    *("", "x", "nul \0", "bnVsbA==", "Customer:1", to_global_id("Customer", 1) + "\n"),
    *(to_global_id("Invoice", 1), to_global_id("Customer", 0), to_global_id("Order", 2**63)),
)
_WRONG_CURSORS = (
    *("", "x", "nul \0", "bnVsbA==", cursor_of("Order", 1) + "\n"),
    *(cursor_of("Invoice", 1), cursor_of("Item", 2**63), to_global_id("Item", 1)),
)
_MOMENTS = (
    *("0001-01-01T00:00:00Z", "2026-01-31T12:00:00.5+02:00", "9999-12-31T23:59:59.999999Z"),
    *("1969-07-20T20:17:40-23:59", "2026-06-01T00:00:00+23:00"),
)
_SCALARS: dict[str, tuple[Any, ...]] = {
    "BigInt": ("1", 2, "-9223372036854775808", 2**53 + 1, "9223372036854775807"),
    "Boolean": (True, False),
    "Date": ("0001-01-01", "2024-02-29", "9999-12-31"),
    "DateTime": _MOMENTS,
    "Decimal": ("0.00", "10.5", "99999999.99", "-0.005", "1" * 60),
    "Float": (0.5, -1.0, 1e10),
    "Int": (1, 0, 2, 7, 12, -1, INT4_MAX, -(2**31)),
    "UUID": ("00000000-0000-0000-0000-000000000001", "80000000-0000-0000-0000-000000000000"),
    "String": (*TEXTS, "%", "_", "\\", "\\%", "''", '"'),
}

# Stands for a value that is not given at all.
ABSENT = object()


@dataclass(frozen=True)
class Place:
    """Where a value goes: an argument or input field of this name, of a field of these entities.

    `operator` is that of a filter, whose name is then what it is about: `town: {contains: ...}`.
    """

    name: str
    entities: tuple[str, ...] = ()
    operator: str = ""


class Values:
    """Draws JSON values for input types. A `careless` one also draws what is refused.

    Members of inputs that are named in `without` are never drawn.
    """

    def __init__(
        self, known: Known, choices: Choices, *, careless: bool, without: tuple[str, ...] = ()
    ) -> None:
        self._known = known
        self._choices = choices
        self._careless = careless
        # By rank is only sorted where something is searched for: see `Arguments`. A key of groups
        # must be one they are put together by.
        self._without = {"rank", "key", *without}

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
        if not depth and self.is_careless():
            return self._wrong(get_named_type(inner).name, place)
        if isinstance(inner, GraphQLInputObjectType):
            return self._object(inner, place, depth)
        name = get_named_type(inner).name
        if depth and self._careless and self._choices.chance(8):
            self._choices.note("bad value")
            return self._wrong(name, place)
        enum = inner.values if isinstance(inner, GraphQLEnumType) else None
        return self._choices.one_of(list(enum)) if enum else self._scalar(name, place)

    def _list(self, type_: GraphQLList[Any], place: Place, depth: int) -> Any:
        if self._choices.chance(5):
            self._choices.note("one for a list")
            return self.value(GraphQLNonNull(get_named_type(type_.of_type)), place, depth)
        inputs = isinstance(get_named_type(type_), GraphQLInputObjectType)
        size = self._choices.number(0, 2 if inputs else 4)
        if not size:
            self._choices.note("empty list")
        items = [self.value(type_.of_type, place, depth) for _ in range(size)]
        if items and not inputs and self._choices.chance(25):
            self._choices.note("twice in a list")
            items.append(items[0])
        if self._careless and self._choices.chance(3):
            self._choices.note("bad value")
            items *= 9 if inputs else 101
        return items

    def _object(self, type_: GraphQLInputObjectType, place: Place, depth: int) -> dict[str, Any]:
        place = within(type_, place)
        fields = self._fields(type_, depth)
        if type_.is_one_of:
            names = list(type_.fields)[:2] if self.is_careless() else [self._choices.one_of(fields)]
            self._choices.note("oneOf")
            return {name: self.member(type_, name, place, depth) for name in names}
        asked = [name for name in fields if is_required_input_field(type_.fields[name])]
        size = self._choices.one_of((1, 1, 1, 1, 2, 2, 0))
        asked += [self._choices.one_of(fields) for _ in range(size)]
        return {name: self.member(type_, name, place, depth) for name in dict.fromkeys(asked)}

    def _fields(self, type_: GraphQLInputObjectType, depth: int) -> list[str]:
        """The names of fields to choose from: deep down, of those that lead no deeper."""
        names = [name for name in type_.fields if name not in self._without]
        flat = [name for name in names if _is_flat(type_.fields[name].type)]
        if depth >= _DEEPEST and flat:
            return flat
        deep = [name for name in names if name not in flat]
        quantifiers = [name for name in deep if name in QUANTIFIERS]
        if quantifiers and self._choices.chance(50):
            return quantifiers
        return deep if deep and self._choices.chance(60) else flat or names

    def member(self, type_: GraphQLInputObjectType, name: str, place: Place, depth: int = 0) -> Any:
        if name in {"and", "or", "not", *QUANTIFIERS, "count", "sum", "avg"}:
            self._choices.note(name)
        wanted: Any = type_.fields[name].type
        if self._careless and not type_.is_one_of and self._choices.chance(3):
            self._choices.note("bad value")
            return None
        wanted = GraphQLNonNull(_nullable(wanted))
        return self.value(wanted, below(type_, name, place), depth + 1)

    def _scalar(self, type_name: str, place: Place) -> Any:  # noqa: PLR0911  one for each
        if type_name == "Int" and (small := self._number(place.name)) is not None:
            return small
        if place.name in CURSORS and place.entities:
            return self._cursor(place.entities[0])
        if place.name == "timeZone":
            return self._choices.one_of(ZONES)
        if place.name in {"search", "text"}:
            return self._words()
        if type_name == "ID":
            # A foreign key is the id of another entity than the one it is a column of.
            if place.name in {"id", "ids"} or not place.name.endswith("Id"):
                return self._id(place.entities)
            known = self._known.values.get(place.name)
            other = place.name.removesuffix("Id").capitalize()
            return self._choices.one_of(known) if known else self._id((other,))
        known = self._known.values.get(place.name) or self._known.values.get(type_name)
        if not known or type_name == "Boolean" or not self._choices.chance(85):
            known = list(_SCALARS.get(type_name, TEXTS))
        value = self._choices.one_of(known)
        if type_name == "String" and place.operator:
            return self._part(value, place.operator)
        return str(value) if type_name == "Decimal" else value

    def _number(self, name: str) -> int | None:
        """A number that is small as a rule, for what is about counting."""
        if name in SIZES:
            return 100 if self._choices.chance(4) else self._choices.number(0, 5)
        if name in {"count", "offset", "limit"}:
            few = self._choices.number(0, 3) + (name == "limit")
            return 10_000 if self._choices.chance(4) else few
        return None

    def _part(self, text: str, operator: str) -> str:
        """What a text operator may find in this text, in another case where that is no matter."""
        self._choices.note("part of a text")
        first, last = sorted(self._choices.number(0, len(text)) for _ in range(2))
        if operator.startswith("contains"):
            text = text[first:last]
        elif operator.startswith("startsWith"):
            text = text[:last]
        elif operator.startswith("endsWith"):
            text = text[first:]
        if operator.endswith("IgnoreCase"):
            self._choices.note("in another case")
            return self._choices.one_of((text.upper(), text.lower(), text.swapcase()))
        return text

    def _words(self) -> str:
        """Something to search for; a careless one has many words, or none."""
        if self.is_careless():
            return self._choices.one_of(("", "!?", " ".join(f"w{n}" for n in range(9)), "\0"))
        texts = [*self._known.values.get("String", ()), "plain lang"]
        words = re.findall(r"\w+", self._choices.one_of(texts)) or ["plain"]
        start = self._choices.number(0, len(words) - 1)
        return " ".join(words[start : start + self._choices.number(1, 2)])[:40]

    def _cursor(self, entity: str) -> str:
        known = self._known.cursors.get(entity)
        if known and self._choices.chance(85):
            return self._choices.one_of(known)
        # That of a row that is not there, or not any more.
        return cursor_of(entity, self._choices.one_of((3, 0, -1, 9, INT4_MAX, INT8_MAX)))

    def _id(self, entities: tuple[str, ...]) -> str:
        entity = self._choices.one_of(entities or ("Customer",))
        known = self._known.ids.get(entity)
        if known and self._choices.chance(85):
            return self._choices.one_of(known)
        self._choices.note("id of no row")
        return to_global_id(entity, self._choices.one_of((999, 3, INT4_MAX, INT8_MAX)))

    def _wrong(self, type_name: str, place: Place) -> Any:
        """A value that is refused, mostly: for what it says, or by its type."""
        if self._choices.chance(20):
            return self._choices.one_of((7, True, 1.5, None, "x", [], {}, 2**31))
        if place.name in _WRONG_NUMBERS:
            return self._choices.one_of(_WRONG_NUMBERS[place.name])
        if place.name in CURSORS:
            others = [cursors[0] for cursors in self._known.cursors.values()]
            mangled = [text[: self._choices.number(0, len(text))] for text in others[:1]]
            return self._choices.one_of((*_WRONG_CURSORS, *others, *mangled))
        if place.name == "timeZone":
            return self._choices.one_of(_WRONG_ZONES)
        return self._choices.one_of(_WRONG_IDS if type_name == "ID" else _WRONG_TEXTS)


def below(type_: GraphQLInputObjectType, name: str, place: Place) -> Place:
    """The place of a member: that of an operator is still about what its filter is about."""
    if type_.name.endswith("Filter"):
        return replace(place, operator=name)
    return Place(name, place.entities)


def within(type_: GraphQLInputObjectType, place: Place) -> Place:
    """In an entity's filter, ids are the entity's."""
    if "id" in type_.fields and type_.name.endswith("Where"):
        return replace(place, entities=(type_.name.removesuffix("Where"),))
    return place


def literal(value: Any, type_: GraphQLInputType | None) -> str:
    """A JSON value as GraphQL writes it; names of an enum's values are not quoted."""
    while isinstance(type_, GraphQLNonNull) or (
        isinstance(type_, GraphQLList) and not isinstance(value, list)
    ):
        type_ = type_.of_type
    if isinstance(type_, GraphQLList) and not isinstance(value, list):
        return literal(value, type_.of_type)
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


def _is_flat(type_: GraphQLInputType) -> bool:
    """Whether there are no inputs in the inputs of this type."""
    named: Any = get_named_type(type_)
    return not any(
        isinstance(get_named_type(field.type), GraphQLInputObjectType)
        for field in getattr(named, "fields", {}).values()
    )


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_
