"""Persisted documents: requests refer to them by the hash of a text or by a manifest's id.

Automatic persisted queries are Apollo's protocol: a client sends the SHA-256 of a text, and the
text itself only when the server does not know the hash. Trusted documents are in a manifest, a file
or folder that the build of the clients writes.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, OperationDefinitionNode, parse

from graph.errors import (
    BadRequest,
    InvalidSetting,
    NotTrusted,
    PersistedQueryMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)
from graph.execution.documents.cache import SegmentedLRU
from graph.settings import DocumentsMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_MAX_CACHED = 10_000
_MAX_CACHED_CHARS = 16 * 1024 * 1024
_ALGORITHM = "sha256:"


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
        trusted = self.trusted.get(name) or self.trusted.get(name.removeprefix(_ALGORITHM))
        if trusted is not None:
            return trusted
        hashed = name if is_hash else name.removeprefix(_ALGORITHM)
        if query is not None:
            return self._sent(query) if not is_hash else self._register(query, hashed)
        registered = self._registered.get(hashed)
        if registered is None or self.mode is DocumentsMode.TRUSTED_ONLY:
            raise PersistedQueryNotFound
        return registered

    def _sent(self, query: str) -> str:
        if self.mode is DocumentsMode.TRUSTED_ONLY and _hash(query) not in self.trusted:
            raise NotTrusted
        return query

    def _register(self, query: str, hashed: str) -> str:
        if _hash(query) != hashed:
            raise PersistedQueryMismatch
        self._sent(query)
        if self._registered.get(hashed) is None:
            self._registered.put(hashed, query, weight=len(query))
        return query


def read_manifest(*paths: Path) -> dict[str, str]:
    """The texts of all these manifests, by id and by hash.

    A manifest is a JSON object of texts by id; a file of Apollo's tools, with a list of
    `operations`; or a folder of both and of `.graphql` files, whose names are the ids.

    Raises:
        InvalidSetting: a manifest is none of these or is empty, has a hash of another text, or has
            an id that another text has already.
    """
    texts: dict[str, str] = {}
    for path in paths:
        found = _texts(path)
        if not found:
            raise _invalid(f"{path} contains no document")
        for id_, text in found:
            hashed = _hash(text)
            if id_.startswith(_ALGORITHM) and id_ != _ALGORITHM + hashed:
                raise _invalid(f"{id_} is not the hash of its text, which is {hashed}")
            if texts.setdefault(id_, text) != text:
                raise _invalid(f"two different texts have the id {id_}")
            texts[hashed] = text
    return texts


def _texts(path: Path) -> list[tuple[str, str]]:
    """The ids and texts of a manifest."""
    try:
        if not path.is_dir():
            return list(_in_json(path))
        documents = [
            # Some file systems forbid colons in names.
            (file.stem.replace("sha256-", _ALGORITHM, 1), file.read_text("utf-8"))
            for file in sorted(path.glob("*.graphql"))
        ]
        return documents + [
            entry for file in sorted(path.glob("*.json")) for entry in _in_json(file)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _invalid(f"{path} cannot be read: {error}") from None


def _in_json(file: Path) -> Iterator[tuple[str, str]]:
    content: Any = json.loads(file.read_text("utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"{file.name} must be a JSON object")
    if isinstance(content.get("operations"), list):
        content = {entry["id"]: entry["body"] for entry in content["operations"]}
    for id_, text in content.items():
        if not isinstance(text, str):
            raise TypeError(f"the text of {id_} must be a string")
        yield id_, text


def by_hash(texts: Iterable[str]) -> dict[str, str]:
    """The texts by their hashes, as in a manifest without ids."""
    return {_hash(text): text for text in texts}


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


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _invalid(problem: str) -> InvalidSetting:
    return InvalidSetting("GRAPH_DOCUMENTS_MANIFEST", problem)
