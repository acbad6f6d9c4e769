"""The arguments of fields and directives: literals, and variables with all their shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLBoolean,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_abstract_type,
    is_required_argument,
)

from tests.execution.generator.known import element_of
from tests.execution.generator.values import ABSENT, SIZES, Place, literal

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLInputType, GraphQLSchema

    from tests.execution.generator.choices import Choices
    from tests.execution.generator.values import Values


@dataclass(frozen=True)
class Variable:
    """`values` has one for each set of variables that the operation is run with."""

    name: str
    position: str
    place: Place
    declared: str
    values: tuple[Any, ...]


class Arguments:
    """Draws arguments as the document writes them, and declares the variables they name."""

    def __init__(
        self, schema: GraphQLSchema, values: Values, choices: Choices, *, sets: int
    ) -> None:
        self._schema = schema
        self._values = values
        self._choices = choices
        self._sets = range(sets)
        self._variables: list[Variable] = []

    @property
    def declarations(self) -> str:
        declared = ", ".join(f"${each.name}: {each.declared}" for each in self._variables)
        return f"({declared})" if declared else ""

    def variables(self) -> tuple[dict[str, Any], ...]:
        """The sets of variables that the operation is run with."""
        return tuple(
            {
                each.name: each.values[nth]
                for each in self._variables
                if each.values[nth] is not ABSENT
            }
            for nth in self._sets
        )

    def of_field(self, field: GraphQLField) -> str:
        nouns = self._nouns(field)
        written = {}
        if set(SIZES) < set(field.args):
            written = self._sizes(nouns)
        for name, argument in field.args.items():
            required = is_required_argument(argument)
            if name not in SIZES and (required or self._choices.chance(25)):
                written[name] = self._written(argument.type, Place(name, nouns))
        given = [f"{name}: {value}" for name, value in written.items()]
        if self._choices.chance(30):
            given.reverse()
        for name in written:
            self._choices.note(name)
        return f"({', '.join(given)})" if given else ""

    def of_condition(self) -> str:
        if self._choices.chance(50):
            self._choices.note("condition by variable")
            return self._variable(GraphQLNonNull(GraphQLBoolean), Place("if"))
        self._choices.note("condition by literal")
        return "true" if self._choices.chance(50) else "false"

    def _nouns(self, field: GraphQLField) -> tuple[str, ...]:
        """The nouns that the field's arguments speak of."""
        type_ = element_of(field) or get_named_type(field.type)
        if is_abstract_type(type_):
            return tuple(possible.name for possible in self._schema.get_possible_types(type_))
        return (type_.name,)

    def _sizes(self, nouns: tuple[str, ...]) -> dict[str, str]:
        """The size of a page from one end, or from that which the variables say."""
        if self._choices.chance(10):
            self._choices.note("either end by variables")
            return self._either_size(nouns)
        names = [(), SIZES[:1], SIZES[1:]][self._choices.number(0, 8) % 3]
        if self._values.is_careless():
            names = SIZES
        return {name: self._written(GraphQLInt, Place(name, nouns)) for name in names}

    def _either_size(self, nouns: tuple[str, ...]) -> dict[str, str]:
        given = [self._choices.one_of(SIZES) for _ in self._sets]
        variables = {}
        for size in SIZES:
            values = tuple(
                self._values.value(GraphQLInt, Place(size, nouns))
                if size == end
                else self._choices.one_of((ABSENT, None))
                for end in given
            )
            name = f"v{len(self._variables)}"
            self._variables.append(Variable(name, "", Place(size, nouns), "Int", values))
            variables[size] = f"${name}"
        return variables

    def _written(self, type_: GraphQLInputType, place: Place) -> str:
        if self._choices.chance(40):
            return self._variable(type_, place)
        inner: Any = _nullable(type_)
        if isinstance(inner, GraphQLInputObjectType) and self._choices.chance(50):
            return self._object(inner, place)
        if isinstance(inner, GraphQLList) and self._choices.chance(40):
            items = range(self._choices.number(0, 3))
            return f"[{', '.join(self._written(inner.of_type, place) for _ in items)}]"
        return literal(self._values.value(type_, place), type_)

    def _object(self, type_: GraphQLInputObjectType, place: Place) -> str:
        """An input object with a variable in place of a member's value."""
        self._choices.note("variable in an object")
        name = self._choices.one_of(list(type_.fields))
        member: Any = type_.fields[name].type
        below = Place(name, place.nouns)
        if not type_.is_one_of:
            return f"{{{name}: {self._variable(member, below)}}}"
        self._choices.note("oneOf")
        required = GraphQLNonNull(_nullable(member))
        return f"{{{name}: {self._variable(required, below, always_required=True)}}}"

    def _variable(
        self, type_: GraphQLInputType, place: Place, *, always_required: bool = False
    ) -> str:
        """A variable for a place that takes this type.

        Members of oneOf inputs are `always_required`: a default does not make up for a null.
        """
        position = f"{type_}{' always' if always_required else ''}"
        usable = [
            each for each in self._variables if (each.position, each.place) == (position, place)
        ]
        if usable and self._choices.chance(30):
            self._choices.note("variable used again")
            return f"${self._choices.one_of(usable).name}"
        self._choices.note("variable")
        required = isinstance(type_, GraphQLNonNull)
        nullable = not required and not self._choices.chance(20)
        default = ""
        if self._choices.chance(30):
            self._choices.note("default")
            stated: Any = type_ if nullable else GraphQLNonNull(_nullable(type_))
            default = f" = {literal(self._values.value(stated, place), type_)}"
        # What is required need not be declared so, if there is a default.
        bang = not nullable and (always_required or not default or self._choices.chance(50))
        declared = f"{_nullable(type_)}{'!' if bang else ''}{default}"
        values = tuple(
            self._given(type_, place, nullable=nullable, optional=bool(nullable or default))
            for _ in self._sets
        )
        name = f"v{len(self._variables)}"
        self._variables.append(Variable(name, position, place, declared, values))
        return f"${name}"

    def _given(
        self, type_: GraphQLInputType, place: Place, *, nullable: bool, optional: bool
    ) -> Any:
        if optional and self._choices.chance(30):
            self._choices.note("variable left out")
            return ABSENT
        if self._values.is_careless():
            return None
        return self._values.value(type_ if nullable else GraphQLNonNull(_nullable(type_)), place)


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_
