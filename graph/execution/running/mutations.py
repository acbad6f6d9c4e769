"""Executes a mutation's fields, each in a transaction of its own.

A field goes through these steps in its transaction:

    claim     claim its idempotency key; if the key has an answer, that is the answer
    change    call its rule, or its resolver
    read      read the selection of its success after all changes, by one statement
    keep      store the answer with the key
    commit    or roll back, for a dry run

A change that has no key and is no dry run is tried in one statement first, without a transaction of
ours (`graph.database.writes.at_once`). If that does nothing, the steps follow.

A domain error rolls the transaction back. Its selection is read in another, and nothing is stored,
so the same key can be used again. A deadlock repeats the transaction. The fields of an `@atomic`
operation share one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import orjson

from graph.database.transaction import (
    LoadingTransaction,
    RetryableConflict,
    Transaction,
    loading_transaction,
    transaction,
)
from graph.database.worlds import NotChanged, changing_world
from graph.database.writes import idempotency
from graph.database.writes.at_once import change_at_once
from graph.errors import (
    AnswerTooLarge,
    DomainError,
    ErrorCode,
    InvalidKey,
    NotAllowed,
    Reason,
    ReasonCode,
    RequestError,
    TryAgain,
)
from graph.execution.failures import RequestRejected, defect_of
from graph.execution.running.executor import executor_of, run
from graph.execution.running.idempotency_keys import refused
from graph.execution.running.mutation_fields import FieldResult, MutationRequest, field_of
from graph.loading.loaders import Loaders
from graph.schema.context import Change, Context
from graph.schema.error_types import shown
from graph.selection import Mutate, Resolved, Typename

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from graphql import GraphQLError, GraphQLSchema

    from graph.database.engine import Database
    from graph.database.writes.at_once import ChangeAtOnce
    from graph.execution.planning.mutation import CompiledPayload, DirectMutation
    from graph.execution.running.concurrency import Place
    from graph.execution.running.mutation_fields import MutationField
    from graph.execution.running.request import Request
    from graph.execution.running.work import Work
    from graph.settings import Settings
    from graph.viewer import Viewer

T = TypeVar("T")
TX = TypeVar("TX", bound=Transaction)

logger = logging.getLogger(__name__)

_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.02
# How long a transaction may hold locks that others wait for; a dry run's are for nothing.
_TRANSACTION_SECONDS = 10.0
_DRY_RUN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class IdempotencyPolicy:
    """The lifetime of a stored answer, and the longest wait for an answer that is being made."""

    kept: timedelta
    wait_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        kept = timedelta(hours=settings.idempotency_key_hours)
        return cls(kept, settings.idempotency_wait_seconds)


class _Failed(Exception):
    """Resolvers could not answer the selection; nothing is changed."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass(slots=True)
