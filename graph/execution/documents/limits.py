"""What a document may be: its shape, before anybody spends time on what it says.

Counts are held to their limits while the text is parsed. What only fragments tell (depth, root
fields) is measured next, each fragment once however often it is spread; validation has a budget.
All of it is paid when a text is read, and not again while its document is kept.
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
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    StringValueNode,
    specified_rules,
    validate,
)
from graphql.language.parser import Parser

from graph.errors import TooLarge
from graph.execution.documents.validation_rules import FewIntrospectionAliases, IdempotentMutations
from graph.execution.failures import RequestRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import (
        DocumentNode,
        GraphQLSchema,
        SelectionNode,
        SelectionSetNode,
        ValidationContext,
        ValueNode,
    )
    from graphql.language import DirectiveNode, VariableDefinitionNode

    from graph.settings import Settings

_MAX_ERRORS = 20
# More than anybody writes by hand: a list of a thousand values, and what stands around it.
_MAX_VARIABLES = 200
_MAX_LITERALS = 1_100
# They come back with every object.
_MAX_ALIAS_CHARS = 100
# Units of work for the rule that compares fields of one name: so many take about 40 ms.
_MAX_COMPARISONS = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that begin with `max_`, by the rest of their names; see `docs/operations.md`."""

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
    """Parse a text, and give up as soon as it is too much.

    Raises:
        RequestRejected: it is not GraphQL, or not within the limits.
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
        raise RequestRejected([error], code="GRAPHQL_PARSE_FAILED") from None
    except UnicodeEncodeError:
        raise RequestRejected.because(
            "The document holds half of a surrogate pair.", code="GRAPHQL_PARSE_FAILED"
        ) from None
    except RecursionError:
        raise RequestRejected.because(
            "The document is nested too deeply.", code="GRAPHQL_PARSE_FAILED"
        ) from None
    return node


def validate_within(limits: Limits, schema: GraphQLSchema, node: DocumentNode) -> None:
    """Return if a document is one of the schema's.

    Raises:
        RequestRejected: it is not, or takes too long to tell.
    """
    rules = _RULES if limits.introspection else (*_RULES, NoSchemaIntrospectionCustomRule)
    hide = not limits.suggestions
    errors = validate(schema, node, rules, max_errors=_MAX_ERRORS, hide_suggestions=hide)
    if errors:
        clear = [_in_clear_words(error) for error in errors]
        raise RequestRejected(clear, code="GRAPHQL_VALIDATION_FAILED")


class _OverlappingFields(OverlappingFieldsCanBeMergedRule):
    """graphql-core's rule, whose own budget lasts for two seconds."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = _MAX_COMPARISONS


_RULES = tuple(
    _OverlappingFields if rule is OverlappingFieldsCanBeMergedRule else rule
    for rule in (*specified_rules, IdempotentMutations, FewIntrospectionAliases)
)


class _Parser(Parser):
    """graphql-core's parser, which counts what it finds."""

    def __init__(self, text: str, limits: Limits) -> None:
        super().__init__(text, max_tokens=limits.tokens)
        self._counts = Counter[str]()
        self._most = {
            "variables": _MAX_VARIABLES,
            "literals": _MAX_LITERALS,
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

    def _count(self, what: str) -> None:
        self._counts[what] += 1
        if self._counts[what] > self._most[what]:
            raise _too_large("has more than", self._most[what], what)


def _check_length(what: str, text: str) -> None:
    if len(text) > _MAX_ALIAS_CHARS:
        raise _too_large(f"has {what} of more than", _MAX_ALIAS_CHARS, "characters")


def fields_in(document: DocumentNode, most: int) -> int:
    """How many fields its operations select, of each at most so many.

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
    """A number for each selection set, put together from its fields'; each fragment's is kept."""

    def __init__(
        self,
        fragments: dict[str, SelectionSetNode],
        together: Callable[[Any], int],
        of_field: Callable[[FieldNode, Callable[[SelectionSetNode], int]], int],
    ) -> None:
        self._fragments = fragments
        self._together = together
        self._of_field = of_field
        self._known: dict[str, int] = {}

    def __call__(self, selections: SelectionSetNode) -> int:
        return self._together([0, *(self._of(node) for node in selections.selections)])

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
        if name not in self._known:
            # A fragment that spreads itself adds nothing here; validation refuses it.
            self._known[name] = 0
            if name in self._fragments:
                self._known[name] = self(self._fragments[name])
        return self._known[name]


def _below(node: FieldNode, measure: Callable[[SelectionSetNode], int]) -> int:
    return measure(node.selection_set) if node.selection_set else 0


def _too_large(what: str, most: int, unit: str) -> RequestRejected:
    error = TooLarge(f"The document {what} {most:,} {unit}.")
    return RequestRejected([GraphQLError(str(error), original_error=error)], code=error.code)


def _in_clear_words(error: GraphQLError) -> GraphQLError:
    """What a client can act on, where graphql-core passes on what happened to Python."""
    if error.message == "Validation aborted.":
        return GraphQLError("The document is nested too deeply, or repeats fields too often.")
    if "set_int_max_str_digits" in error.message:
        return GraphQLError("Int cannot represent non 32-bit signed integer value.", error.nodes)
    return error
