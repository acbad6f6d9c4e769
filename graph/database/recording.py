"""Records the statements of one operation, for its explanation."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from graph.database.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

# A mutation of many rows may run more.
MAX_STATEMENTS = 100


@dataclass(slots=True)
class RecordedStatement:
    """A statement that ran, and for how long."""

    sql: str
    parameters: Sequence[Any]
    seconds: float = 0.0


@dataclass(slots=True)
class Recording:
    """The statements of an operation in order, at most `MAX_STATEMENTS`; `count` are all.

    `connecting_seconds` is the time that it waited for connections, and `writing_seconds` that in
    which SQL was written. `ended` is when the last statement ended.
    """

    statements: list[RecordedStatement] = field(default_factory=list)
    count: int = 0
    connecting_seconds: float = 0.0
    writing_seconds: float = 0.0
    statement_seconds: float = 0.0
    ended: float | None = None
    # When the connection of the next statement was there, until that begins.
    connected: float | None = None


class Recorder(Stopwatch):
    """A stopwatch that records the statements; those of an operation share a recording."""

    __slots__ = ("_entered", "_recording", "_statement")

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._recording = recording
        self._entered = 0.0
        self._statement: RecordedStatement | None = None

    @contextmanager
    def connecting(self) -> Iterator[None]:
        began = perf_counter()
        yield
        self._recording.connected = perf_counter()
        self._recording.connecting_seconds += self._recording.connected - began

    def note(self, sql: str, parameters: Sequence[Any]) -> None:
        super().note(sql, parameters)
        self._statement = RecordedStatement(sql, parameters)
        self._recording.count += 1
        if len(self._recording.statements) < MAX_STATEMENTS:
            self._recording.statements.append(self._statement)

    def __enter__(self) -> None:
        super().__enter__()
        self._entered = perf_counter()
        # Between the connection and its first statement, the SQL is written.
        if self._recording.connected is not None:
            self._recording.writing_seconds += self._entered - self._recording.connected
            self._recording.connected = None

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ended = self._recording.ended = perf_counter()
        self._recording.statement_seconds += ended - self._entered
        if self._statement is not None:
            self._statement.seconds = ended - self._entered
            self._statement = None
        super().__exit__(type_, error, traceback)
