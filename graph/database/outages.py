"""Writes each outage of the database into the log: a line when it begins, and one when it ends.

An outage is a cause: a SQLSTATE, or the kind of the driver's error. Thousands of requests may meet
it in a second, and only the first is a line. It ends with the first statement that succeeds after
a while without another failure, since some connections may work and others not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic

from graph.telemetry import Fields

logger = logging.getLogger(__name__)

_QUIET_SECONDS = 5.0
_MAX_CHARS = 200
# Causes are few; this bounds what an odd driver could make of them.
_MOST_AT_ONCE = 20


@dataclass(slots=True)
class _Outage:
    cause: str
    sqlstate: str
    began: float
    last_failed: float
    failures: int = 1


class Outages:
    """The outages that this process has met, and that have not ended. One per process."""

    def __init__(self) -> None:
        self._open: dict[str, _Outage] = {}

    @property
    def are_open(self) -> bool:
        return bool(self._open)

    @property
    def number(self) -> int:
        return len(self._open)

    def failed(self, error: BaseException, sqlstate: str) -> None:
        """Note a failure; its line is written if it begins an outage."""
        now, name = monotonic(), sqlstate or type(error).__name__
        if (outage := self._open.get(name)) is not None:
            outage.failures += 1
            outage.last_failed = now
        elif len(self._open) < _MOST_AT_ONCE:
            cause = _cause(error)
            self._open[name] = _Outage(cause, sqlstate, now, now)
            logger.error(Fields(outage="began", cause=cause, sqlstate=sqlstate or None))

    def succeeded(self) -> None:
        """Note that a statement succeeded; worth a call only while `are_open`."""
        now = monotonic()
        for name, outage in list(self._open.items()):
            if now - outage.last_failed >= _QUIET_SECONDS:
                del self._open[name]
                logger.warning(
                    Fields(
                        outage="ended",
                        cause=outage.cause,
                        sqlstate=outage.sqlstate or None,
                        seconds=round(outage.last_failed - outage.began, 1),
                        failures=outage.failures,
                    )
                )


outages = Outages()


def _cause(error: BaseException) -> str:
    """The first line of the driver's message; a timeout has none."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:_MAX_CHARS]
