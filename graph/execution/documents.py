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
from graph.execution.operations import Operation

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLSchema

# Enough for any query that a person wrote; a bound for those that nobody did.
_MAX_TOKENS = 5_000
_MAX_ERRORS = 100
# Only long strings make a document of so few tokens longer; five hundred such would fill memory.
_MAX_KEPT_CHARS = 50_000


@dataclass(frozen=True, slots=True)
class Document:
    node: DocumentNode
    operations: dict[str | None, Operation]

    def operation(self, name: str | None) -> Operation:
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
        self._kept = lru_cache(maxsize=kept)(self._read)

    def read(self, text: str) -> Document:
        """The document of a text.

        Raises:
            Refused: it is not GraphQL, or not of this schema.
        """
        return self._kept(text) if len(text) <= _MAX_KEPT_CHARS else self._read(text)

    def _read(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=_MAX_TOKENS)
        except GraphQLError as error:
            raise Refused([error], code="GRAPHQL_PARSE_FAILED") from None
        except RecursionError:
            raise Refused.because(
                "The document is nested too deeply.", code="GRAPHQL_PARSE_FAILED"
            ) from None
        if errors := validate_document(self._schema, node, tuple(specified_rules)):
            clear = [_in_clear_words(error) for error in errors[:_MAX_ERRORS]]
            raise Refused(clear, code="GRAPHQL_VALIDATION_FAILED")
        return _indexed(self._schema, node)


def _in_clear_words(error: GraphQLError) -> GraphQLError:
    """What a client can act on, where graphql-core passes on what happened to Python."""
    if error.message == "Validation aborted.":
        return GraphQLError("The document is nested too deeply, or repeats fields too often.")
    if "set_int_max_str_digits" in error.message:
        return GraphQLError("Int cannot represent non 32-bit signed integer value.", error.nodes)
    return error


def _indexed(schema: GraphQLSchema, node: DocumentNode) -> Document:
    definitions = node.definitions
    fragments = {
        definition.name.value: definition
        for definition in definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    return Document(
        node,
        {
            definition.name.value if definition.name else None: Operation(
                schema, definition, fragments
            )
            for definition in definitions
            if isinstance(definition, OperationDefinitionNode)
        },
    )
