"""Random operations over a graphql-core schema.

Types, fields, arguments and values are drawn by type, so whatever is added to the schema is drawn
as well. Nearly all documents are valid (see `shapes`); one in five operations has careless
arguments, and a few documents are mangled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    do_types_overlap,
    get_named_type,
    is_composite_type,
    is_leaf_type,
)
from hypothesis import strategies as st

from graph.schema.resolvers import needed_columns
from tests.execution.generator.arguments import Arguments
from tests.execution.generator.choices import Choices
from tests.execution.generator.shapes import SelectedField, Shape
from tests.execution.generator.values import Values

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLSchema
    from hypothesis.strategies import SearchStrategy

    from tests.execution.generator.known import Known

ALIASES = ("a", "b", "rn", "r0", "cu", "__proto__", "select", "A" * 70)
_MAX_DEPTH = 8
_MAX_INTROSPECTION_DEPTH = 3
_FIELDS = (4, 6, 8, 12, 20)
_SEPARATORS = (" ", "\n  ", ", ", " # a comment\n\t")


@dataclass(frozen=True)
class Drawn:
    """An operation; it is run with each of the sets of variables."""

    text: str
    variables: tuple[dict[str, Any], ...]
    name: str | None = None
    met: Counter[str] = field(default_factory=Counter, repr=False, compare=False)


def operations(schema: GraphQLSchema, known: Known) -> SearchStrategy[Drawn]:
    sources = st.randoms(note_method_calls=False, use_true_random=False)
    return sources.map(lambda source: _Writer(schema, known, Choices(source)).operation())


@dataclass(frozen=True)
class _Fragment:
    name: str
    on: GraphQLObjectType | GraphQLInterfaceType
    text: str
    shape: Shape


class _Writer:
    """Writes one operation. `shapes` are those that a selection becomes part of, at each place:
    its selection set's, and those of the fragments that are being written.
    """

    def __init__(self, schema: GraphQLSchema, known: Known, choices: Choices) -> None:
        self._schema = schema
        self._choices = choices
        self._careless = choices.chance(20)
        self._separator = choices.one_of(_SEPARATORS)
        values = Values(known, choices, careless=self._careless)
        sets = choices.one_of((1, 1, 1, 1, 1, 2, 2, 2, 2, 3))
        self._arguments = Arguments(schema, known, values, choices, sets=sets)
        self._fragments: list[_Fragment] = []
        self._names = 0
        self._fields_left = choices.one_of(_FIELDS)

    def operation(self) -> Drawn:
        query = self._schema.query_type
        assert query
        selections = self._selection_set(query, (Shape(),), depth=0)
        name = self._choices.one_of((None, "Named", "query"))
        declarations = self._arguments.declarations
        head = f"query {name or ''}{declarations} " if name or declarations else ""
        fragments = [f"fragment {each.name} on {each.on} {each.text}" for each in self._fragments]
        definitions = [head + selections, *fragments]
        if self._choices.chance(20):
            definitions.reverse()
        if name and self._choices.chance(20):
            self._choices.note("several operations")
            definitions.append("query Other { __typename }")
        elif name and self._choices.chance(50):
            name = None
        text = self._mangled("\n".join(definitions))
        return Drawn(text, self._arguments.variables(), name, self._choices.met)

    def _mangled(self, text: str) -> str:
        if not (self._careless and self._choices.chance(10)):
            return text
        self._choices.note("mangled document")
        start = self._choices.number(0, len(text) - 1)
        return text[:start] + text[start + self._choices.number(1, 3) :]

    def _selection_set(self, parent: Any, shapes: tuple[Shape, ...], depth: int) -> str:
        count = self._choices.number(1, 4 if "pageInfo" in _fields_of(parent) else 3)
        selections = [self._selection(parent, shapes, depth) for _ in range(count)]
        return f"{{ {self._separator.join(selections)} }}"

    def _selection(self, parent: Any, shapes: tuple[Shape, ...], depth: int) -> str:
        kind = self._choices.number(0, 99)
        if kind >= 91 and depth < _MAX_DEPTH:
            return self._inline_fragment(parent, shapes, depth)
        if kind >= 82 and depth < _MAX_DEPTH:
            return self._spread(parent, shapes, depth)
        if kind >= 76 and (again := self._again(parent, shapes, depth)):
            return again
        return self._field(parent, shapes, depth)

    def _field(self, parent: Any, shapes: tuple[Shape, ...], depth: int) -> str:
        self._fields_left -= 1
        name, definition = self._picked(parent, depth)
        if definition is None:
            key = self._key(parent, SelectedField(name, "", "String!"), shapes)
            return self._aliased(key, name) + self._directives()
        asked = SelectedField(name, self._arguments.of_field(definition), str(definition.type))
        return self._written(definition, self._key(parent, asked, shapes), asked, shapes, depth)

    def _again(self, parent: Any, shapes: tuple[Shape, ...], depth: int) -> str | None:
        """A field that is there already, to be merged with it."""
        fields = _fields_of(parent)
        there = [
            (key, asked)
            for key, asked in shapes[0].asked.items()
            if asked.name in fields
            and str(fields[asked.name].type) == asked.type
            and all(shape.admits(key, asked) for shape in shapes)
        ]
        if not there:
            return None
        self._choices.note("merged field")
        key, asked = self._choices.one_of(there)
        return self._written(fields[asked.name], key, asked, shapes, depth)

    def _written(
        self,
        definition: GraphQLField,
        key: str,
        asked: SelectedField,
        shapes: tuple[Shape, ...],
        depth: int,
    ) -> str:
        below = tuple(shape.add(key, asked) for shape in shapes)
        text = self._aliased(key, asked.name) + asked.arguments + self._directives()
        type_ = get_named_type(definition.type)
        if not is_composite_type(type_):
            return text
        return f"{text} {self._selection_set(type_, below, depth + 1)}"

    def _picked(self, parent: Any, depth: int) -> tuple[str, GraphQLField | None]:
        """A field's name and definition; None is that of `__typename`."""
        fields = _fields_of(parent)
        deepest = _MAX_INTROSPECTION_DEPTH if parent.name.startswith("__") else _MAX_DEPTH
        deep = depth >= deepest or self._fields_left <= 0
        leaves = [name for name, each in fields.items() if is_leaf_type(get_named_type(each.type))]
        edges = [] if deep else [name for name in fields if name not in leaves]
        if not (leaves or edges) or self._choices.chance(8):
            self._choices.note("__typename")
            return "__typename", None
        if parent is self._schema.query_type and self._choices.chance(4):
            self._choices.note("introspection")
            return self._choices.one_of(
                (("__type", TypeMetaFieldDef), ("__schema", SchemaMetaFieldDef))
            )
        resolved = [name for name in (*leaves, *edges) if has_resolver(fields[name])]
        if resolved and self._choices.chance(60):
            self._choices.note("Python resolver")
            name = self._choices.one_of(resolved)
            return name, fields[name]
        if edges and (not leaves or self._choices.chance(65)):
            lists = [name for name in edges if "first" in fields[name].args]
            leaves = lists if lists and self._choices.chance(40) else edges
        name = self._choices.one_of(leaves)
        return name, fields[name]

    def _key(self, parent: Any, asked: SelectedField, shapes: tuple[Shape, ...]) -> str:
        """A response key that nothing else has: most often the field's own name."""
        keys = [asked.name]
        if self._choices.chance(25):
            keys = [self._choices.one_of((*ALIASES, *_fields_of(parent))), *keys]
        self._names += 1
        keys.append(f"k{self._names}")
        key = next(key for key in keys if all(shape.admits(key, asked) for shape in shapes))
        if key != asked.name:
            others = key in _fields_of(parent)
            self._choices.note("alias that is another field's name" if others else "alias")
        for shape in shapes:
            shape.add(key, asked)
        return key

    def _aliased(self, key: str, name: str) -> str:
        return name if key == name else f"{key}: {name}"

    def _inline_fragment(self, parent: Any, shapes: tuple[Shape, ...], depth: int) -> str:
        condition = self._condition(parent) if self._choices.chance(75) else None
        self._choices.note("inline fragment")
        head = f"... on {condition}" if condition else "..."
        selections = self._selection_set(condition or parent, shapes, depth + 1)
        return f"{head}{self._directives()} {selections}"

    def _spread(self, parent: Any, shapes: tuple[Shape, ...], depth: int) -> str:
        usable = [
            each
            for each in self._fragments
            if do_types_overlap(self._schema, each.on, parent)
            and all(shape.admits_all(each.shape) for shape in shapes)
        ]
        if usable and self._choices.chance(50):
            self._choices.note("fragment spread again")
            fragment = self._choices.one_of(usable)
            for shape in shapes:
                shape.add_all(fragment.shape)
        else:
            fragment = self._fragment(parent, shapes, depth)
        return f"...{fragment.name}{self._directives()}"

    def _fragment(self, parent: Any, shapes: tuple[Shape, ...], depth: int) -> _Fragment:
        self._choices.note("fragment in a fragment" if len(shapes) > 1 else "fragment")
        self._names += 1
        name, condition, shape = f"F{self._names}", self._condition(parent), Shape()
        text = self._selection_set(condition, (*shapes, shape), depth + 1)
        fragment = _Fragment(name, condition, text, shape)
        self._fragments.append(fragment)
        return fragment

    def _condition(self, parent: Any) -> Any:
        """A type that objects of the parent may have, by its name or an interface's."""
        types = [
            type_
            for type_ in self._schema.type_map.values()
            if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
            and do_types_overlap(self._schema, type_, parent)
        ]
        condition = self._choices.one_of([parent, *types])
        if condition is not parent:
            self._choices.note("condition on another type")
        return condition

    def _directives(self) -> str:
        names = ("skip", "include")
        picked = [name for name in names if self._choices.chance(5)]
        return "".join(f" @{name}(if: {self._arguments.of_condition()})" for name in picked)


def has_resolver(field: GraphQLField) -> bool:
    """Whether it has a Python resolver that declares what it needs."""
    return needed_columns(field.extensions.get("strawberry-definition")) is not None


def _fields_of(type_: Any) -> dict[str, GraphQLField]:
    fields: dict[str, GraphQLField] = getattr(type_, "fields", {})
    return fields
