"""Turns a subscription into the query that answers it.

    subscription { events(where: $w) { cursor node { kind } } }
    query { events(where: $w, after: $after, first: $first) { edges { cursor node { kind } } } }

    subscription { live { order(by: $id) { status } } }
    query { order(by: $id) { status } }

So prices, permissions, worlds and compiled statements are those of queries. The names that are
added begin with a dollar sign, as no name in a client's document does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from graphql import (
    ArgumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    NameNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
)

from graph.errors import ErrorCode
from graph.execution.documents.operation import Operation
from graph.execution.failures import RequestRejected
from graph.execution.planning.variables import argument_reader
from graph.schema.fields import Meaning, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphql import FragmentDefinitionNode, GraphQLSchema
    from graphql.execution.values import VariableValues

_Selection: TypeAlias = FieldNode | FragmentSpreadNode | InlineFragmentNode

AFTER, FIRST = "$after", "$first"
# The response key of each event's cursor; it comes before all others.
CURSOR = "$cursor"


@dataclass(frozen=True, slots=True)
class Source:
    """The query behind a subscription; its answer is under `response_key`.

    `field` is the subscription's field. The query of a stream has one root field, a page.
    """

    response_key: str
    is_stream: bool
    query: Operation
    # The query of a stream that selects nothing but cursors.
    cursors: Operation
    # The client's variables that the query names; where a stream begins is no part of it.
    names: frozenset[str]
    _field: FieldNode
    _schema: GraphQLSchema

    def path(self, path: Sequence[str]) -> tuple[str, ...]:
        """The path in the subscription of a field of the query."""
        if not self.is_stream:
            return (self.response_key, *path)
        return (path[0], *path[2:])  # without the edges

    def placed(self, rejected: RequestRejected) -> RequestRejected:
        """The same errors, at their places in the subscription."""
        errors = [
            GraphQLError(
                error.message,
                nodes=error.nodes,
                path=error.path and self.path(error.path),  # type: ignore[arg-type]
                original_error=error.original_error,
            )
            for error in rejected.errors
        ]
        return RequestRejected(errors, rejected.code)

    def after(self, variables: VariableValues) -> str | None:
        """The cursor that the client names."""
        assert self._schema.subscription_type is not None  # noqa: S101  it has been validated
        definition = self._schema.subscription_type.fields[self._field.name.value]
        after: str | None = argument_reader(definition, self._field)(variables).get("after")
        return after


def source_of(
    schema: GraphQLSchema,
    node: OperationDefinitionNode,
    fragments: dict[str, FragmentDefinitionNode],
) -> Source:
    """The query for a valid subscription.

    Raises:
        RequestRejected: its root field has a directive, or a Python resolver of its own.
    """
    fields = list(_root_fields(node.selection_set, fragments))
    field, *_ = fields
    assert schema.subscription_type is not None  # noqa: S101  it has been validated
    definition = schema.subscription_type.fields[field.name.value]
    meaning = meaning_of(definition.extensions.get("strawberry-definition"))
    if meaning not in {Meaning.STREAM, Meaning.LIVE} or any(each.directives for each in fields):
        raise RequestRejected.because(
            f"The root field '{field.name.value}' of a subscription takes no directives.",
            code=ErrorCode.GRAPHQL_VALIDATION_FAILED,
        )
    is_stream = meaning is Meaning.STREAM
    selections = tuple(each for one in fields for each in _selections(one))

    def query(*selected: _Selection) -> Operation:
        operation = OperationDefinitionNode(
            operation=OperationType.QUERY,
            name=node.name,
            variable_definitions=node.variable_definitions,
            directives=(),
            selection_set=SelectionSetNode(
                selections=(_page(field, selected),) if is_stream else selected
            ),
        )
        made = Operation(schema, operation, fragments)
        made.may_have_parts = False  # each result is whole
        return made

    key, main = (field.alias or field.name).value, query(*selections)
    names = frozenset(_variables_in(main.node.selection_set, *fragments.values()))
    return Source(key, is_stream, main, query(), names, field, schema)


def _variables_in(*nodes: Node) -> Iterator[str]:
    """The names of all variables in nodes of a document."""
    ahead = [*nodes]
    while ahead:
        node = ahead.pop()
        if isinstance(node, VariableNode):
            yield node.name.value
        for key in node.keys:
            value = getattr(node, key)
            within = value if isinstance(value, tuple) else (value,)
            ahead += (each for each in within if isinstance(each, Node))


def _root_fields(
    selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """The nodes of the one root field, fragments included."""
    for each in selections.selections:
        match each:
            case FieldNode():
                yield each
            case InlineFragmentNode():
                yield from _root_fields(each.selection_set, fragments)
            case FragmentSpreadNode():
                yield from _root_fields(fragments[each.name.value].selection_set, fragments)


def _selections(field: FieldNode) -> tuple[_Selection, ...]:
    assert field.selection_set is not None  # noqa: S101  it has been validated
    return cast("tuple[_Selection, ...]", tuple(field.selection_set.selections))


def _page(field: FieldNode, selections: tuple[_Selection, ...]) -> FieldNode:
    """The page of the log with these selections of each event."""
    cursor = FieldNode(
        alias=NameNode(value=CURSOR), name=NameNode(value="cursor"), arguments=(), directives=()
    )
    edges = FieldNode(
        name=NameNode(value="edges"),
        arguments=(),
        directives=(),
        selection_set=SelectionSetNode(selections=(cursor, *selections)),
    )
    given = [each for each in field.arguments or () if each.name.value != "after"]
    return FieldNode(
        alias=field.alias,
        name=field.name,
        arguments=(*given, _argument("after", AFTER), _argument("first", FIRST)),
        directives=(),
        selection_set=SelectionSetNode(selections=(edges,)),
        loc=field.loc,
    )


def _argument(name: str, variable: str) -> ArgumentNode:
    return ArgumentNode(
        name=NameNode(value=name), value=VariableNode(name=NameNode(value=variable))
    )
