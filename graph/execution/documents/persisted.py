"""Persisted documents: requests refer to them by the hash of a text or by a manifest's id.

Automatic persisted queries are Apollo's protocol: a client sends the SHA-256 of a text, and the
text itself only when the server does not know the hash. Trusted documents are in a manifest, a file
or folder that the build of the clients writes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphql import GraphQLError, OperationDefinitionNode, parse

from graph.errors import (
    BadRequest,
    NotTrusted,
    PersistedQueryMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)
from graph.execution.documents.cache import SegmentedLRU
from graph.execution.documents.manifest import ALGORITHM, hash_of
from graph.settings import DocumentsMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_CACHED = 10_000
_MAX_CACHED_CHARS = 16 * 1024 * 1024


@dataclass(slots=True)
class Persisted:
    """The persisted texts by id and by hash. One per application."""

    mode: DocumentsMode = DocumentsMode.APQ
    # The manifest's texts, by id and by hash.
    trusted: Mapping[str, str] = field(default_factory=dict)
    _registered: SegmentedLRU[str, str] = field(
        default_factory=lambda: SegmentedLRU(max_entries=_MAX_CACHED, max_weight=_MAX_CACHED_CHARS)
    )

    @property
    def takes_any(self) -> bool:
        """Whether clients may send any text."""
        return self.mode is not DocumentsMode.TRUSTED_ONLY

    def text(self, query: str | None, name: str | None, *, is_hash: bool) -> str:
        """The text of a request's document.

        `name` is a `documentId`, or the `sha256Hash` of Apollo's protocol if `is_hash`.

        Raises:
            PersistedQueryNotSupported: persisted documents are disabled.
            PersistedQueryNotFound: no document has this name.
            PersistedQueryMismatch: `query` has another hash.
            NotTrusted: `query` is not in the manifest, and only those documents may run.
        """
        if name is None:
            assert query is not None  # noqa: S101  every request has a query or a name
            return self._sent(query)
        if self.mode is DocumentsMode.OFF:
            raise PersistedQueryNotSupported
        trusted = self.trusted.get(name) or self.trusted.get(name.removeprefix(ALGORITHM))
        if trusted is not None:
            return trusted
        hashed = name if is_hash else name.removeprefix(ALGORITHM)
        if query is not None:
            return self._sent(query) if not is_hash else self._register(query, hashed)
        registered = self._registered.get(hashed)
        if registered is None or self.mode is DocumentsMode.TRUSTED_ONLY:
            raise PersistedQueryNotFound
        return registered

    def _sent(self, query: str) -> str:
        if self.mode is DocumentsMode.TRUSTED_ONLY and hash_of(query) not in self.trusted:
            raise NotTrusted
        return query

    def _register(self, query: str, hashed: str) -> str:
        if hash_of(query) != hashed:
            raise PersistedQueryMismatch
        self._sent(query)
        if self._registered.get(hashed) is None:
            self._registered.put(hashed, query, weight=len(query))
        return query


def by_hash(texts: Iterable[str]) -> dict[str, str]:
    """The texts by their hashes, as in a manifest without ids."""
    return {hash_of(text): text for text in texts}


def operation_names(texts: Iterable[str]) -> set[str]:
    """The names of the operations in these documents; a text that is not GraphQL has none."""
    names: set[str] = set()
    for text in texts:
        with suppress(GraphQLError):
            names |= {
                definition.name.value
                for definition in parse(text).definitions
                if isinstance(definition, OperationDefinitionNode) and definition.name
            }
    return names


def names_document(id_: object, persisted: object) -> tuple[str | None, bool]:
    """The name of the persisted document that a request refers to, and whether it is a hash.

    `id_` is the request's `documentId`, `persisted` its extension `persistedQuery`. The name is
    None if the request has neither.

    Raises:
        BadRequest: one of them has the wrong type or version.
    """
    if id_ is not None:
        if not isinstance(id_, str) or not id_:
            raise BadRequest("'documentId' must be a string.")
        return id_, False
    if persisted is None:
        return None, False
    if not isinstance(persisted, dict) or persisted.get("version") != 1:
        raise BadRequest("'persistedQuery' must be an object of version 1.")
    hashed = persisted.get("sha256Hash")
    if not isinstance(hashed, str) or not hashed:
        raise BadRequest("'sha256Hash' must be a string.")
    return hashed, True
