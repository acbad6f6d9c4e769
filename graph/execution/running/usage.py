"""Counts which clients use which operations and fields, until the counts are stored.

A request costs an entry in a dictionary. What an operation names is looked up later, once for all
requests of one document and client. Clients can send any name, so names are bounded, and those that
have no room are counted together. A name that is used often takes the room of one that is used
seldom. Names that are sent at random fill the room only until others need it.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from graph.execution.documents.operation import Operation

N = TypeVar("N")

# Operations by client that are kept until they are looked up: each keeps its document alive.
_MOST_KEPT = 256
_MOST_CLIENTS = 100
_MOST_OPERATIONS = 500
_MOST_CHARS = 100
# Names without room whose uses are counted, and how many of them get room at once.
_MOST_WAITING = 1_000
_MOST_ADMITTED = 10
# A name counts half when it has not been used for so long.
_HALF_LIFE_DAYS = 30
# The name of all that have no room.
OTHER = "(other)"
_OTHER_CLIENT = (OTHER, "")


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


class Stored(Protocol):
    """A use that is stored, and how often and when it was made last."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def uses(self) -> int: ...
    @property
    def last_used(self) -> datetime: ...


class Names(Generic[N]):
    """A bounded set of names, and the uses of those that have no room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: set[N] = set()
        self._waiting = Counter[N]()

    def has_room(self, name: N, times: int) -> bool:
        """Whether a name is kept; a new one is if there is room, and waits for it if not."""
        if name in self._kept:
            return True
        if len(self._kept) < self._most:
            self._kept.add(name)
            return True
        self._wait(name, times)
        return False

    def know(self, scores: Mapping[N, float]) -> list[N]:
        """Keep the names with the highest scores; return those that lose their room.

        The names that waited have their numbers of uses as scores.
        """
        ranking = dict(scores)
        for name, uses in self._waiting.most_common(_MOST_ADMITTED):
            ranking[name] = max(ranking.get(name, 0), uses)
        self._waiting.clear()
        ranked = sorted(
            ranking, key=lambda name: -ranking[name]
        )  # of equal ones those that are kept
        self._kept = set(ranked[: self._most])
        return [name for name in scores if name not in self._kept]

    def _wait(self, name: N, times: int) -> None:
        """Count a name. If there are too many, each loses as much as the least has.

        So no name has a larger count than it has uses, and one with a share of a thousandth of all
        is found (Misra and Gries, "Finding repeated elements").
        """
        waiting = self._waiting
        if name not in waiting and len(waiting) >= _MOST_WAITING:
            less = min(times, *waiting.values())
            self._waiting = waiting = Counter(
                {each: count - less for each, count in waiting.items() if count > less}
            )
            times -= less
        if times:
            waiting[name] += times


class Evicted(NamedTuple):
    """Names that have lost their room: clients with their versions, and operations."""

    clients: list[tuple[str, str]]
    operations: list[str]


class UsageCounts:
    """The counts of one worker."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Operation, str, str], int] = {}
        self._uses = Counter[Use]()
        self._clients = Names[tuple[str, str]](_MOST_CLIENTS)
        self._operations = Names[str](_MOST_OPERATIONS)

    def add(self, operation: Operation, client: str, version: str) -> None:
        """Count an operation of a client, which is "" if it does not name itself."""
        kept, key = self._kept, (operation, client, version)
        if key in kept:
            kept[key] += 1
            return
        if len(kept) >= _MOST_KEPT:
            self._look_up()
        kept[key] = 1

    def know(self, stored: Iterable[Stored], now: datetime) -> Evicted:
        """Note the names that are stored, beside those to be stored; return those to be evicted.

        The most used keep their room, and what was used lately counts more. Names that are not
        stored any more have made room.
        """
        self._look_up()
        clients, operations = Counter[tuple[str, str]](), Counter[str]()
        for use in stored:
            if use.kind == Kind.OPERATION:  # one for each request
                age_days = (now - use.last_used).total_seconds() / 86_400
                score = use.uses * 0.5 ** (age_days / _HALF_LIFE_DAYS)
                clients[use.client, use.version] += score
                operations[use.name] += score
        for pending, uses in self._uses.items():
            if pending.kind == Kind.OPERATION:
                clients[pending.client, pending.version] += uses
                operations[pending.name] += uses
        del clients[_OTHER_CLIENT], operations[OTHER]
        evicted = Evicted(self._clients.know(clients), self._operations.know(operations))
        self._rename(evicted)
        return evicted

    def take(self) -> Mapping[Use, int]:
        """The counts since the last time."""
        self._look_up()
        taken, self._uses = self._uses, Counter()
        return taken

    def give_back(self, taken: Mapping[Use, int]) -> None:
        """Return counts that could not be stored."""
        self._uses.update(taken)

    def _rename(self, evicted: Evicted) -> None:
        """Count with the others what is not stored yet."""
        clients, operations = set(evicted.clients), set(evicted.operations)
        uses, self._uses = self._uses, Counter()
        for use, times in uses.items():
            client = use.client, use.version
            client = _OTHER_CLIENT if client in clients else client
            is_evicted = use.kind == Kind.OPERATION and use.name in operations
            self._uses[Use(use.kind, OTHER if is_evicted else use.name, *client)] += times

    def _look_up(self) -> None:
        for (operation, name, number), times in self._kept.items():
            client = name[:_MOST_CHARS], number[:_MOST_CHARS]
            if not self._clients.has_room(client, times):
                client = _OTHER_CLIENT
            for coordinate in operation.coordinates:
                self._uses[Use(Kind.FIELD, coordinate, *client)] += times
            named = f"{operation.type} {(operation.name or '')[:_MOST_CHARS]}".rstrip()
            if not self._operations.has_room(named, times):
                named = OTHER
            self._uses[Use(Kind.OPERATION, named, *client)] += times
        self._kept.clear()
