"""The variables of a request (specification, section 6.1.2), coerced by coercers kept for it.

graphql-core judges every value that does not fit, and those that a coercer leaves to it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from graphql import (
    GraphQLError,
    GraphQLNonNull,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    VariableNode,
    coerce_input_literal,
    get_argument_values,
    get_variable_values,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource

from graph.errors import ErrorCode, RequestError, TooLarge
from graph.execution.failures import RequestRejected
from graph.execution.planning.coercion import coercer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from graphql import (
        FieldNode,
        GraphQLField,
        GraphQLInputObjectType,
        GraphQLInputType,
        GraphQLSchema,
        ValueNode,
        VariableDefinitionNode,
    )
    from graphql.execution.get_variable_signature import GraphQLVariableSignature

    from graph.execution.planning.coercion import Coercer

# Each of them prints the value that it is in.
_MAX_ERRORS = 10
# The most that variables may hold, before any of it is coerced: each value counts 1, each object 3
# more. It is enough for the 1,000 values of several filters, and for the 1,000 rows of a mutation.
_MAX_VALUES = 6_000
_MAX_VALUES_OF_MUTATION = 20_000
_OBJECT = 3

# Begins the names of variables that stand for literals (`documents.literals`); no client's do. They
# have a value, which is not null.
SLOT = "\0"

# The variable with the number of the last settled event, which every request has; no client can
# name it.
SETTLED = "$settled"

# The names and positions in lists that lead to a value.
Path: TypeAlias = tuple[str, ...]
# Reads a part of a document for the variables of a request; Undefined where one is not given.
Reader: TypeAlias = "Callable[[dict[str, Any]], Any]"
# Converts a value with its name, or Undefined; raises RequestError.
Converter: TypeAlias = "Callable[[str, Any], Any]"


class Variables:
    """Coerces the variables of one operation; lives as long as the operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        definitions: Sequence[VariableDefinitionNode],
        *,
        of_mutation: bool = False,
    ) -> None:
        self._schema = schema
        self._most = _MAX_VALUES_OF_MUTATION if of_mutation else _MAX_VALUES
        self._definitions = definitions
        self._coercers = _coercers(schema, definitions)

    def coerced(self, given: dict[str, Any]) -> VariableValues:
        """The values of all variables.

        Raises:
            RequestRejected: values do not fit their types, or are too many.
        """
        _check_number(given, self._most)
        try:
            values = self._coerced(given)
        except RecursionError:
            values = None
        return values or self._coerced_by_the_book(given)

    def _coerced(self, given: dict[str, Any]) -> VariableValues | None:
        """The values of all variables; None if one does not fit."""
        if self._coercers is None:
            return None
        sources, coerced = {}, {}
        for name, signature, coerce, is_required in self._coercers:
            value = given.get(name, Undefined)
            sources[name] = VariableValueSource(signature, value)
            if value is Undefined:
                if is_required:
                    return None
                continue
            value = coerced[name] = coerce(value)
            if value is Undefined:
                return None
        return VariableValues(sources, coerced)

    def _coerced_by_the_book(self, given: dict[str, Any]) -> VariableValues:
        outcome = get_variable_values(self._schema, self._definitions, given, _MAX_ERRORS)
        if isinstance(outcome, list):
            raise RequestRejected(outcome, code=ErrorCode.BAD_USER_INPUT)
        return outcome


def _check_number(given: dict[str, Any], most: int) -> None:
    left = most - len(given) - _OBJECT
    ahead = list(given.values())
    while ahead and left >= 0:
        value = ahead.pop()
        if isinstance(value, dict):
            left -= len(value) + _OBJECT
            ahead += value.values() if left >= 0 else ()
        elif isinstance(value, list):
            left -= len(value)
            ahead += value if left >= 0 else ()
    if left < 0:
        error = TooLarge(f"The variables hold more than {most:,} values.")
        rejected = GraphQLError(str(error), original_error=error)
        raise RequestRejected([rejected], code=error.code)


def argument_reader(
    definition: GraphQLField, node: FieldNode, convert: Converter = lambda _, value: value
) -> Callable[[VariableValues], dict[str, Any]]:
    """A function that reads a field's arguments from the variables, as `get_argument_values` does.

    The document is valid and the variables are coerced, so a variable's value is the argument's
    value. graphql-core reads arguments that are more complicated. `convert` is called with each
    value and its name; constants are converted once.
    """

    def by_the_book(variables: VariableValues) -> dict[str, Any]:
        given = get_argument_values(definition, node, variables)
        return {name: convert(name, value) for name, value in given.items()}

    readers = _all_readers(
        (name, _reader(argument.value, definition.args[name].type, name, convert))
        for argument in node.arguments or ()
        for name in [argument.name.value]
    )
    if readers is None or any(each.default for each in definition.args.values()):
        return by_the_book

    required = [
        name for name, argument in definition.args.items() if is_non_null_type(argument.type)
    ]
    defaults = {
        name: convert(name, argument.default_value)
        for name, argument in definition.args.items()
        if argument.default_value is not Undefined
    }

    def read(variables: VariableValues) -> dict[str, Any]:
        try:
            given = _read_members(readers, variables.coerced)
        except (_NullRefused, RequestError):
            return by_the_book(variables)
        if defaults:
            given = defaults | given
        # A variable with a default is let in where null is not, and may be null all the same.
        for name in required:
            if given.get(name) is None:
                return by_the_book(variables)
        return given

    return read


