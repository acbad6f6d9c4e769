"""Explains an operation: its stages, its cost, and the plans of its statements.

The stages of a request, each with its time:

    parse, validate   of a text that was not known
    plan              its variables, access and price; compilation, if its shape is new
    place             the wait for a place among the running operations
    connection        the wait for a connection
    compile           writing the SQL, if it is new
    statement         the statements
    resolve           between the statements: resolvers, and the rules of mutations
    encode            after the last statement, until the answer is complete; of a mutation also
                      the commit

The plans are made after the answer, on the same place.
"""

from __future__ import annotations

from asyncio import to_thread
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from graph.database.catalog import catalog
from graph.database.recording import Recording
from graph.database.sql_layout import laid_out
from graph.database.statement_plans import plans_of
from graph.errors import BadRequest, Forbidden, GraphError, Unauthenticated
from graph.execution.planning.resolvers import can_be_filled, resolved_within
from graph.execution.running.answers import extended
from graph.execution.running.request import ExplainMode
from graph.telemetry import Step, steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from graph.database.engine import Database
    from graph.database.recording import RecordedStatement
    from graph.execution.planning.cost import CostLimits
    from graph.execution.running.charging import Charging
    from graph.execution.running.concurrency import Place
    from graph.execution.running.request import Answer, Request
    from graph.execution.running.work import Work
    from graph.viewer import Viewer

_STAGES = (
    *("parse", "validate", "plan", "place", "connection"),
    *("compile", "statement", "resolve", "encode"),
)


def explanation_of(request: Request, viewer: Viewer, *, everybody: bool) -> Explanation | None:
    """The explanation that a request wants; None if it wants none.

    Without `everybody` it needs a permission: estimates tell of rows that the viewer cannot see.

    Raises:
        Unauthenticated, Forbidden: the viewer lacks the permission.
    """
    if request.explain is None:
        return None
    if not (everybody or viewer.has(catalog.explains)):
        needed = {"extensions.explain": sorted(catalog.explains)}
        raise (Unauthenticated if viewer.subject is None else Forbidden)(needed)
    explanation = request.observation.explanation = Explanation(request.explain)
    return explanation


