"""The limits of a document's size and shape, checked before it is executed.

The parser checks counts as it goes. Depth and root fields depend on fragments, so they are measured
afterwards, each fragment once however often it is spread. Validation has a budget of its own
(`validation`). A cached document is not checked again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    StringValueNode,
)
from graphql.language.parser import Parser

from graph.errors import ErrorCode, TooLarge
from graph.execution.failures import RequestRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import (
        DocumentNode,
        ObjectFieldNode,
        SelectionNode,
        SelectionSetNode,
        ValueNode,
    )
    from graphql.language import DirectiveNode, VariableDefinitionNode

    from graph.settings import Settings

# Enough for a list of 1,000 literals and its surroundings.
_MAX_VARIABLES = 200
_MAX_LITERALS = 1_100
# Those of all objects together; filters have at most 100 conditions.
_MAX_MEMBERS = 600
# Aliases and labels are repeated in the answer for every object.
_MAX_ALIAS_CHARS = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings `max_...`, by the rest of their names, and two others: `docs/operations.md`."""

    document_bytes: int = 100_000
    tokens: int = 5_000
    selections: int = 1_000
    depth: int = 20
    aliases: int = 100
    root_fields: int = 50
    directives: int = 50
    fragments: int = 100
    operations: int = 10
    introspection: bool = True
    suggestions: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        names = set(cls.__slots__) - {"introspection", "suggestions"}
        return cls(
            introspection=settings.introspection,
            suggestions=settings.suggestions,
            **{name: getattr(settings, f"max_{name}") for name in names},
        )


def parse_within(limits: Limits, text: str) -> DocumentNode:
    """Parse a text, and stop as soon as it exceeds a limit.

    Raises:
        RequestRejected: the text is not GraphQL, or exceeds a limit.
    """
    if len(text) > limits.document_bytes or len(text.encode()) > limits.document_bytes:
        raise _too_large("is longer than", limits.document_bytes, "bytes")
    parser = _Parser(text, limits)
    try:
        node = parser.parse_document()
        _check_shape(node, limits)
    except GraphQLError as error:
        if parser.token_count > limits.tokens:
            raise _too_large("has more than", limits.tokens, "tokens") from None
        raise RequestRejected([error], code=ErrorCode.GRAPHQL_PARSE_FAILED) from None
    except UnicodeEncodeError:
        raise RequestRejected.because(
            "The document must not contain an unpaired surrogate.",
            code=ErrorCode.GRAPHQL_PARSE_FAILED,
        ) from None
    except RecursionError:
        raise RequestRejected.because(
            "The document is nested too deeply.", code=ErrorCode.GRAPHQL_PARSE_FAILED
        ) from None
    return node


class _Parser(Parser):
    """graphql-core's parser, with a limit for each kind of node."""

    def __init__(self, text: str, limits: Limits) -> None:
        super().__init__(text, max_tokens=limits.tokens)
        self._counts = Counter[str]()
        self._most = {
            "variables": _MAX_VARIABLES,
            "literals": _MAX_LITERALS,
            "members of objects": _MAX_MEMBERS,
            "selections": limits.selections,
            "aliases": limits.aliases,
            "directives": limits.directives,
            "fragments": limits.fragments,
            "operations": limits.operations,
        }

    def parse_field(self) -> FieldNode:
        self._count("selections")
        node = super().parse_field()
        if node.alias:
            self._count("aliases")
            _check_length("an alias", node.alias.value)
        return node

    def parse_fragment(self) -> FragmentSpreadNode | InlineFragmentNode:
        self._count("selections")
        return super().parse_fragment()

    def parse_directive(self, is_const: bool) -> DirectiveNode:  # noqa: FBT001  as inherited
        self._count("directives")
        node = super().parse_directive(is_const)
        for argument in node.arguments or ():
            if argument.name.value == "label" and isinstance(argument.value, StringValueNode):
                _check_length("a label", argument.value.value)
        return node

    def parse_fragment_definition(self) -> FragmentDefinitionNode:
        self._count("fragments")
        return super().parse_fragment_definition()

    def parse_operation_definition(self) -> OperationDefinitionNode:
        self._count("operations")
        return super().parse_operation_definition()

    def parse_variable_definition(self) -> VariableDefinitionNode:
        self._count("variables")
        return super().parse_variable_definition()

    def parse_value_literal(self, is_const: bool) -> ValueNode:  # noqa: FBT001  as inherited
        self._count("literals")
        return super().parse_value_literal(is_const)

    def parse_object_field(self, is_const: bool) -> ObjectFieldNode:  # noqa: FBT001  as inherited
        self._count("members of objects")
        return super().parse_object_field(is_const)

    def _count(self, kind: str) -> None:
        self._counts[kind] += 1
        if self._counts[kind] > self._most[kind]:
            raise _too_large("has more than", self._most[kind], kind)


