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
    GraphQLString,
    get_named_type,
    is_abstract_type,
    is_required_argument,
)

from tests.execution.generator.known import element_of, listed_by
from tests.execution.generator.sorts import sort_by_key, sort_by_rank, without_doubles
from tests.execution.generator.values import ABSENT, CURSORS, SIZES, Place, below, literal, within

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLInputType, GraphQLSchema

    from tests.execution.generator.choices import Choices
    from tests.execution.generator.known import Known
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
        self, schema: GraphQLSchema, known: Known, values: Values, choices: Choices, *, sets: int
    ) -> None:
        self._schema = schema
        self._known = known
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
        entities = self._nouns(field)
        if set(SIZES) < set(field.args):
            written = self._of_connection(field, entities)
        elif "by" in field.args and "having" in field.args:
            written = self._of_groups(field, entities)
        else:
            written = {
                name: self._written(argument.type, Place(name, entities))
                for name, argument in field.args.items()
                if is_required_argument(argument) or self._choices.chance(25)
            }
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
        """The entities that the field's arguments speak of."""
        type_ = element_of(field) or get_named_type(field.type)
        if is_abstract_type(type_):
            return tuple(possible.name for possible in self._schema.get_possible_types(type_))
        return (type_.name,)

    def _of_connection(self, field: GraphQLField, entities: tuple[str, ...]) -> dict[str, str]:
        written = {}
        ranked = False
        if "where" in field.args and self._choices.chance(45):
            where: Any = field.args["where"].type
            if ranked := "search" in where.fields and self._choices.chance(20):
                words = self._values.value(GraphQLNonNull(GraphQLString), Place("search"))
                written["where"] = literal({"search": words}, where)
            else:
                written["where"] = self._written(where, Place("where", entities))
        orders: tuple[str, ...] | None = tuple("" for _ in self._sets)
        if "text" in field.args:
            words = self._values.value(field.args["text"].type, Place("text"))
            written["text"] = self._given_as_is(words, field.args["text"].type)
            orders = tuple(f"text: {literal(words, GraphQLString)}" for _ in self._sets)
        if "orderBy" in field.args and (ranked or self._choices.chance(35)):
            written["orderBy"], orders = self._order(field, entities, ranked=ranked)
            if ranked and orders:
                orders = tuple(f"where: {written['where']}, {order}" for order in orders)
        written |= self._sizes(entities)
        cursors = {}
        if orders is not None:
            cursors = {
                name: self._cursor(name, entities, listed_by(field) or "", orders)
                for name in CURSORS
                if self._choices.chance(18)
            }
        from_start = not cursors and "last" not in written
        offset = from_start and self._choices.chance(30)
        if "offset" in field.args and (offset or self._values.is_careless()):
            written["offset"] = self._written(GraphQLInt, Place("offset", entities))
        return written | cursors

    def _order(
        self, field: GraphQLField, entities: tuple[str, ...], *, ranked: bool
    ) -> tuple[str, tuple[str, ...] | None]:
        """A sort; and for each set of variables the argument that says the same.

        None instead where a variable is inside of it.
        """
        type_, place = field.args["orderBy"].type, Place("orderBy", entities)
        if ranked:
            self._choices.note("rank")
            value = sort_by_rank(self._values.value(type_, place))
            written = literal(value, type_)
            return written, tuple(f"orderBy: {written}" for _ in self._sets)
        written = self._written(type_, place)
        if not written.startswith("$"):
            return written, None if "$" in written else tuple(
                f"orderBy: {written}" for _ in self._sets
            )
        (variable,) = [each for each in self._variables if each.name == written[1:]]
        if " = " in variable.declared:
            return written, None
        given = [None if value is ABSENT else value for value in variable.values]
        return written, tuple(f"orderBy: {literal(value, type_)}" for value in given)

    def _cursor(
        self, name: str, entities: tuple[str, ...], listed: str, orders: tuple[str, ...]
    ) -> str:
        """A cursor of each of these orders."""
        place = Place(name, entities)
        if not any(orders) or self._values.is_careless():
            return self._written(GraphQLString, place)
        known = [self._known.cursors_under(listed, order) for order in orders]
        values = tuple(self._choices.one_of(each) if each else None for each in known)
        self._choices.note(f"{name} under a sort")
        if len(set(values)) == 1 and self._choices.chance(60):
            return literal(values[0], GraphQLString)
        self._variables.append(Variable(f"v{len(self._variables)}", "", place, "String", values))
        return f"${self._variables[-1].name}"

    def _of_groups(self, field: GraphQLField, entities: tuple[str, ...]) -> dict[str, str]:
        by_type: Any = field.args["by"].type
        keys = [
            self._values.value(_element(by_type), Place("by", entities))
            for _ in range(self._choices.one_of((1, 1, 1, 2, 2, 3)))
        ]
        if not self._values.is_careless():
            keys = without_doubles(keys)
        written = {"by": self._given_as_is(keys, by_type)}
        if self._choices.chance(40):
            written["having"] = self._written(field.args["having"].type, Place("having", entities))
        if self._choices.chance(50):
            type_ = field.args["orderBy"].type
            if self._choices.chance(50):
                directions: Any = self._schema.type_map["Direction"]
                direction = self._choices.one_of(list(directions.values))
                self._choices.note("groups by a key's order")
                sorts = [{"key": sort_by_key(self._choices.one_of(keys), direction)}]
                written["orderBy"] = self._given_as_is(sorts, type_)
            else:
                written["orderBy"] = self._written(type_, Place("orderBy", entities))
        if self._choices.chance(30):
            written["first"] = self._written(GraphQLInt, Place("first", entities))
        return written

    def _given_as_is(self, value: Any, type_: GraphQLInputType) -> str:
        """A value as a literal, or as a variable that is the same in all sets."""
        if self._choices.chance(70):
            return literal(value, type_)
        declared = f"{_nullable(type_)}!"
        name = f"v{len(self._variables)}"
        values = tuple(value for _ in self._sets)
        self._variables.append(Variable(name, "", Place("as is"), declared, values))
        return f"${name}"

    def _sizes(self, entities: tuple[str, ...]) -> dict[str, str]:
        """The size of a page from one end, or from that which the variables say."""
        if self._choices.chance(10):
            self._choices.note("either end by variables")
            return self._either_size(entities)
        names = [(), SIZES[:1], SIZES[1:]][self._choices.number(0, 8) % 3]
        if self._values.is_careless():
            names = SIZES
        return {name: self._written(GraphQLInt, Place(name, entities)) for name in names}

    def _either_size(self, entities: tuple[str, ...]) -> dict[str, str]:
        given = [self._choices.one_of(SIZES) for _ in self._sets]
        variables = {}
        for size in SIZES:
            values = tuple(
                self._values.value(GraphQLInt, Place(size, entities))
                if size == end
                else self._choices.one_of((ABSENT, None))
                for end in given
            )
            name = f"v{len(self._variables)}"
            self._variables.append(Variable(name, "", Place(size, entities), "Int", values))
            variables[size] = f"${name}"
        return variables

    def _written(self, type_: GraphQLInputType, place: Place) -> str:
        if self._choices.chance(40):
            return self._variable(type_, place)
        inner: Any = _nullable(type_)
        if isinstance(inner, GraphQLInputObjectType) and self._choices.chance(40):
            return self._object(inner, place)
        if isinstance(inner, GraphQLList) and self._choices.chance(40):
            items = range(self._choices.number(0, 3))
            return f"[{', '.join(self._written(inner.of_type, place) for _ in items)}]"
        return literal(self._values.value(type_, place), type_)

    def _object(self, type_: GraphQLInputObjectType, place: Place) -> str:
        """An input object with a variable in place of a member's value, at any depth."""
        self._choices.note("variable in an object")
        names = [name for name in type_.fields if name not in {"rank", "key"}]
        name = self._choices.one_of(names)
        member: Any = type_.fields[name].type
        place = below(type_, name, within(type_, place))
        inner = get_named_type(member)
        if isinstance(inner, GraphQLInputObjectType) and self._choices.chance(60):
            self._choices.note("variable deep in an object")
            text = self._object(inner, place)
            return f"{{{name}: [{text}]}}" if _is_list(member) else f"{{{name}: {text}}}"
        if not type_.is_one_of:
            required = GraphQLNonNull(_nullable(member))
            return f"{{{name}: {self._variable(required, place)}}}"
        self._choices.note("oneOf")
        required = GraphQLNonNull(_nullable(member))
        return f"{{{name}: {self._variable(required, place, always_required=True)}}}"

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


def _element(type_: Any) -> Any:
    return _nullable(type_).of_type


def _is_list(type_: Any) -> bool:
    return isinstance(_nullable(type_), GraphQLList)
