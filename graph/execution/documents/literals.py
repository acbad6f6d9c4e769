r"""Texts that differ in literals only share a document: its literals are variables without a name.

A text is split into its numbers and strings, and what stands between them. What stands between is
the key: it holds no NUL, so with a NUL for each literal it stands for one sequence of tokens.

    { customer(by: {databaseId: 17}) { email } }

    key         { customer(by: {databaseId: \0}) { email } }
    literals    17
    template    query { customer(by: {databaseId: $0}) { email } }

Of each literal the template knows its type, and another one of that type may stand there (a slot);
or that it must be the same as the template's. Those are the literals in directives, in defaults of
variables, and in fields of which the document has several with one response key: validation
compares them. Enum values, booleans and null are part of the key.

Every slot of the document is coerced, so that a wrong literal in an operation that is not executed
is found as well. The caller reads the text by itself if anything is refused: errors have positions.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    FloatValueNode,
    GraphQLError,
    GraphQLInt,
    GraphQLString,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Undefined,
    VariableNode,
    Visitor,
    coerce_input_literal,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_scalar_type,
    parse_value,
)

from graph.execution.documents.visiting import visit_once
from graph.execution.planning.variables import SLOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import DocumentNode, GraphQLInputType, GraphQLSchema, ValueNode

    Reader = Callable[[str], Any]

# Quantifiers are possessive, so that nothing is looked at twice: splitting takes linear time. It
# begins with the characters that any of them begins with: the search for the next one is quick.
_LITERAL = re.compile(
    r'''([-#"0-9](?:
        (?<=")""(?:[^"\\]|\\"""|\\|"(?!""))*+"""  # a block string
    |   (?<=")(?!"")(?:[^"\\\n\r]|\\.)*+"         # a string
    |   (?<=")[\s\S]*+                             # one without an end is the rest of the text
    |   (?<=\#)[^\n\r]*+                           # a comment
    |   (?:(?<=-)(?:0|[1-9][0-9]*+)               # a number
        |  (?<![\w-][0-9])(?:(?<=0)|(?<=[1-9])[0-9]*+)
        )(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+(?![\w.])
    ))''',
    re.ASCII | re.VERBOSE,
)
_INT_DIGITS = 10
_MAX_INT = 2**31


def without_literals(text: str) -> str:
    """A text in which a question mark stands for each number, string and comment."""
    return _LITERAL.sub("?", text)


def split(text: str) -> tuple[str, list[str]] | None:
    """The key of a text and its literals; None if it has none, or must be read by itself."""
    parts = _LITERAL.split(text)
    if len(parts) == 1 or SLOT in text or not _is_unicode(text):
        return None
    if "#" not in text:
        return SLOT.join(parts[::2]), parts[1::2]
    between, literals = [parts[0]], []
    for found, after in zip(parts[1::2], parts[2::2], strict=True):
        if found[0] == "#":
            between[-1] += found + after
        else:
            literals.append(found)
            between.append(after)
    return (SLOT.join(between), literals) if literals else None


def _is_unicode(text: str) -> bool:
    """Whether the text has no lone surrogate."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True)
class Slots:
    """The literals of a key by their numbers: names and readers of slots, and fixed ones."""

    readers: tuple[tuple[int, str, Reader], ...]
    fixed: tuple[int, ...]

    def values(self, literals: list[str]) -> dict[str, Any] | None:
        """The values of the slots; None if a literal is not of its slot's type."""
        values = {}
        for number, name, read in self.readers:
            value = read(literals[number])
            if value is Undefined:
                return None
            values[name] = value
        return values


def template(
    schema: GraphQLSchema, text: str, document: DocumentNode
) -> tuple[DocumentNode, Slots] | None:
    """The document of a text with slots for its literals; None if it has none, or is no query."""
    if any(
        isinstance(each, OperationDefinitionNode) and each.operation is not OperationType.QUERY
        for each in document.definitions
    ):
        return None
    literals = (found for found in _LITERAL.finditer(text) if found[0][0] != "#")
    numbers = {found.start(): number for number, found in enumerate(literals)}
    keys = _ResponseKeys()
    visit_once(document, keys)
    info = TypeInfo(schema)
    slotted = _Slotted(info, numbers, keys.repeated)
    made = visit_once(document, TypeInfoVisitor(info, slotted))
    if not slotted.readers or slotted.met != set(numbers.values()):
        return None
    readers = tuple((number, _name(number), read) for number, read in slotted.readers.items())
    fixed = tuple(number for number in numbers.values() if number not in slotted.readers)
    return made, Slots(readers, fixed)


class _ResponseKeys(Visitor):
    """Counts the response keys of fields with arguments."""

    def __init__(self) -> None:
        super().__init__()
        self._met = Counter[str]()

    @property
    def repeated(self) -> set[str]:
        return {key for key, times in self._met.items() if times > 1}

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.arguments:
            self._met[_response_key(node)] += 1


class _Slotted(Visitor):
    """Replaces literals by slots; `numbers` are those of the literals by where they begin."""

    def __init__(self, info: TypeInfo, numbers: dict[int, int], repeated: set[str]) -> None:
        super().__init__()
        self._info = info
        self._numbers = numbers
        self._repeated = repeated
        self._fixed = 0  # the depth in directives and definitions of variables
        self._fields: list[str] = []
        self.met: set[int | None] = set()
        self.readers: dict[int, Reader] = {}

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self._fields.append(_response_key(node))

    def leave_field(self, *_: Any) -> None:
        self._fields.pop()

    def _enter_fixed(self, *_: Any) -> None:
        self._fixed += 1

    def _leave_fixed(self, *_: Any) -> None:
        self._fixed -= 1

    enter_directive = enter_variable_definition = _enter_fixed
    leave_directive = leave_variable_definition = _leave_fixed

    def _enter_literal(self, node: ValueNode, *_: Any) -> VariableNode | None:
        assert node.loc is not None  # noqa: S101  it was parsed
        number = self._numbers.get(node.loc.start)
        self.met.add(number)
        type_ = self._info.get_input_type()
        is_fixed = self._fixed or not self._fields or self._fields[-1] in self._repeated
        if number is None or is_fixed or not _may_be_slot(type_):
            return None
        self.readers[number] = _reader(type_)
        return VariableNode(name=NameNode(value=_name(number), loc=node.loc), loc=node.loc)

    enter_int_value = enter_float_value = enter_string_value = _enter_literal


def _response_key(node: FieldNode) -> str:
    return (node.alias or node.name).value


def _name(number: int) -> str:
    return f"{SLOT}{number}"


def _may_be_slot(type_: GraphQLInputType | None) -> bool:
    """A scalar, or a list of scalars, for which one may stand."""
    nullable = get_nullable_type(type_)
    element = get_nullable_type(nullable.of_type) if is_list_type(nullable) else nullable
    return is_scalar_type(element) and get_named_type(element) is element


def _reader(type_: Any) -> Reader:
    def by_the_book(literal: str) -> Any:
        try:
            return coerce_input_literal(_node(literal), type_)
        except (GraphQLError, ValueError):
            return Undefined

    def integer(literal: str) -> Any:
        if len(literal) > _INT_DIGITS or not literal.isdigit():
            return by_the_book(literal)
        value = int(literal)
        return value if value < _MAX_INT else Undefined

    def string(literal: str) -> Any:
        if "\\" in literal or literal[0] != '"' or literal.startswith('"""'):
            return by_the_book(literal)
        return literal[1:-1]

    fast: dict[Any, Reader] = {GraphQLInt: integer, GraphQLString: string}
    return fast.get(get_nullable_type(type_), by_the_book)


def _node(literal: str) -> ValueNode:
    if literal[0] == '"':
        return parse_value(literal, no_location=True)
    if literal.removeprefix("-").isdigit():
        return IntValueNode(value=literal)
    return FloatValueNode(value=literal)
