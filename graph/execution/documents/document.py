"""Turns a text into a document of executable operations: parsed and validated once per text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any

from graphql import (
    FragmentDefinitionNode,
    Node,
    OperationDefinitionNode,
)

from graph.errors import ErrorCode
from graph.execution.documents.cache import SegmentedLRU
from graph.execution.documents.limits import Limits, fields_in, parse_within
from graph.execution.documents.operation import Operation
from graph.execution.documents.sharing import SharedDocuments
from graph.execution.documents.validation import validate_within
from graph.execution.failures import RequestRejected
from graph.execution.planning.charges import MAX_FIELDS
from graph.telemetry import step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import DocumentNode, GraphQLError, GraphQLSchema

_MAX_CACHED = 1_000
# Each has up to 20 errors with messages of 500 characters.
_MAX_REFUSED = 500
_MAX_CACHED_BYTES = 64 * 1024 * 1024
# Memory of a document per character of its text (measured: 185 bytes), and of its compiled
# operations per field (measured: 900 bytes for each of the two variants that may be cached).
_BYTES_PER_CHAR = 200
_BYTES_PER_FIELD = 2_000
_MAX_UTF8_BYTES = 4


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document and its operations by name; None is the name of an anonymous operation."""

    node: DocumentNode
    operations: dict[str | None, Operation]

    def operation(self, name: str | None) -> Operation:
        """The operation to execute (specification, section 6.1, GetOperation).

        Raises:
            RequestRejected: no operation has this name, or `name` is None and there are several.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise RequestRejected.because(
                "'operationName' is required: the document has more than one operation.",
                code=ErrorCode.OPERATION_RESOLUTION_FAILURE,
            )
        if name not in self.operations:
            raise RequestRejected.because(
                f"There is no operation named '{name}'.",
                code=ErrorCode.OPERATION_RESOLUTION_FAILURE,
            )
        return self.operations[name]


class Documents:
    """A cache of documents by their text. One per application."""

    def __init__(self, schema: GraphQLSchema, limits: Limits | None = None) -> None:
        self._schema = schema
        self._limits = limits or Limits()
        self._cache = SegmentedLRU[str, Document](
            max_entries=_MAX_CACHED, max_weight=_MAX_CACHED_BYTES
        )
        self._shared = SharedDocuments[Document](
            schema,
            self._limits.document_bytes // _MAX_UTF8_BYTES,
            index=partial(_indexed, schema),
            weigh=_weight,
        )
        # By a hash of the text.
        self._refused = SegmentedLRU[bytes, RequestRejected](
            max_entries=_MAX_REFUSED, max_weight=_MAX_REFUSED
        )
        # How often a text was read: known, shared with others, or new.
        self.hits = self.shared_hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._cache)

    def is_known(self, text: str | None) -> bool:
        """Whether a text was read before, so that it takes no work."""
        return text is None or text in self._cache

    def read(self, text: str) -> Document:
        """The document with this text.

        Raises:
            RequestRejected: the text is not GraphQL, or not valid for the schema.
        """
        document = self._cache.get(text)
        if document is not None:
            self.hits += 1
        else:
            self.misses += 1
            document = self._read_unless_refused(text)
            self._cache.put(text, document, weight=_weight(text, document.node))
            self._shared.add(text, document.node)
        return document

    def shared(self, text: str) -> tuple[Document, dict[str, Any]] | None:
        """The document that a new text shares with others, and the values of its literals.

        None if it must be read: it is known, or other texts differ in more than literals.
        """
        if text in self._cache or (found := self._shared.find(text)) is None:
            return None
        self.shared_hits += 1
        return found

    def _read_unless_refused(self, text: str) -> Document:
        """Read a text; one that was refused lately is refused again, without work."""
        key = blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        if (rejected := self._refused.get(key)) is not None:
            raise rejected.remembered
        try:
            return self._read(text)
        except RequestRejected as rejection:
            self._refused.put(key, rejection.remembered, weight=1)
            raise

    def _read(self, text: str) -> Document:
        with step("graphql.parse"):
            node = parse_within(self._limits, text)
        with step("graphql.validate"):
            validate_within(self._limits, self._schema, text, node)
        _drop_tokens(node)
        return _indexed(self._schema, node, sha256_of(text))


def sha256_of(text: str) -> str:
    """The hash of a text, by which documents are named."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _weight(text: str, node: DocumentNode) -> int:
    return len(text) * _BYTES_PER_CHAR + fields_in(node, MAX_FIELDS) * _BYTES_PER_FIELD


def _drop_tokens(document: DocumentNode) -> None:
    """Remove the lexer's tokens from the nodes: errors only need their positions.

    They are most of a document's memory. Each refers to its neighbours: cycles that only the
    garbage collector would free.
    """
    token = document.loc.start_token if document.loc else None
    while token is not None:
        following, token.prev, token.next = token.next, None, None
        token = following
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
    """The names of the node's children; graphql-core computes them at each access."""
    keys: tuple[str, ...] = kind.keys
    return keys


def problems_of(documents: Documents, texts: Mapping[str, str]) -> list[str]:
    """One line per validation error, with the first name of its document and its position."""
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


def _indexed(schema: GraphQLSchema, node: DocumentNode, sha256: str | None = None) -> Document:
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
                schema, definition, fragments, sha256
            )
            for definition in definitions
            if isinstance(definition, OperationDefinitionNode)
        },
    )
