"""Executes a mutation's fields, each in a transaction of its own.

A field goes through these steps in its transaction:

    claim     claim its idempotency key; if the key has an answer, that is the answer
    change    call its resolver, and with it a rule of the store
    read      read the selection of its success after all changes, by one statement
    keep      store the answer with the key
    commit    or roll back, for a dry run

A domain error rolls the transaction back. Its selection is read afterwards and nothing is stored,
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
from graphql import GraphQLError, get_directive_values

from graph.database.transaction import RetryableConflict, Transaction, transaction
from graph.database.worlds import changing_world
from graph.database.writes import idempotency
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
from graph.execution.failures import RequestRejected
from graph.execution.planning.compile import compile_payload
from graph.execution.planning.plain import member
from graph.execution.planning.variables import argument_reader
from graph.execution.running.executor import run
from graph.execution.running.idempotency_keys import kept_under, refused
from graph.loading.loaders import Loaders
from graph.schema.context import Change, Context
from graph.schema.error_types import shown
from graph.selection import Key, Mutate, Resolved, Typename

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graphql import GraphQLSchema
    from graphql.execution.values import VariableValues

    from graph.database.engine import Database
    from graph.execution.documents.operation import Operation
    from graph.execution.planning.plan import Plan
    from graph.execution.running.concurrency import Place
    from graph.execution.running.request import Request
    from graph.settings import Settings
    from graph.viewer import Viewer

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True)
class FieldResult:
    """The result of a field: its text, or errors; `replayed` if it is a stored answer."""

    text: bytes | None
    errors: Sequence[GraphQLError] = ()
    replayed: bool = False


class _Failed(Exception):
    """Resolvers could not answer the selection; nothing is changed."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class _Request:
    """The common data of an operation's fields."""

    operation: Operation
    plan: Plan
    variables: dict[str, Any]
    viewer: Viewer
    client: str
    place: Place

    def content_of(self, key: str) -> bytes:
        """What an idempotency key stands for: the text of a field, and all variables."""
        text = self.operation.text_of(self.plan, key).encode()
        return text + b"\0" + orjson.dumps(self.variables, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class _Field:
    """One mutation of an operation."""

    selected: Mutate | Resolved
    request: _Request
    key: idempotency.Key | None
    is_dry_run: bool

    def error(self, error: Exception) -> GraphQLError:
        nodes = self.request.plan.nodes[self.selected.response_key]
        return GraphQLError(
            str(error), nodes=nodes, path=[self.selected.response_key], original_error=error
        )


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
        self,
        operation: Operation,
        plan: Plan,
        variables: VariableValues,
        request: Request,
        viewer: Viewer,
        *,
        place: Place,
    ) -> dict[str, FieldResult]:
        """The result of each field by response key, in order.

        Raises:
            RequestRejected: the request is invalid; nothing was run.
        """
        selected = _Request(operation, plan, request.variables, viewer, request.client, place)
        fields = self._fields(selected, variables, request.idempotency_key)
        if operation.is_atomic:
            done = await self._guarded_together(fields)
        else:
            done = {each.selected.response_key: await self._guarded(each) for each in fields}
        typenames = {root.response_key: root for root in plan.root if isinstance(root, Typename)}
        return {
            root.response_key: FieldResult(f'"{typenames[root.response_key].text}"'.encode())
            if root.response_key in typenames
            else done[root.response_key]
            for root in plan.root
        }

    def _fields(
        self, request: _Request, variables: VariableValues, header: str | None
    ) -> list[_Field]:
        roots = [root for root in request.plan.root if isinstance(root, Mutate | Resolved)]
        if header is not None and len(roots) != 1:
            raise refused(
                InvalidKey("The header Idempotency-Key applies to a single mutation only.")
            )
        fields = [self._field(root, request, variables, header) for root in roots]
        if request.operation.is_atomic and len({each.is_dry_run for each in fields}) > 1:
            raise RequestRejected.because(
                "In an @atomic operation all mutations must be dry runs, or none.",
                code=ErrorCode.BAD_REQUEST,
            )
        return fields

    def _field(
        self,
        selected: Mutate | Resolved,
        request: _Request,
        variables: VariableValues,
        header: str | None,
    ) -> _Field:
        (node, *_) = request.plan.nodes[selected.response_key]
        definition = self.schema.mutation_type.fields[node.name.value]  # type: ignore[union-attr]
        arguments = argument_reader(definition, node)(variables)
        given = self._given_keys(request, selected.response_key, variables) | ({header} - {None})
        if len(given) > 1:
            raise refused(
                InvalidKey(f"'{selected.response_key}' has more than one idempotency key.")
            )
        key = None
        if given:
            content = request.content_of(selected.response_key)
            key = kept_under(given.pop(), content, request.client, request.viewer)
        return _Field(selected, request, key, is_dry_run=arguments.get("dryRun") is True)

    def _given_keys(
        self, request: _Request, key: str, variables: VariableValues
    ) -> set[str | None]:
        directive = self.schema.get_directive("idempotent")
        if directive is None:
            return set()
        found = (
            get_directive_values(directive, node, variables) for node in request.plan.nodes[key]
        )
        return {values["key"] for values in found if values is not None}

    async def _guarded(self, field_: _Field) -> FieldResult:
        try:
            return await self._persistently(field_, lambda tx: self._alone(tx, field_))
        except _Failed as failed:
            return FieldResult(None, failed.errors)
        except Exception as error:  # noqa: BLE001  one field fails alone
            return FieldResult(None, [field_.error(error)])

    async def _guarded_together(self, fields: Sequence[_Field]) -> dict[str, FieldResult]:
        names = [each.selected.response_key for each in fields]
        try:
            done = await self._persistently(fields[0], lambda tx: self._together(tx, fields))
        except _Failed as failed:
            done = [FieldResult(None, failed.errors), *(FieldResult(None) for _ in fields[1:])]
        except Exception as error:  # noqa: BLE001  they fail together
            done = [FieldResult(None, [each.error(error)]) for each in fields]
        return dict(zip(names, done, strict=True))

    async def _persistently(self, field_: _Field, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do it in a transaction; where another is in the way, begin anew, so many times.

        Repeated transactions run one at a time, since they would conflict again.
        """
        for attempt in range(_ATTEMPTS):
            try:
                viewer, is_dry_run = field_.request.viewer, field_.is_dry_run
                async with transaction(
                    self.database,
                    viewer,
                    is_dry_run=is_dry_run,
                    reads=field_.request.place.reads,
                    changes=field_.request.place.changes,
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

    async def _alone(self, tx: Transaction, field_: _Field) -> FieldResult:
        try:
            done = await self._change(tx, field_)
        except DomainError as refusal:
            await tx.rollback()
            await tx.begin()
            return await self._shown(tx, field_, refusal)
        if not field_.is_dry_run:
            await tx.commit()
        return done

    async def _together(self, tx: Transaction, fields: Sequence[_Field]) -> list[FieldResult]:
        done: list[FieldResult] = []
        for each in fields:
            try:
                done.append(await self._change(tx, each))
            except DomainError as refusal:
                await tx.rollback()
                await tx.begin()
                because = Reason(
                    ReasonCode.ROLLED_BACK,
                    f"Nothing was changed, as '{each.selected.response_key}' was refused.",
                )
                return [
                    await self._shown(tx, one, refusal if one is each else NotAllowed(because))
                    for one in fields
                ]
        if not fields[0].is_dry_run:
            await tx.commit()
        return done

    async def _change(self, tx: Transaction, field_: _Field) -> FieldResult:
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
        change = Change(tx)
        tx.changing = changing_world(field_.request.viewer, field_.selected.needs)
        if isinstance(field_.selected, Mutate):
            await self._resolve(field_, change, bare=True)
            text = await self._payload(field_, change)
        else:
            text = await self._resolve(field_, change)
        if len(text) > self.database.max_answer_bytes:
            raise AnswerTooLarge(self.database.max_answer_bytes)
        if key is not None:
            await idempotency.store(tx, key, text)
        return FieldResult(text)

    async def _claimed(self, tx: Transaction, key: idempotency.Key) -> bytes | None:
        idempotency_policy = self.idempotency_policy
        try:
            return await idempotency.claim(
                tx, key, kept=idempotency_policy.kept, wait_seconds=idempotency_policy.wait_seconds
            )
        except RetryableConflict:
            raise TryAgain("A request with the same idempotency key is running.") from None

    async def _shown(self, tx: Transaction, field_: _Field, refusal: DomainError) -> FieldResult:
        """The domain error as a member of the field's union.

        An error if the union has no such member.
        """
        if isinstance(field_.selected, Resolved):
            return FieldResult(None, [field_.error(refusal)])
        return FieldResult(await self._resolve(field_, Change(tx, shown(refusal))))

    async def _payload(self, field_: _Field, change: Change) -> bytes:
        """The selection of the success, by one statement if possible, else by resolvers."""
        plan, success = field_.request.plan, change.outcome
        assert isinstance(field_.selected, Mutate)  # noqa: S101
        name = self.schema.type_map.get(type(success).__name__)
        selected = next(
            (each for each in field_.selected.payloads if name and each.type == name.name), None
        )
        compiled = (
            compile_payload(selected, len(plan.values)) if self.compiles and selected else None
        )
        if compiled is None or selected is None:
            return await self._resolve(field_, change)
        found = [each for each in selected.fields if hasattr(each, "relationship")]
        own_keys = [Key("id", getattr(success, each.relationship.source_column)) for each in found]
        values = [*plan.values, *own_keys]
        columns = (
            await change.transaction.fetch_json(compiled.query, values) if compiled.query else ()
        )
        texts = {
            each.response_key: orjson.dumps(member(success, name, each))
            for each in selected.fields
            if each.response_key in compiled.uncompiled
        }
        return compiled.body(columns, texts)

    async def _resolve(self, field_: _Field, change: Change, *, bare: bool = False) -> bytes:
        """The standard executor's answer for one field; `bare` leaves its selection out.

        Raises:
            DomainError, RetryableConflict, Unavailable: the resolver raised it.
            _Failed: a resolver failed in any other way.
        """
        request, key = field_.request, field_.selected.response_key
        fields = {} if bare else request.plan.below({key})
        loaders = Loaders(change.transaction, fields.values(), request.plan.values, self.types)
        operation, plan = request.operation, request.plan
        document = operation.bare(plan, key) if bare else operation.only(plan, frozenset({key}))
        try:
            context = Context(request.viewer, loaders, fields, change)
            result = await run(self.schema, document, context, request.variables)
        finally:
            await loaders.close()
        for error in result.errors or ():
            if isinstance(error.original_error, DomainError | RetryableConflict | RequestError):
                raise error.original_error
        if result.errors:
            raise _Failed(result.errors)
        assert result.data is not None  # noqa: S101  else there were errors
        return orjson.dumps(result.data[key])
