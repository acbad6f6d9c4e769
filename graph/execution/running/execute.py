"""Executes operations: by one SQL statement, by resolvers, or by both.

A query whose fields all have a meaning in SQL is one statement, which sees one snapshot. Other root
fields run on Strawberry's standard executor with the DataLoaders, in one read session: one
connection and one snapshot, which includes the statement of the compiled fields.
"""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from graphql import ExecutionResult

from graph.database.catalog import catalog
from graph.database.consistency import current_token
from graph.database.events import LogReader
from graph.database.worlds import world_of
from graph.errors import AnswerTooLarge, Interrupted, MethodNotAllowed, StreamNotAccepted
from graph.execution.documents.document import Documents
from graph.execution.documents.persisted import Persisted
from graph.execution.failures import RequestRejected, defect_of, rejection, unavailability
from graph.execution.live.hub import Hub
from graph.execution.planning.cost import CostLimits, objects_in
from graph.execution.running.answers import (
    answer_to,
    build_answer,
    combined,
    compiled_answer,
    rejected,
    with_cost,
)
from graph.execution.running.charging import Charging
from graph.execution.running.concurrency import Limiters
from graph.execution.running.executor import executor_of, run, run_in_parts
from graph.execution.running.explaining import explanation_of
from graph.execution.running.filling import NOTHING, filled_answer
from graph.execution.running.mutations import IdempotencyPolicy, Mutations
from graph.execution.running.parts import Parts
from graph.execution.running.planner import Planner
from graph.execution.running.request import Answer, Request
from graph.loading.loaders import Loaders
from graph.loading.prefetch import Prefetcher, need_one_statement
from graph.schema.context import Context
from graph.schema.node import types_of_records
from graph.settings import ExecutionMode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import strawberry
    from graphql.execution.values import VariableValues

    from graph.database.engine import Database, ReadSession
    from graph.database.replay import ReplayLimits
    from graph.database.replicas import Reader
    from graph.database.stopwatch import Stopwatch
    from graph.execution.documents.limits import Limits
    from graph.execution.documents.operation import Operation
    from graph.execution.documents.subscriptions import Source
    from graph.execution.planning.plan import Plan
    from graph.execution.running.concurrency import Place
    from graph.execution.running.counts import OperationCounts
    from graph.execution.running.work import Work
    from graph.schema.context import FieldPath
    from graph.selection import DataField
    from graph.viewer import Viewer


_IDEMPOTENCY_POLICY = IdempotencyPolicy(timedelta(days=1), wait_seconds=2)


