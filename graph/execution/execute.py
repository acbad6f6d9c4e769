"""An operation becomes an answer: one SQL statement says it, or resolvers do, or both.

A query whose every field has a meaning in SQL is one statement, which is one snapshot. What SQL
cannot say runs on Strawberry's standard executor with the DataLoaders, root field by root field, in
one read session: one connection, one snapshot, the compiled fields' statement included.
"""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from graphql import ExecutionResult, GraphQLError
from strawberry.types.base import StrawberryObjectDefinition

from graph.errors import Overloaded, RateLimited, RequestError
from graph.execution.cost import Price, objects_in
from graph.execution.documents import Documents
from graph.execution.executor import run, run_in_parts
from graph.execution.failures import Refused, failure, refusal, unavailability
from graph.execution.gate import Gate
from graph.execution.incremental import Parts
from graph.execution.mutations import Keeping, Mutations
from graph.execution.persisted import Persisted
from graph.loading.ahead import Ahead
from graph.loading.loaders import Loaders
from graph.schema.context import Context
from graph.schema.types import NOUNS
from graph.settings import ExecutionMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import strawberry

    from graph.database.engine import Database, ReadSession
    from graph.execution.compile import Compiled
    from graph.execution.gate import Lane
    from graph.execution.limits import Limits
    from graph.execution.meter import Meter
    from graph.execution.mutations import Done
    from graph.execution.operations import Operation
    from graph.execution.plan import Plan
    from graph.schema.context import FieldPath
    from graph.selection import Follows, Value
    from graph.viewer import Viewer


_KEEPING = Keeping(timedelta(days=1), wait_seconds=2)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends (GraphQL over HTTP, section 5.1)."""

    query: str | None
    variables: dict[str, Any]
    operation_name: str | None = None
    # The name of a document that is not sent, or not for the first time.
    document: str | None = None
    document_is_hash: bool = False
    # Who pays for it, where there is a meter; and whether the answer is to say what it cost.
    client: str = ""
    wants_cost: bool = False
    # The header Idempotency-Key: a mutation of its own is done once for each.
    idempotency_key: str | None = None
    # The answer may come in parts, if the document says so.
    takes_parts: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A response map (specification, section 7.1) as JSON, and the HTTP status it deserves.

    Where it comes in parts, `body` is the first of them.
    """

    body: bytes
    status: int = 200
    retry_after_seconds: int | None = None
    # How long it may be kept, and by whom; None: not at all.
    cache_control: bytes | None = None
    parts: Parts | None = None