class Mutations:
    """Runs the mutations of one schema on one database. One per application."""

    schema: GraphQLSchema
    database: Database
    types: Mapping[str, type]
    idempotency_policy: IdempotencyPolicy
    compiles: bool
    _pause: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    async def run(
        self, work: Work, request: Request, viewer: Viewer, place: Place
    ) -> dict[str, FieldResult]:
        """The result of each field by response key, in order.

        Raises:
            RequestRejected: the request is invalid; nothing was run.
        """
        assert work.mutation is not None  # noqa: S101  it is one
        common = MutationRequest(work, work.mutation, request, viewer, place)
        fields = self._fields(common)
        if work.operation.is_atomic:
            done = await self._guarded_together(fields)
        else:
            done = {each.response_key: await self._guarded(each) for each in fields}
        return {
            root.response_key: FieldResult(f'"{root.text}"'.encode())
            if isinstance(root, Typename)
            else done[root.response_key]
            for root in work.mutation.plan.root
        }

    def _fields(self, request: MutationRequest) -> list[MutationField]:
        roots = [root for root in request.plan.root if isinstance(root, Mutate | Resolved)]
        if request.request.idempotency_key is not None and len(roots) != 1:
            raise refused(
                InvalidKey("The header Idempotency-Key applies to a single mutation only.")
            )
        fields = [field_of(self.schema, request, root, compiles=self.compiles) for root in roots]
        is_atomic = len(fields) > 1 and request.work.operation.is_atomic
        if is_atomic and len({each.is_dry_run for each in fields}) > 1:
            raise RequestRejected.because(
                "In an @atomic operation all mutations must be dry runs, or none.",
                code=ErrorCode.BAD_REQUEST,
            )
        return fields

    async def _guarded(self, field_: MutationField) -> FieldResult:
        try:
            return await self._at_once(field_) or await self._by_rule(field_)
        except _Failed as failed:
            return FieldResult(None, failed.errors)
        except Exception as error:  # noqa: BLE001  one field fails alone
            return FieldResult(None, [field_.error(error)])
        except asyncio.CancelledError as error:
            return FieldResult(None, [field_.error(defect_of(error))])

    async def _guarded_together(self, fields: Sequence[MutationField]) -> dict[str, FieldResult]:
        names = [each.response_key for each in fields]
        try:
            done = await self._persistently(
                loading_transaction, fields[0], lambda tx: self._together(tx, fields)
            )
        except _Failed as failed:
            done = [FieldResult(None, failed.errors), *(FieldResult(None) for _ in fields[1:])]
        except Exception as error:  # noqa: BLE001  they fail together
            done = [FieldResult(None, [each.error(error)]) for each in fields]
        except asyncio.CancelledError as error:
            defect = defect_of(error)
            done = [FieldResult(None, [each.error(defect)]) for each in fields]
        return dict(zip(names, done, strict=True))

    async def _persistently(
        self,
        begun: Callable[..., AbstractAsyncContextManager[TX]],
        field_: MutationField,
        work: Callable[[TX], Awaitable[T]],
    ) -> T:
        """Do it in a transaction; where another is in the way, begin anew, so many times.

        Repeated transactions run one at a time, since they would conflict again.
        """
        for attempt in range(_ATTEMPTS):
            try:
                is_dry_run, place = field_.is_dry_run, field_.request.place
                async with begun(
                    self.database,
                    field_.request.viewer,
                    is_dry_run=is_dry_run,
                    reads=place.reads,
                    changes=place.changes,
                    max_seconds=_DRY_RUN_SECONDS if is_dry_run else _TRANSACTION_SECONDS,
                ) as tx:
                    if attempt:
                        await tx.queue()
                    return await work(tx)
            except RetryableConflict:
                logger.debug("a mutation was interrupted (attempt %d)", attempt + 1)
                most = _FIRST_PAUSE_SECONDS * 2**attempt
                await self._pause(random.uniform(0, most))  # noqa: S311  no secret
        raise TryAgain

    async def _by_rule(self, field_: MutationField) -> FieldResult:
        async def make(tx: Transaction) -> FieldResult:
            done = await self._change(tx, field_)
            if not field_.is_dry_run:
                await tx.commit()
            return done

        begun = transaction if field_.direct else loading_transaction
        try:
            return await self._persistently(begun, field_, make)
        except DomainError as error:
            refusal = error
        return await self._persistently(
            loading_transaction, field_, lambda tx: self._shown(tx, field_, refusal)
        )

    async def _at_once(self, field_: MutationField) -> FieldResult | None:
        """The result of a change that one statement makes; None if nothing was done.

        A payload that reads other rows than those of the change is read by a second statement.
        """
        direct, change, viewer = field_.direct, field_.at_once(), field_.request.viewer
        if direct is None or change is None:
            return None
        query, values = direct.payload.template.query, field_.request.work.values
        if query is None:
            return await self._in_two_statements(field_, direct, change)
        stopwatch = field_.request.place.changes
        try:
            made = await change_at_once(
                self.database, change, query, values, viewer=viewer, stopwatch=stopwatch
            )
        except NotChanged:
            return await self._in_two_statements(field_, direct, change)
        if made is None:
            return None
        key, columns = made
        payload = direct.payload
        # Nothing is read of the success where the statement has all of it.
        success = direct.declared.success.build(key) if payload.template.uncompiled else None
        return FieldResult(payload.body(columns, success))

    async def _in_two_statements(
        self, field_: MutationField, direct: DirectMutation, change: ChangeAtOnce
    ) -> FieldResult | None:
        async def make(tx: Transaction) -> FieldResult | None:
            row = await tx.first(change.statement, *change.parameters)
            if row is None:
                return None
            success = direct.declared.success.build(row["id"])
            text = self._checked(await self._payload(tx, field_, direct.payload, success))
            await tx.commit()
            return FieldResult(text)

        try:
            return await self._persistently(transaction, field_, make)
        except DomainError:  # the rule may have more to say
            return None

    async def _together(
        self, tx: LoadingTransaction, fields: Sequence[MutationField]
    ) -> list[FieldResult]:
        done: list[FieldResult] = []
        for each in fields:
            try:
                done.append(await self._change(tx, each))
            except DomainError as refusal:
                await tx.rollback()
                await tx.begin()
                because = Reason(
                    ReasonCode.ROLLED_BACK,
                    f"Nothing was changed, as '{each.response_key}' was refused.",
                )
                return [
                    await self._shown(tx, one, refusal if one is each else NotAllowed(because))
                    for one in fields
                ]
        if not fields[0].is_dry_run:
            await tx.commit()
        return done

    async def _change(self, tx: Transaction, field_: MutationField) -> FieldResult:
        """All steps of a field before its commit.

        Raises:
            DomainError: a rule of the store forbids the change.
            RetryableConflict: it conflicts with another transaction.
        """
        key = None if field_.is_dry_run else field_.key
        if key is not None:
            answer = await self._claimed(tx, key)
            if answer is not None:
                return FieldResult(answer, replayed=True)
        tx.changing = changing_world(field_.request.viewer, field_.selected.needs)
        text = self._checked(await self._text(tx, field_))
        if key is not None:
            await idempotency.store(tx, key, text)
        return FieldResult(text)

    def _checked(self, text: bytes) -> bytes:
        if len(text) > self.database.max_answer_bytes:
            raise AnswerTooLarge(self.database.max_answer_bytes)
        return text

    async def _text(self, tx: Transaction, field_: MutationField) -> bytes:
        """Make the change; return the selection of its success."""
        if field_.direct is not None:
            declared = field_.direct.declared
            outcome = await declared.rule(tx, field_.direct.values(field_.arguments))
            success = declared.success.build(outcome)
            return await self._payload(tx, field_, field_.direct.payload, success)
        change = Change(tx)
        if isinstance(field_.selected, Resolved):
            return await self._resolve(field_, change)
        await self._resolve(field_, change, bare=True)
        name = type(change.outcome).__name__
        payload = field_.request.mutation.payload(field_.selected, name) if self.compiles else None
        if payload is None:
            return await self._resolve(field_, change)
        return await self._payload(tx, field_, payload, change.outcome)

    async def _payload(
        self, tx: Transaction, field_: MutationField, payload: CompiledPayload, success: Any
    ) -> bytes:
        """The selection of the success, whose rows are read by one statement."""
        query = payload.template.query
        values = payload.values(field_.request.work.values, success)
        return payload.body(await tx.fetch_json(query, values) if query else (), success)

    async def _claimed(self, tx: Transaction, key: idempotency.Key) -> bytes | None:
        policy = self.idempotency_policy
        try:
            return await idempotency.claim(
                tx, key, kept=policy.kept, wait_seconds=policy.wait_seconds
            )
        except RetryableConflict:
            raise TryAgain("A request with the same idempotency key is running.") from None

    async def _shown(
        self, tx: Transaction, field_: MutationField, refusal: DomainError
    ) -> FieldResult:
        """The domain error as a member of the field's union.

        An error if the union has no such member.
        """
        if isinstance(field_.selected, Resolved):
            return FieldResult(None, [field_.error(refusal)])
        return FieldResult(await self._resolve(field_, Change(tx, shown(refusal))))

    async def _resolve(self, field_: MutationField, change: Change, *, bare: bool = False) -> bytes:
        """The standard executor's answer for one field; `bare` leaves its selection out.

        Raises:
            DomainError, RetryableConflict, Unavailable: the resolver raised it.
            _Failed: a resolver failed in any other way.
        """
        request, key = field_.request, field_.response_key
        operation, plan = request.work.operation, request.plan
        fields = {} if bare else plan.below({key})
        assert isinstance(change.transaction, LoadingTransaction)  # noqa: S101  see `_by_rule`
        loaders = Loaders(change.transaction, fields.values(), request.work.values, self.types)
        node = operation.bare(plan, key) if bare else operation.only(plan, frozenset({key}))
        try:
            context = Context(request.viewer, loaders, fields, change)
            variables = request.work.variables
            result = await run(executor_of(self.schema, operation, variables, context, node))
        finally:
            await loaders.close()
        for error in result.errors or ():
            if isinstance(error.original_error, DomainError | RetryableConflict | RequestError):
                raise error.original_error
        if result.errors:
            raise _Failed(result.errors)
        assert result.data is not None  # noqa: S101  else there were errors
        return orjson.dumps(result.data[key])