class Execution:
    """Runs operations of one schema on one database. One per application."""

    def __init__(
        self,
        schema: strawberry.Schema,
        database: Database,
        mode: ExecutionMode = ExecutionMode.COMPILED,
        limits: Limits | None = None,
        *,
        cost_limits: CostLimits | None = None,
        charging: Charging | None = None,
        persisted: Persisted | None = None,
        idempotency_policy: IdempotencyPolicy = _IDEMPOTENCY_POLICY,
        limiters: Limiters | None = None,
        replay: ReplayLimits | None = None,
        counts: OperationCounts | None = None,
        explains: bool = False,
    ) -> None:
        self._schema = schema._schema  # noqa: SLF001  Strawberry has no other way to it
        self._database = database
        self._cost_limits = cost_limits or CostLimits()
        self._charging = charging or Charging()
        self.limiters = limiters or Limiters()
        self.counts = counts
        # Whether operations are explained to everybody, or to viewers with the permission only.
        self._explains = explains
        # The subscriptions, if the store has a log of its changes.
        self.hub: Hub | None = None
        if catalog.log is not None:
            log = LogReader(database, catalog.log, replay)
            self.hub = Hub(self._schema, log, self._run_again, self._charging)
        compiles = mode is ExecutionMode.COMPILED
        self._planner = Planner(
            Documents(self._schema, limits),
            persisted or Persisted(),
            database.sizes,
            self.hub,
            self.limiters,
            compiles=compiles,
        )
        self._types = types_of_records(schema)
        self._mutations = Mutations(
            self._schema, database, self._types, idempotency_policy, compiles=compiles
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve subscriptions meanwhile."""
        async with self.hub.running() if self.hub is not None else nullcontext():
            yield

    @property
    def documents(self) -> Documents:
        """The cache of documents."""
        return self._planner.documents

    def live_cursor(self, viewer: Viewer) -> str | None:
        """Where a subscription to events would begin now; None if the viewer sees none."""
        return self.hub.cursor(viewer) if self.hub is not None else None

    async def answer(self, request: Request, viewer: Viewer) -> Answer:
        """Execute a request. It raises for one thing in the content of a request only.

        Raises:
            MethodNotAllowed: it is for queries only, and this is none.
        """
        began = perf_counter()
        try:
            answer = await self._answer(request, viewer)
        except RequestRejected as error:
            await self._charging.settle_refused(request.client, seconds=perf_counter() - began)
            answer = rejected(error)
        except MethodNotAllowed:
            raise
        except Exception as error:  # noqa: BLE001  it is masked, and logged with its cause
            answer = answer_to(error)
        except CancelledError as error:
            answer = answer_to(defect_of(error))
        request.observation.end(answer.codes)
        if self.counts is not None:
            self.counts.add(request.observation)
        explanation = request.observation.explanation
        return answer if explanation is None else explanation.added_to(answer)

    async def _answer(self, request: Request, viewer: Viewer) -> Answer:
        """The steps of every request, in order."""
        if self._charging.token_buckets is not None:
            await self._charging.check(request.client)
        explanation = explanation_of(request, viewer, everybody=self._explains)
        work = request.observation.work = await self._planner.read(request, viewer)
        if explanation is not None:
            explanation.planned(work)
        if work.source is not None:
            return await self._subscribe(work, work.source, request, viewer)
        if self.hub is not None and work.operation.reads_log:
            await self.hub.catch_up()
            work = await self._planner.read(request, viewer)
        place = request.observation.place = await self._admit(work, request)
        answer = None
        try:
            running = self._run(work, request, viewer, place, self._reader(work, request))
            if explanation is not None:
                running = explanation.of(running, work, self._database, viewer, place)
            answer = await running
        finally:
            # An answer in parts keeps its place until its last part.
            if answer is None or answer.parts is None:
                self.limiters.release(place, work.history)
            if self.hub is not None and work.operation.is_mutation:
                self.hub.wake()
            if answer is None:
                requested = work.price.total(work.values)
                await self._charging.settle_failed(request.client, requested, seconds=place.seconds)
        if self._charging.token_buckets is None and not request.reports_cost:
            return answer
        return await self._settle(answer, work, request, place)

    async def _admit(self, work: Work, request: Request) -> Place:
        """Charge for the operation, and acquire a place to run in; the caller releases it.

        Raises:
            RequestRejected: the operation exceeds the cost limit.
            RateLimited: it costs more than is left in the client's bucket.
            Overloaded: too many operations are waiting already.
        """
        requested = work.price.check(work.values, self._cost_limits)
        request.observation.cost = requested
        is_query = work.operation.is_query
        if self._charging.token_buckets is not None:
            await self._charging.consume(request.client, requested)
        place = self.limiters.acquire_now(requested, work.history, is_query=is_query)
        if place is not None:
            return place
        try:
            return await self.limiters.acquire(
                requested, work.history, request.client, is_query=is_query
            )
        except BaseException:  # it did no work
            await self._charging.refund(request.client, requested)
            raise

    async def _subscribe(
        self, work: Work, source: Source, request: Request, viewer: Viewer
    ) -> Answer:
        """The stream of a subscription; the first run of its query is charged beforehand.

        Raises:
            StreamNotAccepted: the transport takes one result.
            RequestRejected, RateLimited: as `_admit`.
            RequestError: the stream cannot begin after the cursor.
        """
        assert self.hub is not None  # noqa: S101  it has made the source
        if not request.takes_stream:
            raise StreamNotAccepted
        requested = work.price.check(work.values, self._cost_limits)
        request.observation.cost = requested
        await self._charging.consume(request.client, requested)
        size = self._cost_limits.times(requested, work.price.scanned(work.values))
        return Answer(b"", stream=await self.hub.subscribe(source, work, request, viewer, size))

    async def _run_again(
        self, operation: Operation, variables: VariableValues, request: Request, viewer: Viewer
    ) -> tuple[Answer, int]:
        """Run the query of subscriptions; its answer, and what it costs."""
        work = self._planner.work(operation, variables, request, world_of(viewer))
        requested = work.price.total(work.values)
        place = await self.limiters.acquire(requested, work.history, request.client, is_query=True)
        try:
            answer = await self._run(work, request, viewer, place, self._database)
        except CancelledError as error:
            raise defect_of(error) from error
        finally:
            self.limiters.release(place, work.history)
        _, actual = work.price.total_and_actual(work.values, objects_in(answer.body))
        return await self._with_token(answer), max(actual, self._charging.cost_of(place.seconds))

    def _reader(self, work: Work, request: Request) -> Reader:
        """What answers a query. A replica may lack events that have settled on the primary.

        The statements of an explained query are planned on the primary.
        """
        is_primary = work.operation.reads_log or request.explain is not None
        return self._database if is_primary else self._database.reader(request.token)

    async def _run(
        self, work: Work, request: Request, viewer: Viewer, place: Place, reader: Reader
    ) -> Answer:
        """Run an operation. A query that was interrupted is run once more, on the primary.

        Its place and its deadline stay the same. The second run has another connection.
        """
        if work.mutation is not None:
            done = await self._mutations.run(work, request, viewer, place)
            request.observation.replayed = sum(each.replayed for each in done.values())
            return await self._with_token(combined(done))
        try:
            return await self._read(work, request, viewer, place, reader)
        except Interrupted:
            return await self._read(work, request, viewer, place, self._database)

    async def _with_token(self, answer: Answer) -> Answer:
        """The answer with the token of all that it shows, or has changed."""
        if self._database.replicas is None:
            return answer
        return replace(answer, token=await current_token(self._database))

    async def _read(
        self, work: Work, request: Request, viewer: Viewer, place: Place, reader: Reader
    ) -> Answer:
        """Run a compiled statement, or resolvers together with a compiled statement."""
        compiled = work.compiled
        if compiled is not None and work.price.has_scans:
            planned = partial(reader.planned_cost, compiled.query, work.values, viewer, place.reads)
            await self.limiters.check_plan(place, work.history, planned, request.client)
        if compiled is not None and not (compiled.uncompiled or compiled.needs_loaders):
            query = compiled.query
            columns = (
                await reader.fetch_json(query, work.values, viewer, place.reads) if query else ()
            )
            if compiled.resolvers:
                return self._bounded(await filled_answer(self._schema, self._types, work, columns))
            return compiled_answer(compiled, columns, work.values)
        plan = work.plan
        assert plan is not None  # noqa: S101  it is kept for whatever is not compiled
        if work.has_parts:
            return await self._first_part(work, plan, request, viewer, place)
        return await self._resolve(work, plan, viewer, place.reads)

    async def _settle(self, answer: Answer, work: Work, request: Request, place: Place) -> Answer:
        """Charge the actual cost, and report it on request."""
        if answer.parts is not None:  # its actual cost is known after the last one
            return with_cost(answer, work, {}, self._cost_limits) if request.wants_cost else answer
        actual = await self._charge(work, request, place, objects_in(answer.body))
        if (explanation := request.observation.explanation) is not None:
            await explanation.settle(
                work, actual, self._cost_limits, self._charging, request.client
            )
        return with_cost(answer, work, actual, self._cost_limits) if request.wants_cost else answer

    async def _charge(
        self, work: Work, request: Request, place: Place, objects: int
    ) -> dict[str, int]:
        seconds = place.seconds
        return await self._charging.settle(
            request.client, work.price, work.values, objects=objects, seconds=seconds
        )

    async def _first_part(
        self, work: Work, plan: Plan, request: Request, viewer: Viewer, place: Place
    ) -> Answer:
        """The first part of an answer. Its session and its place are held until the last part."""

        async def close(objects: int) -> None:
            await rest.aclose()
            await self._charge(work, request, place, objects)

        async with AsyncExitStack() as held:
            _, loaders = self._reading(held, plan.fields, plan, viewer, place.reads)
            prefetcher = Prefetcher(loaders, plan.deferred, plan.streamed)
            held.push_async_callback(prefetcher.close)
            await prefetcher.load(plan.root)
            context = Context(viewer, loaders, plan.fields, prefetcher=prefetcher)
            document = work.operation.alone
            result = await run_in_parts(self._schema, document, context, request.variables)
            if isinstance(result, ExecutionResult):  # all deferred fields are below a null
                return build_answer(result, plan)
            errors = result.initial_result.errors or []
            if refused := rejection(errors) or unavailability(errors):
                await result.subsequent_results.aclose()
                raise refused
            parts = Parts(result, close, self._database.max_answer_bytes)
            held.callback(self.limiters.release, place, work.history)
            rest = held.pop_all()
        return Answer(parts.first, parts=parts)

    async def _resolve(
        self, work: Work, plan: Plan, viewer: Viewer, stopwatch: Stopwatch
    ) -> Answer:
        """The standard executor's answer, for the root fields that are not compiled."""
        compiled = work.compiled
        keys = compiled.uncompiled if compiled else frozenset(plan.nodes)
        fields = plan.fields if compiled and compiled.needs_loaders else plan.below(keys)
        async with AsyncExitStack() as held:
            session, loaders = self._reading(held, fields, plan, viewer, stopwatch)
            query = compiled.query if compiled else None
            columns = await session.fetch_json(query, plan.values) if query else ()
            context = Context(viewer, loaders, fields)
            await Prefetcher(loaders).load(root for root in plan.root if root.response_key in keys)
            result = NOTHING
            if keys:
                node = work.operation.only(plan, keys)
                result = await run(
                    executor_of(self._schema, work.operation, work.variables, context, node)
                )
            if compiled is None or result.data is None:
                return self._bounded(build_answer(result, plan))
            answer = await filled_answer(
                self._schema, self._types, work, columns, result=result, context=context
            )
            return self._bounded(answer)

    def _bounded(self, answer: Answer) -> Answer:
        if len(answer.body) > self._database.max_answer_bytes:
            raise AnswerTooLarge(self._database.max_answer_bytes)
        return answer

    def _reading(
        self,
        held: AsyncExitStack,
        fields: Mapping[FieldPath, DataField],
        plan: Plan,
        viewer: Viewer,
        stopwatch: Stopwatch,
    ) -> tuple[ReadSession, Loaders]:
        """The loaders of these fields, on one snapshot, until the stack is closed."""
        # A resolver may load more.
        once = not plan.resolvers and need_one_statement(plan.fields.values())
        session = self._database.read(viewer, stopwatch, once=once)
        held.push_async_callback(session.close)
        loaders = Loaders(session, fields.values(), plan.values, self._types)
        held.push_async_callback(loaders.close)
        return session, loaders
