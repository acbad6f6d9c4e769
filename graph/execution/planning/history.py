"""How long the operations of one shape took, so that the next one waits in the right line."""

from __future__ import annotations

# So many quick runs in a row make a shape quick again. Other values may make one run slow.
_FORGIVEN_AFTER = 16
# About a quarter of a second, on a machine that takes 10 microseconds for each unit.
_SLOW_PLAN = 25_000.0


class History:
    """The runs of one shape; lives as long as the compiled operation."""

    __slots__ = ("_owed", "has_run", "planned_cost")

    def __init__(self) -> None:
        self.has_run = False
        # PostgreSQL's own estimate, in its units: a second opinion before the first run.
        self.planned_cost: float | None = None
        self._owed = 0

    @property
    def is_slow(self) -> bool:
        """Whether it was slow lately, or PostgreSQL expects it of a shape that has not run."""
        if self.has_run or self.planned_cost is None:
            return self._owed > 0
        return self.planned_cost >= _SLOW_PLAN

    def add(self, *, was_slow: bool) -> None:
        self.has_run = True
        if was_slow:
            self._owed = _FORGIVEN_AFTER
        elif self._owed:
            self._owed -= 1