class Execution:
    """Runs operations of one schema on one database; lives as long as the application."""

    def __init__(
        self,
        schema: strawberry.Schema,
        database: Database,
        mode: ExecutionMode = ExecutionMode.COMPILED,
        limits: Limits | None = None,
        *,
        max_cost: int | None = None,
        meter: Meter | None = None,
        persisted: Persisted | None = None,
        keeping: Keeping = _KEEPING,
        gate: Gate | None = None,
    ) -> None:
        self._schema = schema._schema  # noqa: SLF001  Strawberry has no other way to it
        self._database = database
        self._documents = Documents(self._schema, limits)
        self._max_cost = max_cost
        self._meter = meter
        self._gate = gate or Gate()
        self._persisted = persisted or Persisted()
        self._compiles = mode is ExecutionMode.COMPILED
        # The schema's own types: one that was extended may have others than graph.schema.
        self._types = {noun: _type_of(schema, noun) for noun in NOUNS}
        self._mutations = Mutations(
            self._schema, database, self._types, keeping, compiles=self._compiles
        )

    async def answer(self, request: Request, viewer: Viewer) -> Answer:
        """Execute a request. Never raises for what a client sent."""
        try:
            return await self._answer(self._operation(request), request, viewer)
        except Refused as refused:
            return _refused(refused)
        except (RateLimited, Overloaded) as error:
            answer = _refused(Refused.because(str(error), code=error.code))
            wait = error.retry_after_seconds
            return replace(answer, status=error.status, retry_after_seconds=wait)
        except RecursionError:
            message = "The document is nested too deeply."
            return _refused(Refused.because(message, code="GRAPHQL_VALIDATION_FAILED"))
        except Exception as error:  # noqa: BLE001  it is masked, and logged with its cause
            return _failed([GraphQLError(str(error), original_error=error)])

    def is_query(self, request: Request) -> bool:
        """Whether a request only reads. True of what cannot be read: it will be refused."""
        try:
            return self._operation(request).is_query
        except Refused:
            return True

    def _operation(self, request: Request) -> Operation:
        query, document = request.query, request.document
        if document is not None or not self._persisted.takes_any:
            try:
                query = self._persisted.text(query, document, is_hash=request.document_is_hash)
            except RequestError as error:
                raise Refused.because(str(error), code=error.code) from None
        assert query is not None  # noqa: S101  a request has one of them
        return self._documents.read(query).operation(request.operation_name)

    async def _answer(self, operation: Operation, request: Request, viewer: Viewer) -> Answer:
        variables = operation.variables.coerced(request.variables)
        compiled: Compiled | None = None
        plan: Plan | None = None
        if request.takes_parts and operation.is_query and operation.may_have_parts:
            plan = operation.plan(variables)
            if plan.has_parts:
                return await self._first_part(operation, plan, request, viewer)
        if self._compiles and operation.is_query:
            compiled, values = operation.compiled(variables)
            price = compiled.price
        else:
            plan = plan or operation.plan(variables)
            values, price = plan.values, Price(plan.charges)
        lane = await self._admitted(price, values, request)
        try:
            if operation.is_mutation:
                plan = plan or operation.plan(variables)
                done = await self._mutations.run(operation, plan, variables, request, viewer)
                answer = _combined(done)
            elif compiled is not None and not compiled.left:
                query = compiled.query
                columns = await self._database.text(query, values) if query else ()
                body = compiled.body(columns, {})
                answer = Answer(body, cache_control=compiled.cache_control)
            else:
                plan = plan or operation.plan(variables)
                answer = await self._resolved(operation, plan, request, viewer, compiled)
        finally:
            lane.leave()
        if self._meter is not None or request.wants_cost:
            return await self._settled(answer, price, values, request)
        return answer

    async def _admitted(self, price: Price, values: Sequence[Value], request: Request) -> Lane:
        """The lane that was entered for an operation, and is to be left after it.

        Raises:
            Refused, RateLimited, Overloaded: it costs too much; for this client; for now.
        """
        requested = price.check(values, self._max_cost)
        if self._meter is not None:
            await self._meter.take(request.client, requested)
        lane = self._gate.lane(requested)
        try:
            await lane.enter()
        except (Overloaded, CancelledError):
            await self._give_back(request, requested)
            raise
        return lane

    async def _give_back(self, request: Request, cost: int) -> None:
        if self._meter is not None and cost > 0:
            await self._meter.give_back(request.client, cost)

    async def _settled(
        self, answer: Answer, price: Price, values: Sequence[Value], request: Request
    ) -> Answer:
        """Give back what was taken too much, and say so where that was asked for."""
        requested, actual = price.total_and_actual(values, objects_in(answer.body))
        await self._give_back(request, requested - actual)
        return self._with_cost(answer, price, values, actual) if request.wants_cost else answer

    def _with_cost(
        self, answer: Answer, price: Price, values: Sequence[Value], actual: int | None
    ) -> Answer:
        cost = {
            "requested": price.total(values),
            **({} if actual is None else {"actual": actual}),
            "limit": self._max_cost,
            "fields": [{"path": path, "cost": each} for path, each in price.dearest(values)],
        }
        extensions = orjson.dumps({"cost": cost})
        return replace(answer, body=answer.body[:-1] + b',"extensions":' + extensions + b"}")

    async def _first_part(
        self, operation: Operation, plan: Plan, request: Request, viewer: Viewer
    ) -> Answer:
        """The first part of an answer; what it is loaded by is held until after the last one."""
        price = Price([*plan.charges, *plan.charges_of_parts])

        async def close(came: int) -> None:
            await rest.aclose()
            requested, actual = price.total_and_actual(plan.values, came)
            await self._give_back(request, requested - actual)

        async with AsyncExitStack() as held:
            lane = await self._admitted(price, plan.values, request)
            held.callback(lane.leave)
            _, loaders = self._reading(held, plan.fields, plan)
            ahead = Ahead(loaders, plan.deferred, plan.streamed)
            held.push_async_callback(ahead.close)
            await ahead.load(plan.root)
            context = Context(viewer, loaders, plan.fields, ahead=ahead)
            result = await run_in_parts(self._schema, operation.alone, context, request.variables)
            if isinstance(result, ExecutionResult):  # what was deferred is below a null
                answer = _said(result, plan)
                return await self._settled(answer, price, plan.values, request)
            errors = result.initial_result.errors or []
            if unavailability(errors):
                await result.subsequent_results.aclose()
                return _failed(errors)
            parts = Parts(result, close)
            rest = held.pop_all()

        answer = Answer(parts.first, parts=parts)
        # What it costs in the end is not known yet.
        return self._with_cost(answer, price, plan.values, None) if request.wants_cost else answer

    async def _resolved(
        self,
        operation: Operation,
        plan: Plan,
        request: Request,
        viewer: Viewer,
        compiled: Compiled | None = None,
    ) -> Answer:
        """The standard executor's answer; where some of it was compiled, only the rest of it."""
        left = compiled.left if compiled else frozenset(plan.nodes)
        fields = plan.below(left)
        async with AsyncExitStack() as held:
            session, loaders = self._reading(held, fields, plan)
            query = compiled.query if compiled else None
            columns = await session.text(query, plan.values) if query else ()
            await Ahead(loaders).load(root for root in plan.root if root.key in left)
            document, context = operation.only(plan, left), Context(viewer, loaders, fields)
            result = await run(self._schema, document, context, request.variables)
        return _said(result, plan, compiled, columns)

    def _reading(
        self, held: AsyncExitStack, fields: Mapping[FieldPath, Follows], plan: Plan
    ) -> tuple[ReadSession, Loaders]:
        """What these fields are read by, one snapshot, until the stack is closed."""
        session = self._database.read()
        held.push_async_callback(session.close)
        loaders = Loaders(session, fields.values(), plan.values, self._types)
        held.push_async_callback(loaders.close)
        return session, loaders


