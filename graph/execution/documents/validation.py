"""Validates documents: graphql-core's rules and ours, in one walk that looks up its handlers once.

graphql-core's own walk looks up the handlers of each rule by the kind of each node, anew for every
document: half of its time, and a thousand objects that only the garbage collector frees. Here the
table of handlers is made once for the rules. Names are not visited, as no rule looks at them. Rules
that cannot find anything in a text are left out: those of variables where it has no `$`, those of
directives where it has no `@`. Errors, their order and their places are graphql-core's: a test
compares thousands of documents.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    BREAK,
    SKIP,
    ExecutableDefinitionNode,
    FragmentDefinitionNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OverlappingFieldsCanBeMergedRule,
    StreamDirectiveOnListField,
    TypeInfo,
    ValidationContext,
    ValuesOfCorrectTypeRule,
    Visitor,
    specified_rules,
    validation,
    visit,
)
from graphql.language.ast import QUERY_DOCUMENT_KEYS
from graphql.language.visitor import EnterLeaveVisitor
from graphql.pyutils import RefMap
from graphql.validation.validate import FragmentNestingVisitor, ValidationAbortedError
from graphql.validation.validation_context import VariableUsageVisitor

from graph.errors import ErrorCode
from graph.execution.documents.validation_rules import (
    FewIntrospectionAliases,
    IdempotentMutations,
    ShortValueErrors,
    StreamedLists,
)
from graph.execution.failures import RequestRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphql import DocumentNode, GraphQLSchema, Node
    from graphql.validation.validation_context import NodeWithSelectionSet, VariableUsage

    from graph.execution.documents.limits import Limits

logger = logging.getLogger(__name__)

_MAX_ERRORS = 20
# The budget of the rule that compares fields with the same response key; it takes about 40 ms.
_MAX_COMPARISONS = 20_000


def validate_within(limits: Limits, schema: GraphQLSchema, text: str, node: DocumentNode) -> None:
    """Validate the document of a text against the schema (specification, section 5).

    Raises:
        RequestRejected: the document is invalid, or its validation exceeds the budget.
    """
    rules = RULES if limits.introspection else (*RULES, NoSchemaIntrospectionCustomRule)
    hide = not limits.suggestions
    try:
        errors = errors_in(schema, text, node, rules, _MAX_ERRORS, hide_suggestions=hide)
    except RecursionError:
        raise
    except Exception:  # a rule's own fault: what it could not check does not run
        logger.exception("a validation rule failed")
        errors = [GraphQLError("The document cannot be validated: write it another way.")]
    if errors:
        clear = [_without_internals(error) for error in errors]
        raise RequestRejected(clear, code=ErrorCode.GRAPHQL_VALIDATION_FAILED)


def _without_internals(error: GraphQLError) -> GraphQLError:
    """The error in terms of the document, where graphql-core reports one of Python's."""
    if error.message == "Validation aborted.":
        return GraphQLError("The document is nested too deeply, or repeats fields too often.")
    if "set_int_max_str_digits" in error.message:
        return GraphQLError("Int cannot represent non 32-bit signed integer value.", error.nodes)
    return error


