"""The log of slow operations: what they were, what they cost, and on a sample how they are planned.

The plan comes from EXPLAIN of the same statement, with the same parameters and in the same world.
It is made after the answer, one at a time and so many a minute. Nothing in a line is a value of a
client: variables are described by their types and sizes.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from graph.telemetry import Fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.database.engine import Database
    from graph.database.reads import JsonQuery
    from graph.execution.running.observation import Observation
    from graph.execution.running.request import Request
    from graph.selection import Value
    from graph.viewer import Viewer

logger = logging.getLogger("graph.slow")

_MINUTE = 60.0
# A worker with too much to do is slow with everything, and its log must not be one more load.
_LINES_PER_MINUTE = 120
_EXPLAIN_SECONDS = 2.0
_MOST_MEMBERS = 20
_MOST_LEVELS = 5
_SCALARS = {type(None): "null", bool: "boolean", int: "number", float: "number"}
# The name of a variable or of an input's field; another key is a client's own text.
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,99}", re.ASCII)


class SlowLog:
    """Logs the operations of one worker that take `ms` or more."""

    def __init__(
        self, database: Database, *, ms: int, plans_per_minute: int, cost_per_ms: int
    ) -> None:
        self._database = database
        self._seconds = ms / 1000
        self._plans_per_minute = plans_per_minute
        self._cost_per_ms = cost_per_ms
        self._planned = deque[float](maxlen=max(1, plans_per_minute))
        self._logged = deque[float](maxlen=_LINES_PER_MINUTE)
        self._left_out = 0
        self._explaining: asyncio.Task[None] | None = None

    def is_slow(self, observation: Observation) -> bool:
        """Whether an operation took that long until its answer; not one that was never read."""
        return (observation.seconds or 0.0) >= self._seconds and observation.work is not None

    def add(
        self, fields: Fields, request: Request, observation: Observation, viewer: Viewer
    ) -> None:
        """Log a slow operation; `fields` are those of its line in the other log."""
        if _is_full(self._logged):
            self._left_out += 1
            return
        self._logged.append(monotonic())
        sql_ms = observation.sql_seconds * 1000
        slow = Fields(
            fields,
            variables=shape_of(request.variables),
            cost_of_time=int(sql_ms * self._cost_per_ms),
            cost_per_sql_ms=round(observation.cost / sql_ms, 1) if sql_ms else None,
        )
        if self._left_out:
            slow["left_out"], self._left_out = self._left_out, 0
        work = observation.work
        query = work.compiled.query if work and work.compiled else None
        if work and query and self._may_explain:
            self._planned.append(monotonic())
            self._explaining = asyncio.create_task(self._explain(slow, query, work.values, viewer))
        else:
            logger.warning(slow)

    async def close(self) -> None:
        """Wait for the plan that is being made."""
        if self._explaining is not None:
            await asyncio.wait([self._explaining])

    @property
    def _may_explain(self) -> bool:
        """Whether there is room for one more plan: one at a time, and so many a minute."""
        is_busy = self._explaining is not None and not self._explaining.done()
        return self._plans_per_minute > 0 and not is_busy and not _is_full(self._planned)

    async def _explain(
        self, slow: Fields, query: JsonQuery, values: Sequence[Value], viewer: Viewer
    ) -> None:
        try:
            async with asyncio.timeout(_EXPLAIN_SECONDS):
                slow["plan"] = await self._database.explain(query, values, viewer)
        except Exception as error:  # noqa: BLE001  the line is worth more than its plan
            slow["plan_failed"] = type(error).__name__
        logger.warning(slow)


def _is_full(times: deque[float]) -> bool:
    """Whether there were as many within a minute as may be."""
    return len(times) == times.maxlen and monotonic() - times[0] < _MINUTE


def shape_of(value: Any, levels: int = _MOST_LEVELS) -> Any:
    """The types and sizes of a value in JSON, without any value."""
    if (scalar := _SCALARS.get(type(value))) is not None:
        return scalar
    match value:
        case str():
            return f"string({len(value)})"
        case list():
            first = shape_of(value[0], levels - 1) if value and levels else "..."
            return {"list": len(value), "first": first} if value else {"list": 0}
        case dict() if levels:
            members = {
                key if _NAME.fullmatch(key) else "?": shape_of(each, levels - 1)
                for key, each in list(value.items())[:_MOST_MEMBERS]
            }
            return members | ({"...": len(value)} if len(value) > _MOST_MEMBERS else {})
    return "..."
