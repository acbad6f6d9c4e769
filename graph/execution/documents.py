"""From a text to an operation that may run: parsed and validated once per text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    parse,
    specified_rules,
)
from strawberry.schema.schema import validate_document

from graph.execution.failures import Refused

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLSchema

# Enough for any query that a person wrote; a bound for those that nobody did.
_MAX_TOKENS = 5_000
_MAX_ERRORS = 100


@dataclass(frozen=True, slots=True)
class Document:
    node: DocumentNode
    operations: dict[str | None, OperationDefinitionNode]
    fragments: dict[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation to run (specification, section 6.1, GetOperation).

        Raises:
            Refused: there is none of this name, or none was named among several.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise Refused.because(
                "Name the operation to run: the document has more than one.",
                code="OPERATION_RESOLUTION_FAILURE",
            )
        if name not in self.operations:
            raise Refused.because(
                f"There is no operation named '{name}'.", code="OPERATION_RESOLUTION_FAILURE"
            )
        return self.operations[name]


class Documents:
    """The documents seen last, by their text."""

    def __init__(self, schema: GraphQLSchema, kept: int = 500) -> None:
        self._schema = schema
        self.read = lru_cache(maxsize=kept)(self._read)

    def _read(self, text: str) -> Document:
        """Raises Refused: not GraphQL, or not of this schema."""
        try:
            node = parse(text, max_tokens=_MAX_TOKENS)
        except GraphQLError as error:
            raise Refused([error], code="GRAPHQL_PARSE_FAILED") from None
        except RecursionError:
            raise Refused.because(
                "The document is nested too deeply.", code="GRAPHQL_PARSE_FAILED"
            ) from None
        if errors := validate_document(self._schema, node, tuple(specified_rules)):
            raise Refused(errors[:_MAX_ERRORS], code="GRAPHQL_VALIDATION_FAILED")
        return _indexed(node)


def _indexed(node: DocumentNode) -> Document:
    operations: dict[str | None, OperationDefinitionNode] = {}
    fragments = {}
    for definition in node.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations[definition.name.value if definition.name else None] = definition
        elif isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
    return Document(node, operations, fragments)
