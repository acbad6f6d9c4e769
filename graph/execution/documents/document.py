"""From a text to an operation that may run: parsed and validated once per text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from graphql import (
    FragmentDefinitionNode,
    Node,
    OperationDefinitionNode,
)

from graph.execution.documents.cache import SegmentedLRU
from graph.execution.documents.limits import Limits, fields_in, parse_within, validate_within
from graph.execution.documents.operation import Operation
from graph.execution.failures import RequestRejected
from graph.execution.planning.select import MAX_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import DocumentNode, GraphQLError, GraphQLSchema

_MAX_KEPT = 1_000
_MAX_KEPT_BYTES = 64 * 1024 * 1024
# What a document takes in memory, for each character of its text (measured: 185); and what it is
# compiled to, for each field (900), as often as that is kept.
_BYTES_PER_CHAR = 200
_BYTES_PER_FIELD = 2_000


@dataclass(frozen=True, slots=True)
class Document:
    node: DocumentNode
    operations: dict[str | None, Operation]

    def operation(self, name: str | None) -> Operation:
        """The operation to run (specification, section 6.1, GetOperation).

        Raises:
            RequestRejected: there is none of this name, or none was named among several.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise RequestRejected.because(
                "Name the operation to run: the document has more than one.",
                code="OPERATION_RESOLUTION_FAILURE",
            )
        if name not in self.operations:
            raise RequestRejected.because(
                f"There is no operation named '{name}'.", code="OPERATION_RESOLUTION_FAILURE"
            )
        return self.operations[name]


class Documents:
    """Documents by their text: parsed, validated and compiled once, as long as they are kept."""

    def __init__(self, schema: GraphQLSchema, limits: Limits | None = None) -> None:
        self._schema = schema
        self._limits = limits or Limits()
        self._kept = SegmentedLRU[str, Document](max_entries=_MAX_KEPT, max_weight=_MAX_KEPT_BYTES)

    def read(self, text: str) -> Document:
        """The document of a text.

        Raises:
            RequestRejected: it is not GraphQL, or not of this schema.
        """
        document = self._kept.get(text)
        if document is None:
            document = self._read(text)
            fields = fields_in(document.node, MAX_FIELDS)
            weight = len(text) * _BYTES_PER_CHAR + fields * _BYTES_PER_FIELD
            self._kept.put(text, document, weight=weight)
        return document

    def _read(self, text: str) -> Document:
        node = parse_within(self._limits, text)
        validate_within(self._limits, self._schema, node)
        _forget_tokens(node)
        return _indexed(self._schema, node)


def _forget_tokens(document: DocumentNode) -> None:
    """Let go of what the lexer read, where errors need only know the place.

    Tokens know their neighbours: they are most of a document's memory, and cycles, which stay until
    the collector looks for them.
    """
    ahead: list[Any] = [document]
    while ahead:
        match ahead.pop():
            case Node() as node:
                if node.loc is not None:
                    node.loc.start_token = node.loc.end_token = None  # type: ignore[assignment]
                ahead += [getattr(node, key, None) for key in _keys(type(node))]  # type: ignore[arg-type]
            case tuple() | list() as nodes:
                ahead += nodes


@cache
def _keys(kind: Any) -> tuple[str, ...]:
    """What a node of this kind is made of; graphql-core looks it up anew each time."""
    keys: tuple[str, ...] = kind.keys
    return keys


def problems_of(documents: Documents, texts: Mapping[str, str]) -> list[str]:
    """What is wrong with documents, each by its first name: one line for each error."""
    names: dict[str, str] = {}
    for name, text in texts.items():
        names.setdefault(text, name)
    problems = []
    for text, name in names.items():
        try:
            documents.read(text)
        except RequestRejected as refused:
            problems += [f"{name}: {_with_place(error)}" for error in refused.errors]
    return problems


def _with_place(error: GraphQLError) -> str:
    places = [f"{place.line}:{place.column}" for place in error.locations or ()]
    return f"{error.message} ({', '.join(places)})" if places else error.message


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
