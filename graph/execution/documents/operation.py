"""An operation of a document, with its cached plans and compiled statements."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLDeferDirective,
    GraphQLError,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    GraphQLStreamDirective,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    print_ast,
    strip_ignored_characters,
)

from graph.database.catalog import catalog
from graph.errors import ErrorCode, RequestError
from graph.execution.documents.coordinates import coordinates_of
from graph.execution.failures import RequestRejected
from graph.execution.planning.charges import MAX_FIELDS
from graph.execution.planning.compile import Compiled, compile_plan
from graph.execution.planning.history import History
from graph.execution.planning.mutation import CompiledMutation
from graph.execution.planning.select import select
from graph.execution.planning.variables import Variables
from graph.schema.fields import Meaning, meaning_of
from graph.telemetry import step

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from graphql import DirectiveNode, FragmentDefinitionNode, GraphQLSchema, SelectionNode
    from graphql.execution.values import VariableValues

    from graph.execution.planning.plan import Plan
    from graph.selection import Value

C = TypeVar("C")

_CONDITIONS = {GraphQLSkipDirective.name, GraphQLIncludeDirective.name}
_PARTS = {GraphQLDeferDirective.name, GraphQLStreamDirective.name}
# The most shapes of variables that one operation is compiled for; clients use few.
_MAX_VARIANTS = 32
# The most fields that they select together, so that a large operation has fewer variants.
_MAX_CACHED_FIELDS = 2 * MAX_FIELDS


class Operation:
    """An operation, compiled once for each shape of its variables; lives as long as its document.

    Most requests differ in values only. So the first request of a shape walks the operation, and
    caches the recipes that turn the variables of later requests into the statement's parameters.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        node: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        sha256: str | None = None,
    ) -> None:
        self.node = node
        # Of its document's text; None where several texts share the document.
        self.sha256 = sha256
        self.name = node.name.value if node.name else None
        self.type = node.operation.value
        self.is_query = node.operation is OperationType.QUERY
        self.is_mutation = node.operation is OperationType.MUTATION
        self.is_subscription = node.operation is OperationType.SUBSCRIPTION
        self.is_atomic = any(each.name.value == "atomic" for each in node.directives or ())
        self.variables = Variables(
            schema, node.variable_definitions or (), of_mutation=self.is_mutation
        )
        self._schema = schema
        self.fragments = fragments
        selections = list(_selections(node, fragments))
        directives = [each for selection in selections for each in selection.directives or ()]
        self.may_have_parts = any(each.name.value in _PARTS for each in directives)
        # The variables of @skip and @include.
        deciding = [each for each in directives if each.name.value in _CONDITIONS]
        self._conditions = sorted({name for each in deciding for name in _variables_of(each)})
        self._readings: dict[Hashable, _Reading] = {}
        self._compiled: dict[Hashable, Any] = {}
        self.history = History()  # of what is not compiled
        self._selected = 0  # fields in all compiled variants
        self._texts: dict[str, str] = {}
        # Whether it may list events, up to the last settled one.
        log = _names_of_log(schema)
        self.reads_log = any(
            isinstance(each, FieldNode) and each.name.value in log for each in selections
        )

    @cached_property
    def coordinates(self) -> tuple[str, ...]:
        """The coordinates of its fields and arguments in the schema."""
        return coordinates_of(self._schema, self.node, self.fragments)

    def plan(self, variables: VariableValues) -> Plan:
        """The plan of the operation for these variables.

        Raises:
            RequestRejected: an argument is invalid.
        """
        try:
            plan = select(self._schema, self.fragments, self.node, variables)
        except GraphQLError as error:  # an argument of a directive, which has no field
            raise RequestRejected([error], code=ErrorCode.BAD_USER_INPUT) from None
        if plan.errors:
            raise RequestRejected(plan.errors, code=ErrorCode.BAD_USER_INPUT)
        return plan

    def compiled(self, variables: VariableValues) -> tuple[Compiled, list[Value]]:
        """The operation compiled for variables of this shape, and the values of its arguments.

        Raises:
            RequestRejected: as `plan`.
        """
        return self._variant(variables, compile_plan)

    def uncompiled(self, variables: VariableValues) -> tuple[Compiled, list[Value]]:
        """As `compiled`, with all fields left to the executor."""
        return self._variant(variables, partial(compile_plan, compiles=False), way="uncompiled")

    def mutation(self, variables: VariableValues) -> tuple[CompiledMutation, list[Value]]:
        """As `compiled`, for a mutation.

        Raises:
            RequestRejected: as `plan`.
        """
        return self._variant(variables, partial(CompiledMutation, self._schema))

    def _variant(
        self, variables: VariableValues, compile_: Callable[[Plan], C], way: str = "compiled"
    ) -> tuple[C, list[Value]]:
        """What is compiled for variables of this shape, in this way."""
        plan: Plan | None = None
        names = self._conditions
        conditions = tuple([variables.coerced.get(name) for name in names]) if names else ()
        reading = self._readings.get(conditions)
        if reading is None:
            plan = self.plan(variables)
            if len(self._readings) >= _MAX_VARIANTS:
                self._readings.clear()
            reading = self._readings[conditions] = _Reading(plan)
        try:
            values = plan.values if plan else reading.values(variables)
        except (RequestError, GraphQLError):
            # The whole plan reports every error, with its location.
            values = self.plan(variables).values
        shape = (way, conditions, *[values[index].shape for index, _ in reading.recipes])
        compiled = self._compiled.get(shape)
        if compiled is None:
            with step("graphql.compile"):
                plan = plan or self.plan(variables)
                self._make_room(plan.selected)
                compiled = self._compiled[shape] = compile_(plan)
        return compiled, values

    @property
    def alone(self) -> DocumentNode:
        """A document with this operation only."""
        return DocumentNode(definitions=(self.node, *self.fragments.values()))

    def only(self, plan: Plan, keys: frozenset[str]) -> OperationDefinitionNode:
        """The operation with these root fields only, by response key."""
        fields = [node for key in plan.nodes if key in keys for node in plan.nodes[key]]
        return OperationDefinitionNode(
            operation=self.node.operation,
            name=self.node.name,
            variable_definitions=self.node.variable_definitions,
            selection_set=SelectionSetNode(selections=tuple(fields)),
        )

    def bare(self, plan: Plan, key: str) -> OperationDefinitionNode:
        """The operation with one root field that selects only `__typename`."""
        typename = SelectionSetNode(selections=(FieldNode(name=NameNode(value="__typename")),))
        (node, *_) = plan.nodes[key]
        bare = replace(plan, nodes={key: [replace(node, selection_set=typename)]})
        return self.only(bare, frozenset({key}))

    def text_of(self, plan: Plan, key: str) -> str:
        """One root field as text, independent of white space in the client's document."""
        if key not in self._texts:
            node = self.only(plan, frozenset({key}))
            document = DocumentNode(definitions=(node, *self.fragments.values()))
            self._texts[key] = strip_ignored_characters(print_ast(document))
        return self._texts[key]

    def _make_room(self, selected: int) -> None:
        self._selected += selected
        if len(self._compiled) >= _MAX_VARIANTS or self._selected > _MAX_CACHED_FIELDS:
            self._compiled.clear()
            self._selected = selected


