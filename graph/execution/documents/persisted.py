"""Documents that requests only name: by the hash of a text sent before, or by an id of a manifest.

Automatic persisted queries are Apollo's protocol: a client sends the SHA-256 of a text, and once,
where that is not known, the text along with it. Trusted documents are known before anybody asks: a
file or a folder that a build of the clients wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MAX_KEPT = 10_000
_MAX_KEPT_CHARS = 16 * 1024 * 1024
_ALGORITHM = "sha256:"


@dataclass(slots=True)
class Persisted:
    """Texts by their names; lives as long as the application."""

    mode: DocumentsMode = DocumentsMode.APQ
    # By id, and by the hash of the text.
    trusted: Mapping[str, str] = field(default_factory=dict)
    _registered: SegmentedLRU[str, str] = field(
        default_factory=lambda: SegmentedLRU(max_entries=_MAX_KEPT, max_weight=_MAX_KEPT_CHARS)
    )

    @property
    def takes_any(self) -> bool:
        """Whether a text that is sent may run, whatever it is."""
        return self.mode is not DocumentsMode.TRUSTED_ONLY

    def text(self, query: str | None, name: str | None, *, is_hash: bool) -> str:
        """The text of a document that a request sends, or names.

        `name` is a `documentId`, or the `sha256Hash` of Apollo's protocol.

        Raises:
            PersistedQueryNotSupported: no document can be named here.
            PersistedQueryNotFound: there is none of this name.
            PersistedQueryMismatch: the text that came along has another hash.
            NotTrusted: only documents of the manifest may run.
        """
        if name is None:
            assert query is not None  # noqa: S101  a request has one of them
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


def read_manifest(path: Path) -> dict[str, str]:
    """The documents of a manifest, each by its id and by the hash of its text.

    A folder of `.graphql` files, whose names are the ids; a JSON object of texts by id; or what
    Apollo's tools write, with a list of `operations`.

    Raises:
        InvalidSetting: it is none of these, or an id that is a hash is that of another text.
    """
    texts: dict[str, str] = {}
    try:
        for id_, text in _entries(path):
            hashed = _hash(text)
            if id_.startswith(_ALGORITHM) and id_ != _ALGORITHM + hashed:
                raise _wrong(f"{id_} is not the hash of its text, which is {hashed}")
            texts[id_] = texts[hashed] = text
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _wrong(f"{path} cannot be read: {error}") from None
    if not texts:
        raise _wrong(f"{path} holds no document")
    return texts


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        for file in sorted(path.glob("*.graphql")):
            # A file's name cannot hold a colon everywhere.
            yield file.stem.replace("sha256-", _ALGORITHM, 1), file.read_text("utf-8")
        return
    content: Any = json.loads(path.read_text("utf-8"))
    if not isinstance(content, dict):
        raise TypeError("it is no JSON object")
    if isinstance(content.get("operations"), list):
        content = {entry["id"]: entry["body"] for entry in content["operations"]}
    for id_, text in content.items():
        if not isinstance(text, str):
            raise TypeError(f"{id_} is no text")
        yield id_, text


def names_document(id_: object, persisted: object) -> tuple[str | None, bool]:
    """The name of a document in a request, and whether it is Apollo's hash.

    Raises:
        BadRequest: it is not said as it must be.
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


def _wrong(problem: str) -> InvalidSetting:
    return InvalidSetting("GRAPH_DOCUMENTS_MANIFEST", problem)
