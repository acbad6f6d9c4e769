"""The facts of one request, as it passes its steps, for the log and the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.execution.running.concurrency import Place
    from graph.execution.running.explaining import Explanation
    from graph.execution.running.work import Work

# The code of a request whose client has left before its answer.
DISCONNECTED = "DISCONNECTED"
_NONE = "none"
_ANONYMOUS = "anonymous"
# The work of a subscription is a query.
_SUBSCRIPTION = "subscription"


@dataclass(slots=True, eq=False)
class Observation:
    """What is known of a request so far; `work` is None until its operation is read.

    `cost` is its price, and `seconds` the time until its answer, None before that. `codes` are
    those of the answer's errors.
    """

    began: float = field(default_factory=perf_counter)
    work: Work | None = None
    place: Place | None = None
    cost: int = 0
    replayed: int = 0
    codes: tuple[str, ...] = ()
    seconds: float | None = None
    # Of a request that is explained.
    explanation: Explanation | None = None

    def end(self, codes: tuple[str, ...] = ()) -> None:
        """Note the answer."""
        self.codes = codes
        self.seconds = perf_counter() - self.began

    @property
    def age_ns(self) -> int:
        """The time since it began, in nanoseconds."""
        return int((perf_counter() - self.began) * 1e9)

    @property
    def operation_name(self) -> str:
        """`anonymous` for an operation without a name, `none` where none was read."""
        if self.work is None:
            return _NONE
        return self.work.operation.name or _ANONYMOUS

    @property
    def operation_type(self) -> str:
        """`query`, `mutation` or `subscription`; `none` where no operation was read."""
        if self.work is None:
            return _NONE
        return self.work.operation.type if self.work.source is None else _SUBSCRIPTION

    @property
    def sql_seconds(self) -> float:
        """The time of its statements."""
        if self.place is None:
            return 0.0
        return self.place.statement_seconds