class _OverlappingFields(OverlappingFieldsCanBeMergedRule):
    """graphql-core's rule with a smaller budget: its own lasts for two seconds."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = _MAX_COMPARISONS


# Ours instead of graphql-core's.
_REPLACED: dict[Any, Any] = {
    OverlappingFieldsCanBeMergedRule: _OverlappingFields,
    StreamDirectiveOnListField: StreamedLists,
    ValuesOfCorrectTypeRule: ShortValueErrors,
}
RULES: tuple[Any, ...] = tuple(
    _REPLACED.get(rule, rule)
    for rule in (*specified_rules, IdempotentMutations, FewIntrospectionAliases)
)

_VARIABLES, _FRAGMENTS, _DIRECTIVES = ("$",), ("...", "fragment"), ("@",)
_ARGUMENTS, _INTROSPECTION = ("(",), ("__",)
# Rules that find nothing in a text without any of these. The others apply to every document.
_NEEDS: dict[Any, tuple[str, ...]] = {
    validation.UniqueVariableNamesRule: _VARIABLES,
    validation.NoUndefinedVariablesRule: _VARIABLES,
    validation.NoUnusedVariablesRule: _VARIABLES,
    validation.VariablesAreInputTypesRule: _VARIABLES,
    validation.VariablesInAllowedPositionRule: _VARIABLES,
    validation.KnownTypeNamesRule: (*_VARIABLES, *_FRAGMENTS),
    validation.FragmentsOnCompositeTypesRule: _FRAGMENTS,
    validation.UniqueFragmentNamesRule: _FRAGMENTS,
    validation.KnownFragmentNamesRule: _FRAGMENTS,
    validation.NoUnusedFragmentsRule: _FRAGMENTS,
    validation.PossibleFragmentSpreadsRule: _FRAGMENTS,
    validation.NoFragmentCyclesRule: _FRAGMENTS,
    validation.KnownDirectivesRule: _DIRECTIVES,
    validation.UniqueDirectivesPerLocationRule: _DIRECTIVES,
    validation.DeferStreamDirectiveOnRootField: _DIRECTIVES,
    validation.DeferStreamDirectiveOnValidOperationsRule: _DIRECTIVES,
    validation.DeferStreamDirectiveLabel: _DIRECTIVES,
    StreamedLists: _DIRECTIVES,
    IdempotentMutations: _DIRECTIVES,
    validation.KnownArgumentNamesRule: _ARGUMENTS,
    validation.UniqueArgumentNamesRule: _ARGUMENTS,
    validation.UniqueInputFieldNamesRule: _ARGUMENTS,
    ShortValueErrors: _ARGUMENTS,
    validation.MaxIntrospectionDepthRule: _INTROSPECTION,
    FewIntrospectionAliases: _INTROSPECTION,
    NoSchemaIntrospectionCustomRule: _INTROSPECTION,
    validation.SingleFieldSubscriptionsRule: ("subscription",),
}
_MARKS = sorted({mark for marks in _NEEDS.values() for mark in marks})


@cache
def _rules_for(rules: tuple[Any, ...], marks: tuple[str, ...]) -> tuple[Any, ...]:
    """Those of the rules that may find something in a text with these marks."""
    return tuple(
        rule for rule in rules if rule not in _NEEDS or not set(_NEEDS[rule]).isdisjoint(marks)
    )


def errors_in(
    schema: GraphQLSchema,
    text: str,
    document: DocumentNode,
    rules: tuple[Any, ...],
    max_errors: int,
    *,
    hide_suggestions: bool = False,
) -> list[GraphQLError]:
    """The errors that graphql-core's `validate` finds."""
    errors: list[GraphQLError] = []

    def on_error(error: GraphQLError) -> None:
        if len(errors) >= max_errors:
            raise ValidationAbortedError(
                "Too many validation errors, error limit reached. Validation aborted."
            )
        errors.append(error)

    context = _Context(schema, document, TypeInfo(schema), on_error, hide_suggestions)
    # Definitions of types, which are refused, are looked at by all rules.
    is_plain = all(isinstance(each, ExecutableDefinitionNode) for each in document.definitions)
    marks = tuple(mark for mark in _MARKS if mark in text or not is_plain)
    visitors = [rule(context) for rule in _rules_for(rules, marks)]
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    if fragments:
        visitors.insert(0, FragmentNestingVisitor(fragments))
    try:
        context.walk(document, visitors)
    except ValidationAbortedError as error:
        error.__context__ = None
        errors.append(error.with_traceback(None))
    except RecursionError:
        errors.append(ValidationAbortedError("Validation aborted."))
    return errors