class _Reading:
    """Reads the values of arguments: those that variables change, by index, anew each time."""

    __slots__ = ("_first", "recipes")

    def __init__(self, plan: Plan) -> None:
        self._first = plan.values
        self.recipes = [(index, each) for index, each in enumerate(plan.recipes) if each]

    def values(self, variables: VariableValues) -> list[Value]:
        values = self._first.copy()
        for index, read in self.recipes:
            values[index] = read(variables)
        return values


def _selections(
    node: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]
) -> Iterator[SelectionNode]:
    """All selections, those of fragments included."""
    ahead = [node.selection_set, *(fragment.selection_set for fragment in fragments.values())]
    while ahead:
        for selection in ahead.pop().selections:
            yield selection
            if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                ahead.append(selection.selection_set)


@cache
def _names_of_log(schema: GraphQLSchema) -> frozenset[str]:
    """The fields of Query that list the events of the store's log."""
    query, log = schema.query_type, catalog.log
    fields = query.fields if query is not None and log is not None else {}
    declared = {
        name: field.extensions.get("strawberry-definition") for name, field in fields.items()
    }
    return frozenset(
        name
        for name, field in declared.items()
        if log is not None
        and meaning_of(field) is Meaning.CONNECTION
        and field.metadata["entity"] == log.entity
    )


def _variables_of(directive: DirectiveNode) -> Iterator[str]:
    for argument in directive.arguments or ():
        if isinstance(argument.value, VariableNode):
            yield argument.value.name.value