def _said(
    result: ExecutionResult,
    plan: Plan,
    compiled: Compiled | None = None,
    columns: Sequence[bytes] = (),
) -> Answer:
    """The answer of an executor; where some of it was compiled, together with these columns."""
    if result.data is None or unavailability(result.errors or []):
        return _failed(result.errors or [])
    if compiled is None:
        body = orjson.dumps({"data": result.data})
    else:
        texts = {key: orjson.dumps(value) for key, value in result.data.items()}
        body = compiled.body(columns, texts)
    cache_control = None if result.errors else plan.cache_control
    return Answer(_with_errors(body, result.errors), cache_control=cache_control)


def _combined(done: Mapping[str, Done]) -> Answer:
    """The answer of a mutation: each field has its text, or is null and has errors."""
    errors = [error for each in done.values() for error in each.errors]
    if errors and len(done) == 1 and unavailability(errors):
        return _failed(errors)
    members = b",".join(
        b'"%s":%s' % (key.encode(), each.text or b"null") for key, each in done.items()
    )
    body = _with_errors(b'{"data":{%s}}' % members, errors)
    replayed = [key for key, each in done.items() if each.replayed]
    if replayed:
        body = body[:-1] + b',"extensions":' + orjson.dumps({"replayed": replayed}) + b"}"
    return Answer(body)


def _type_of(schema: strawberry.Schema, noun: str) -> type:
    definition = schema.get_type_by_name(noun)
    return definition.origin if isinstance(definition, StrawberryObjectDefinition) else NOUNS[noun]


def _refused(refused: Refused) -> Answer:
    errors = [refusal(error, refused.code) for error in refused.errors]
    return Answer(orjson.dumps({"errors": errors}), status=400)


def _failed(errors: Sequence[GraphQLError]) -> Answer:
    """An answer without data: an error took all of it along."""
    # One snapshot and one connection: when the store was lost on the way, all of the answer is.
    if reason := unavailability(errors):
        error = {"message": str(reason), "extensions": {"code": reason.code}}
        return Answer(orjson.dumps({"errors": [error]}), status=reason.status)
    return Answer(_with_errors(b'{"data":null}', errors))


def _with_errors(body: bytes, errors: Sequence[GraphQLError] | None) -> bytes:
    if not errors:
        return body
    return body[:-1] + b',"errors":' + orjson.dumps([failure(error) for error in errors]) + b"}"