def _check_length(kind: str, text: str) -> None:
    if len(text) > _MAX_ALIAS_CHARS:
        raise _too_large(f"has {kind} of more than", _MAX_ALIAS_CHARS, "characters")


def fields_in(document: DocumentNode, most: int) -> int:
    """The number of fields that the operations select, at most `most` of each operation.

    A fragment counts as often as it is spread.
    """
    fields_of = _Measure(_fragments(document), sum, lambda node, below: 1 + _below(node, below))
    return sum(
        min(fields_of(definition.selection_set), most)
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
    )


def _fragments(document: DocumentNode) -> dict[str, SelectionSetNode]:
    return {
        definition.name.value: definition.selection_set
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }


def _check_shape(document: DocumentNode, limits: Limits) -> None:
    fragments = _fragments(document)
    depth_of = _Measure(fragments, max, lambda node, below: 1 + _below(node, below))
    roots_of = _Measure(fragments, sum, lambda _node, _below: 1)
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode):
            continue
        if depth_of(definition.selection_set) > limits.depth:
            raise _too_large("nests fields deeper than", limits.depth, "levels")
        if roots_of(definition.selection_set) > limits.root_fields:
            raise _too_large("has more than", limits.root_fields, "root fields")


class _Measure:
    """A number for a selection set, combined from those of its fields; cached by fragment.

    `of_field` measures a field with this measure at hand; `combine` is `sum` or `max`.
    """

    def __init__(
        self,
        fragments: dict[str, SelectionSetNode],
        combine: Callable[[Any], int],
        of_field: Callable[[FieldNode, Callable[[SelectionSetNode], int]], int],
    ) -> None:
        self._fragments = fragments
        self._combine = combine
        self._of_field = of_field
        self._by_fragment: dict[str, int] = {}

    def __call__(self, selections: SelectionSetNode) -> int:
        return self._combine([0, *(self._of(node) for node in selections.selections)])

    def _of(self, node: SelectionNode) -> int:
        match node:
            case FieldNode():
                return self._of_field(node, self)
            case InlineFragmentNode():
                return self(node.selection_set)
            case FragmentSpreadNode():
                return self._of_fragment(node.name.value)
        raise AssertionError(node)

    def _of_fragment(self, name: str) -> int:
        if name not in self._by_fragment:
            # A fragment that spreads itself counts as 0 here; validation refuses it.
            self._by_fragment[name] = 0
            if name in self._fragments:
                self._by_fragment[name] = self(self._fragments[name])
        return self._by_fragment[name]


def _below(node: FieldNode, measure: Callable[[SelectionSetNode], int]) -> int:
    return measure(node.selection_set) if node.selection_set else 0


def _too_large(predicate: str, most: int, unit: str) -> RequestRejected:
    error = TooLarge(f"The document {predicate} {most:,} {unit}.")
    return RequestRejected([GraphQLError(str(error), original_error=error)], code=error.code)
