"""Counts which clients use which operations and fields, until the counts are stored.

A request costs an entry in a dictionary. What an operation names is looked up later, once for all
requests of one document and client. Clients can send any name, so names are bounded.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graph.execution.documents.operation import Operation

# Operations by client that are kept until they are looked up: each keeps its document alive.
_MOST_KEPT = 256
_MOST_CLIENTS = 100
_MOST_OPERATIONS = 500
_MOST_CHARS = 100
# The name of all that have no room.
OTHER = "(other)"


class Kind(StrEnum):
    FIELD = "field"
    OPERATION = "operation"


class Use(NamedTuple):
    """A field, argument or operation, and a client that uses it.

    `name` is a coordinate such as `Customer.email`, or type and name of an operation.
    """

    kind: str
    name: str
    client: str
    version: str


class UsageCounts:
    """The counts of one worker."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Operation, str, str], int] = {}
        self._uses = Counter[Use]()
        self._clients: set[tuple[str, str]] = set()
        self._operations: set[str] = set()

    def add(self, operation: Operation, client: str, version: str) -> None:
        """Count an operation of a client, which is "" if it does not name itself."""
        kept, key = self._kept, (operation, client, version)
        if key in kept:
            kept[key] += 1
            return
        if len(kept) >= _MOST_KEPT:
            self._look_up()
        kept[key] = 1

    def know(self, uses: Iterable[Use]) -> None:
        """Note the names that are stored; they take room, as do those that are to be stored.

        Names that are not stored any more have made room.
        """
        self._look_up()
        self._clients.clear()
        self._operations.clear()
        for use in (*uses, *self._uses):
            self._clients.add((use.client, use.version))
            if use.kind == Kind.OPERATION:
                self._operations.add(use.name)

    def take(self) -> Mapping[Use, int]:
        """The counts since the last time."""
        self._look_up()
        taken, self._uses = self._uses, Counter()
        return taken

    def give_back(self, taken: Mapping[Use, int]) -> None:
        """Return counts that could not be stored."""
        self._uses.update(taken)

    def _look_up(self) -> None:
        for (operation, name, number), times in self._kept.items():
            client, version = self._client(name[:_MOST_CHARS], number[:_MOST_CHARS])
            for coordinate in operation.coordinates:
                self._uses[Use(Kind.FIELD, coordinate, client, version)] += times
            named = self._operation(f"{operation.type} {(operation.name or '')[:_MOST_CHARS]}")
            self._uses[Use(Kind.OPERATION, named.rstrip(), client, version)] += times
        self._kept.clear()

    def _client(self, name: str, version: str) -> tuple[str, str]:
        client = name, version
        if client not in self._clients:
            if len(self._clients) >= _MOST_CLIENTS:
                return OTHER, ""
            self._clients.add(client)
        return client

    def _operation(self, name: str) -> str:
        if name not in self._operations:
            if len(self._operations) >= _MOST_OPERATIONS:
                return OTHER
            self._operations.add(name)
        return name