@dataclass(slots=True)
class Explanation:
    """What becomes known of an operation while it runs. One per request that is explained.

    `stages` are in seconds; `cost` is that of the operation and of its explanation.
    """

    mode: ExplainMode
    recording: Recording = field(default_factory=Recording)
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_STAGES, 0.0))
    cost: Mapping[str, Any] | None = None
    _began: float = field(default_factory=perf_counter)
    # The steps of reading the document; those of the request, which may be traced, go on after it.
    _reading: list[Step] = field(default_factory=list)
    _noted: list[Step] | None = field(default_factory=steps.get)
    _statements: list[dict[str, Any]] = field(default_factory=list)
    _warnings: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        steps.set(self._reading)

    def _read(self) -> None:
        """Note that the document was read, or was refused."""
        for name in ("parse", "validate"):
            self.stages[name] = sum(
                (each.ended - each.began) / 1e9
                for each in self._reading
                if each.name == f"graphql.{name}"
            )
        if self._noted is not None:
            self._noted += self._reading
        self._reading = []  # the trace has them now
        steps.set(self._noted)

    def planned(self, work: Work) -> None:
        """Note that the operation is known.

        Raises:
            BadRequest: it cannot be explained in this way.
        """
        self._read()
        self._end("plan")
        if work.source is not None:
            raise BadRequest("A subscription cannot be explained; explain a query instead.")
        if self.mode is ExplainMode.ANALYZE and not work.operation.is_query:
            raise BadRequest("'explain.analyze' is for queries only: it runs the operation again.")

    async def of(
        self,
        running: Awaitable[Answer],
        work: Work,
        database: Database,
        viewer: Viewer,
        place: Place,
    ) -> Answer:
        """The answer of an operation that has its place, and is about to run."""
        self._end("place")
        place.record(self.recording)
        answer = await running
        place.explain()
        await self._explain(work, database, viewer, place)
        return answer

    def _ran(self) -> None:
        """Note that the answer is complete."""
        recording, ended = self.recording, perf_counter()
        within = {
            "connection": recording.connecting_seconds,
            "compile": recording.writing_seconds,
            "statement": recording.statement_seconds,
            "encode": ended - recording.ended if recording.ended else 0.0,
        }
        self.stages |= within
        self._end("resolve")

    def _end(self, stage: str) -> None:
        """The time that no other stage has belongs to this one."""
        self.stages[stage] += perf_counter() - self._began - sum(self.stages.values())

    async def _explain(self, work: Work, database: Database, viewer: Viewer, place: Place) -> None:
        """Plan the statements of a complete answer; look for what deserves a warning."""
        self._ran()
        ran = self.recording.statements
        if not work.operation.is_query:
            # Its change is made: it must not time out any more. Its statements are short.
            self._statements = _shown(ran)
            return
        self._statements = await to_thread(_shown, ran)
        self._warnings += _of_resolvers(work)
        try:
            await self._plan(list(ran), database, viewer, place)
        except GraphError as error:
            code = getattr(error, "code", "UNPLANNED")
            self._warnings.append({"code": code, "message": f"There is no plan: {error}"})

    async def _plan(
        self, ran: Sequence[RecordedStatement], database: Database, viewer: Viewer, place: Place
    ) -> None:
        analyze = self.mode is ExplainMode.ANALYZE
        plans = await plans_of(database, ran, viewer, place.reads, analyze=analyze)
        for index, (shown, each) in enumerate(zip(self._statements, plans, strict=True)):
            shown |= {"parameters": each.types, "plan": each.plan}
            self._warnings += [
                {
                    "code": "SEQUENTIAL_SCAN",
                    "message": f"All of about {rows:,} rows of '{table}' are looked at.",
                    "statement": index,
                    "table": table,
                }
                for table, rows in each.scanned.items()
            ]

    async def settle(
        self,
        work: Work,
        actual: Mapping[str, int],
        limits: CostLimits,
        charging: Charging,
        client: str,
    ) -> None:
        """Charge for the explanation: the price of the operation again, or twice with a run."""
        price, values = work.price, work.values
        cost = price.total(values) * (2 if self.mode is ExplainMode.ANALYZE else 1)
        await charging.charge(client, cost)
        paid = {**actual, "charged": max(actual.values()) + cost}
        self.cost = limits.report(price, values, paid, price.by_field(values))

    def added_to(self, answer: Answer) -> Answer:
        """The answer with the extension `explain`; it must not be kept."""
        if self._reading:
            self._read()
        explained = {
            "status": answer.status,
            "bytes": len(answer.body),
            "ms": _ms(sum(self.stages.values())),
            "stages": {name: _ms(seconds) for name, seconds in self.stages.items()},
            "cost": self.cost,
            "statements": self._statements,
            "omittedStatements": self.recording.count - len(self.recording.statements),
            "warnings": self._warnings,
        }
        return replace(extended(answer, "explain", explained), cache_control=None)


def _shown(statements: Sequence[RecordedStatement]) -> list[dict[str, Any]]:
    return [
        {"sql": laid_out(each.sql), "ms": _ms(each.seconds), "parameters": None, "plan": None}
        for each in statements
    ]


def _of_resolvers(work: Work) -> list[dict[str, Any]]:
    """A warning for each root field that the standard executor answers."""
    compiled = work.compiled
    plan = work.operation.plan(work.variables)
    keys = compiled.uncompiled if compiled else frozenset(plan.nodes)
    return [
        {"code": "RESOLVER", "message": _why(root), "path": root.response_key}
        for root in plan.root
        if root.response_key in keys
    ]


def _why(root: Any) -> str:
    found = resolved_within(root)
    obstacle = next((each.field.name for each in found if not can_be_filled(each.field)), None)
    if obstacle is None:
        return f"'{root.response_key}' is answered by resolvers, as GRAPH_EXECUTION says."
    return f"'{root.response_key}' is answered by resolvers, as '{obstacle}' has no meaning in SQL."


def _ms(seconds: float) -> float:
    return round(max(seconds, 0.0) * 1000, 3)
