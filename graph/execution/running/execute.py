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
from graph.execution.documents.document import Documents
from graph.execution.documents.persisted import Persisted
from graph.execution.failures import RequestRejected, failure, refusal, unavailability
from graph.execution.planning.cost import Price, objects_in
from graph.execution.running.concurrency import Limiters
from graph.execution.running.executor import run, run_in_parts
from graph.execution.running.mutations import IdempotencyPolicy, Mutations
from graph.execution.running.parts import Parts
from graph.loading.loaders import Loaders
from graph.loading.prefetch import Prefetcher
from graph.schema.context import Context
from graph.schema.node import ENTITIES
from graph.settings import ExecutionMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import strawberry

    from graph.database.engine import Database, ReadSession
    from graph.execution.documents.limits import Limits
    from graph.execution.documents.operation import Operation
    from graph.execution.planning.compile import Compiled
    from graph.execution.planning.plan import Plan
    from graph.execution.running.concurrency import Limiter
    from graph.execution.running.mutations import FieldResult
    from graph.execution.running.rate_limit import TokenBuckets
    from graph.schema.context import FieldPath
    from graph.selection import DataField, Value
    from graph.viewer import Viewer


_IDEMPOTENCY_POLICY = IdempotencyPolicy(timedelta(days=1), wait_seconds=2)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends (GraphQL over HTTP, section 5.1)."""

    query: str | None
    variables: dict[str, Any]
    operation_name: str | None = None
    # The name of a document that is not sent, or not for the first time.
    document: str | None = None
    document_is_hash: bool = False
    # Who pays for it, where there is a token_buckets; and whether the answer is to say what it cost.
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
        token_buckets: TokenBuckets | None = None,
        persisted: Persisted | None = None,
        idempotency_policy: IdempotencyPolicy = _IDEMPOTENCY_POLICY,
        limiters: Limiters | None = None,
    ) -> None:
        self._schema = schema._schema  # noqa: SLF001  Strawberry has no other way to it
        self._database = database
        self._documents = Documents(self._schema, limits)
        self._max_cost = max_cost
        self._token_buckets = token_buckets
        self._limiters = limiters or Limiters()
        self._persisted = persisted or Persisted()
        self._compiles = mode is ExecutionMode.COMPILED
        # The schema's own types: one that was extended may have others than graph.schema.
        self._types = {
            entity: _type_of(schema, entity)
            for entity in ENTITIES
            if entity in self._schema.type_map
        }
        self._mutations = Mutations(
            self._schema, database, self._types, idempotency_policy, compiles=self._compiles
        )

    async def answer(self, request: Request, viewer: Viewer) -> Answer:
        """Execute a request. Never raises for what a client sent."""
        try:
            return await self._answer(self._operation(request), request, viewer)
        except RequestRejected as refused:
            return _refused(refused)
        except (RateLimited, Overloaded) as error:
            answer = _refused(RequestRejected.because(str(error), code=error.code))
            wait = error.retry_after_seconds
            return replace(answer, status=error.status, retry_after_seconds=wait)
        except RecursionError:
            message = "The document is nested too deeply."
            return _refused(RequestRejected.because(message, code="GRAPHQL_VALIDATION_FAILED"))
        except Exception as error:  # noqa: BLE001  it is masked, and logged with its cause
            return _failed([GraphQLError(str(error), original_error=error)])

    def is_query(self, request: Request) -> bool:
        """Whether a request only reads. True of what cannot be read: it will be refused."""
        try:
            return self._operation(request).is_query
        except RequestRejected:
            return True

    def _operation(self, request: Request) -> Operation:
        query, document = request.query, request.document
        if document is not None or not self._persisted.takes_any:
            try:
                query = self._persisted.text(query, document, is_hash=request.document_is_hash)
            except RequestError as error:
                raise RequestRejected.because(str(error), code=error.code) from None
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
        limiter = await self._admitted(price, values, request)
        try:
            if operation.is_mutation:
                plan = plan or operation.plan(variables)
                done = await self._mutations.run(operation, plan, variables, request, viewer)
                answer = _combined(done)
            elif compiled is not None and not compiled.uncompiled:
                query = compiled.query
                columns = await self._database.fetch_json(query, values) if query else ()
                body = compiled.body(columns, {})
                answer = Answer(body, cache_control=compiled.cache_control)
            else:
                plan = plan or operation.plan(variables)
                answer = await self._resolved(operation, plan, request, viewer, compiled)
        finally:
            limiter.release()
        if self._token_buckets is not None or request.wants_cost:
            return await self._settled(answer, price, values, request)
        return answer

    async def _admitted(self, price: Price, values: Sequence[Value], request: Request) -> Limiter:
        """The limiter that was entered for an operation, and is to be released after it.

        Raises:
            RequestRejected, RateLimited, Overloaded: it costs too much; for this client; for now.
        """
        requested = price.check(values, self._max_cost)
        if self._token_buckets is not None:
            await self._token_buckets.consume(request.client, requested)
        limiter = self._limiters.limiter(requested)
        try:
            await limiter.acquire()
        except (Overloaded, CancelledError):
            await self._refund(request, requested)
            raise
        return limiter

    async def _refund(self, request: Request, cost: int) -> None:
        if self._token_buckets is not None and cost > 0:
            await self._token_buckets.refund(request.client, cost)

    async def _settled(
        self, answer: Answer, price: Price, values: Sequence[Value], request: Request
    ) -> Answer:
        """Give back what was taken too much, and say so where that was selected for."""
        requested, actual = price.total_and_actual(values, objects_in(answer.body))
        await self._refund(request, requested - actual)
        return self._with_cost(answer, price, values, actual) if request.wants_cost else answer

    def _with_cost(
        self, answer: Answer, price: Price, values: Sequence[Value], actual: int | None
    ) -> Answer:
        cost = {
            "requested": price.total(values),
            **({} if actual is None else {"actual": actual}),
            "limit": self._max_cost,
            "fields": [{"path": path, "cost": each} for path, each in price.most_expensive(values)],
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
            await self._refund(request, requested - actual)

        async with AsyncExitStack() as held:
            limiter = await self._admitted(price, plan.values, request)
            held.callback(limiter.release)
            _, loaders = self._reading(held, plan.fields, plan)
            ahead = Prefetcher(loaders, plan.deferred, plan.streamed)
            held.push_async_callback(ahead.close)
            await ahead.load(plan.root)
            context = Context(viewer, loaders, plan.fields, ahead=ahead)
            result = await run_in_parts(self._schema, operation.alone, context, request.variables)
            if isinstance(result, ExecutionResult):  # what was deferred is below a null
                answer = _build_answer(result, plan)
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
        uncompiled = compiled.uncompiled if compiled else frozenset(plan.nodes)
        fields = plan.below(uncompiled)
        async with AsyncExitStack() as held:
            session, loaders = self._reading(held, fields, plan)
            query = compiled.query if compiled else None
            columns = await session.fetch_json(query, plan.values) if query else ()
            await Prefetcher(loaders).load(
                root for root in plan.root if root.response_key in uncompiled
            )
            document, context = operation.only(plan, uncompiled), Context(viewer, loaders, fields)
            result = await run(self._schema, document, context, request.variables)
        return _build_answer(result, plan, compiled, columns)

    def _reading(
        self, held: AsyncExitStack, fields: Mapping[FieldPath, DataField], plan: Plan
    ) -> tuple[ReadSession, Loaders]:
        """What these fields are read by, one snapshot, until the stack is closed."""
        session = self._database.read()
        held.push_async_callback(session.close)
        loaders = Loaders(session, fields.values(), plan.values, self._types)
        held.push_async_callback(loaders.close)
        return session, loaders


def _build_answer(
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


def _combined(done: Mapping[str, FieldResult]) -> Answer:
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


def _type_of(schema: strawberry.Schema, entity: str) -> type:
    definition = schema.get_type_by_name(entity)
    return (
        definition.origin
        if isinstance(definition, StrawberryObjectDefinition)
        else ENTITIES[entity]
    )


def _refused(refused: RequestRejected) -> Answer:
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
