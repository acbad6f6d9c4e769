"""The documents that texts share which differ in literals only."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from graph.execution.documents.cache import SegmentedLRU
from graph.execution.documents.literals import Slots, split, template

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import DocumentNode, GraphQLSchema

D = TypeVar("D")

_MAX_SEEN = 2_000
_MAX_KEYS = 500
_MAX_BYTES = 16 * 1024 * 1024
# Documents of one key, which differ in literals that are no slots.
_MAX_PER_KEY = 4
# Those of a key that has no slots take no more than this.
_BYTES_OF_NONE = 200
_BYTES_PER_CHAR = 4


@dataclass
class _Templates(Generic[D]):
    """The documents of one key, by the literals that are no slots, the oldest first."""

    slots: Slots
    documents: dict[tuple[str, ...], D] = field(default_factory=dict)

    def document(self, literals: list[str]) -> D | None:
        return self.documents.get(self._fixed(literals))

    def add(self, literals: list[str], document: D) -> None:
        if len(self.documents) >= _MAX_PER_KEY:
            del self.documents[next(iter(self.documents))]
        self.documents[self._fixed(literals)] = document

    def _fixed(self, literals: list[str]) -> tuple[str, ...]:
        return tuple(literals[number] for number in self.slots.fixed)


class SharedDocuments(Generic[D]):
    """Makes a document with slots when a second text has the same key. One per application.

    `index` makes a document of a node, and `weigh` tells its memory in bytes.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        max_chars: int,
        index: Callable[[DocumentNode], D],
        weigh: Callable[[str, DocumentNode], int],
    ) -> None:
        self._schema = schema
        self._max_chars = max_chars
        self._index = index
        self._weigh = weigh
        # Hashes of keys that one text had.
        self._seen = SegmentedLRU[bytes, bool](max_entries=_MAX_SEEN, max_weight=_MAX_SEEN)
        self._templates = SegmentedLRU[str, _Templates[D]](
            max_entries=_MAX_KEYS, max_weight=_MAX_BYTES
        )

    def find(self, text: str) -> tuple[D, dict[str, Any]] | None:
        """The document for a text, and the values of its slots; None if there is none."""
        if len(text) > self._max_chars or (parts := split(text)) is None:
            return None
        key, literals = parts
        templates = self._templates.get(key)
        document = templates.document(literals) if templates else None
        if templates is None or document is None:
            return None
        values = templates.slots.values(literals)
        return None if values is None else (document, values)

    def add(self, text: str, node: DocumentNode) -> None:
        """Take note of a text, which is valid, and of its document."""
        if len(text) > self._max_chars or (parts := split(text)) is None:
            return
        key, literals = parts
        if self._is_first(key):
            return
        templates = self._templates.get(key)
        if templates is not None and not templates.slots.readers:
            return
        made = template(self._schema, text, node)
        slotted, slots = made or (node, Slots((), ()))
        if templates is None:
            templates = _Templates[D](slots)
            self._templates.put(key, templates, weight=self._weight(text, slotted, slots))
        if made is not None:
            templates.add(literals, self._index(slotted))

    def _is_first(self, key: str) -> bool:
        hashed = blake2b(key.encode(), digest_size=16).digest()
        if self._seen.get(hashed):
            return False
        self._seen.put(hashed, True, weight=1)  # noqa: FBT003  a set, in effect
        return True

    def _weight(self, text: str, node: DocumentNode, slots: Slots) -> int:
        if not slots.readers:
            return _BYTES_OF_NONE + len(text) * _BYTES_PER_CHAR
        return self._weigh(text, node) * (_MAX_PER_KEY if slots.fixed else 1)