class _Context(ValidationContext):
    """graphql-core's context, whose own walks are this module's.

    Its caches are by the identity of nodes: the hash of a node takes a walk of all below it.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        by_identity: Any = RefMap
        self._fragment_spreads = by_identity()
        self._variable_usages = by_identity()
        self._recursive_variable_usages = by_identity()

    def walk(self, node: Node, visitors: Sequence[Visitor]) -> None:
        """Visit a node and all below it with several visitors, which do not change anything."""
        walk = _Walk(self._type_info, visitors)
        visit(node, _Walker(EnterLeaveVisitor(walk.enter, walk.leave)), _KEYS)

    def get_variable_usages(self, node: NodeWithSelectionSet) -> list[VariableUsage]:
        usages = self._variable_usages.get(node)
        if usages is None:
            fragment = node if isinstance(node, FragmentDefinitionNode) else None
            visitor = VariableUsageVisitor(self._type_info, fragment)
            self.walk(node, [visitor])
            usages = self._variable_usages[node] = visitor.usages
        return usages


# No rule looks at names, and descriptions do not take part in validation.
_KEYS = {
    kind: tuple(key for key in keys if key not in {"name", "alias", "description"})
    for kind, keys in QUERY_DOCUMENT_KEYS.items()
}


class _Walker(Visitor):
    """The same two functions for all kinds of nodes."""

    def __init__(self, both: EnterLeaveVisitor) -> None:
        super().__init__()
        self._both = both

    def get_enter_leave_for_kind(self, _kind: str) -> EnterLeaveVisitor:
        return self._both


class _Walk:
    """Several visitors and a TypeInfo, as ParallelVisitor and TypeInfoVisitor together."""

    def __init__(self, type_info: TypeInfo, visitors: Sequence[Visitor]) -> None:
        self._type_info = type_info
        self._visitors = visitors
        self._handlers = _table(tuple(map(type, visitors)))
        # By visitor: the node that it skips with all below, or BREAK, or None.
        self._skipped: list[Any] = [None] * len(visitors)
        self._skips: list[int] = []  # the visitors that skip a node, in the order of their nodes

    def enter(self, node: Node, *place: Any) -> None:
        handlers = self._handlers[node.kind]
        if handlers.enter_type:
            handlers.enter_type(self._type_info, node)
        skipped = self._skipped
        for number, handler in handlers.enter:
            if skipped[number] is None:
                action = handler(self._visitors[number], node, *place)
                if action is SKIP or action is False:
                    skipped[number] = node
                    self._skips.append(number)
                elif action is BREAK or action is True:
                    skipped[number] = BREAK

    def leave(self, node: Node, *place: Any) -> None:
        handlers = self._handlers[node.kind]
        skipped, skips = self._skipped, self._skips
        for number, handler in handlers.leave:
            if skipped[number] is None:
                action = handler(self._visitors[number], node, *place)
                if action is BREAK or action is True:
                    skipped[number] = BREAK
        while skips and skipped[skips[-1]] is node:
            skipped[skips.pop()] = None
        if handlers.leave_type:
            handlers.leave_type(self._type_info)


class _Handlers(NamedTuple):
    """What is called for nodes of one kind: TypeInfo's methods, and visitors' by their number."""

    enter: tuple[tuple[int, Callable[..., Any]], ...]
    leave: tuple[tuple[int, Callable[..., Any]], ...]
    enter_type: Callable[..., None] | None
    leave_type: Callable[..., None] | None


class _Table(dict[str, _Handlers]):
    """The handlers of visitors of some classes, by the kind of the node."""

    def __init__(self, visitors: tuple[type[Visitor], ...]) -> None:
        self._visitors = visitors

    def __missing__(self, kind: str) -> _Handlers:
        handlers = self[kind] = _Handlers(
            _handlers("enter", kind, self._visitors),
            _handlers("leave", kind, self._visitors),
            getattr(TypeInfo, f"enter_{kind}", None),
            getattr(TypeInfo, f"leave_{kind}", None),
        )
        return handlers


_table = cache(_Table)


def _handlers(
    phase: str, kind: str, visitors: Sequence[type[Visitor]]
) -> tuple[tuple[int, Callable[..., Any]], ...]:
    found = [getattr(each, f"{phase}_{kind}", getattr(each, phase, None)) for each in visitors]
    return tuple((number, handler) for number, handler in enumerate(found) if handler)