def _all_readers(readers: Iterable[tuple[str, Reader | None]]) -> dict[str, Reader] | None:
    """The readers by name; None if graphql-core must read one of them."""
    found = {}
    for name, read in readers:
        if read is None:
            return None
        found[name] = read
    return found


def _read_members(readers: Mapping[str, Reader], coerced: dict[str, Any]) -> dict[str, Any]:
    """What the readers read, without the variables that are not given."""
    given = {}
    for name, read in readers.items():
        value = read(coerced)
        if value is not Undefined:
            given[name] = value
    return given


class _NullRefused(Exception):
    """A variable is null where null is invalid; graphql-core reports it."""


def names_variable(node: ValueNode) -> bool:
    return any(True for _ in paths_of_variables(node, ()))


def paths_of_variables(node: ValueNode, path: Path) -> Iterator[Path]:
    """The paths of all variables in a value, which has this path itself."""
    match node:
        case VariableNode():
            yield path
        case ListValueNode():
            for nth, value in enumerate(node.values):
                yield from paths_of_variables(value, (*path, str(nth)))
        case ObjectValueNode():
            for member in node.fields:
                yield from paths_of_variables(member.value, (*path, member.name.value))


def _reader(
    node: ValueNode, type_: GraphQLInputType, name: str, convert: Converter
) -> Reader | None:
    """A reader for a constant, a variable, or a combination of them.

    None if graphql-core must read it, or if its conversion fails.
    """
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    if not names_variable(node):
        try:
            constant = convert(name, coerce_input_literal(node, type_))
        except RequestError:
            return None
        return lambda _: constant
    if isinstance(node, VariableNode):
        variable = node.name.value
        return lambda coerced: convert(name, coerced.get(variable, Undefined))
    if is_list_type(type_):
        items = node.values if isinstance(node, ListValueNode) else (node,)
        return _reader_of_list(
            [_reader_within(item, type_.of_type, name, convert) for item in items]
        )
    if isinstance(node, ObjectValueNode) and is_input_object_type(type_):
        return _reader_of_object(node, type_, convert)
    return None


def _reader_within(
    node: ValueNode, type_: GraphQLInputType, name: str, convert: Converter
) -> Reader | None:
    """As `_reader`, but a variable with a default may be null where null is invalid."""
    read = _reader(node, type_, name, convert)
    if read is None or not (is_non_null_type(type_) and isinstance(node, VariableNode)):
        return read

    def read_required(coerced: dict[str, Any]) -> Any:
        value = read(coerced)
        if value is None or value is Undefined:
            raise _NullRefused
        return value

    return read_required


def _reader_of_list(readers: list[Reader | None]) -> Reader | None:
    if None in readers:
        return None

    def read(coerced: dict[str, Any]) -> list[Any]:
        values = (reader(coerced) for reader in readers if reader)
        return [None if value is Undefined else value for value in values]

    return read


def _reader_of_object(
    node: ObjectValueNode, type_: GraphQLInputObjectType, convert: Converter
) -> Reader | None:
    readers = _all_readers(
        (name, _reader_within(member.value, type_.fields[name].type, name, convert))
        for member in node.fields
        for name in [member.name.value]
    )
    if readers is None or any(
        field.default_value is not Undefined for field in type_.fields.values()
    ):
        return None
    if not type_.is_one_of:
        return partial(_read_members, readers)

    def read_one(coerced: dict[str, Any]) -> Any:
        found = _read_members(readers, coerced)
        # What the one member names may not be null: by the book that is refused.
        return None if not found or None in found.values() else found

    return read_one


def _coercers(
    schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]
) -> list[tuple[str, GraphQLVariableSignature, Coercer, bool]] | None:
    """The name, signature and coercer of each variable, and whether it is required.

    None if graphql-core must coerce them.
    """
    found = []
    for definition in definitions:
        signature = get_variable_signature(schema, definition)
        if isinstance(signature, GraphQLError) or definition.default_value:
            return None
        type_ = signature.type
        required = isinstance(type_, GraphQLNonNull)
        found.append((signature.name, signature, coercer_of(type_), required))
    return found
