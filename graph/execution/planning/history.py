"""How long the operations of one shape took, so that the next one waits in the right line."""

from __future__ import annotations

# So many quick runs in a row make a shape quick again. Other values may make one run slow.
_FORGIVEN_AFTER = 16


class History:
    """The runs of one shape; lives as long as the compiled operation."""

    __slots__ = ("_owed", "has_run")

    def __init__(self) -> None:
        self.has_run = False
        self._owed = 0

    @property
    def is_slow(self) -> bool:
        return self._owed > 0

    def add(self, *, was_slow: bool) -> None:
        self.has_run = True
        if was_slow:
            self._owed = _FORGIVEN_AFTER
        elif self._owed:
            self._owed -= 1
