"""A mutation's fields, one transaction each: changed, read, kept under a key, and committed.

A field goes through these steps in its transaction:

    claim     its idempotency key, if it has one; what was answered with it before is the answer
    change    its resolver runs, and with it a rule of `graph.database.writes`
    read      what is selected of its success is read after all changes, by one statement
    keep      the answer is stored under the key
    commit    or not, if it was a dry run

A refusal rolls it back; what is selected of the refusal is read afterwards, and nothing is kept:
the
same key may be tried again. A deadlock begins it anew. Where an operation is `@atomic`, its fields
go through all of it together.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import orjson
from graphql import GraphQLError, get_directive_values

from graph.database.transaction import RetryableConflict, Transaction, transaction
from graph.database.writes import idempotency
from graph.errors import (
    DomainError,
    InvalidKey,
    NotAllowed,
    Reason,
    RequestError,
    TryAgain,
)
from graph.execution.failures import RequestRejected
from graph.execution.planning.compile import compile_payload
from graph.execution.planning.plain import member
from graph.execution.planning.variables import argument_reader
from graph.execution.running.executor import run
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
    from graph.execution.running.request import Request
    from graph.settings import Settings
    from graph.viewer import Viewer

T = TypeVar("T")

logger = logging.getLogger(__name__)

_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.02
_MAX_KEY_CHARS = 200


@dataclass(frozen=True, slots=True)
class IdempotencyPolicy:
    """How long an answer is kept under its key, and how long to wait for one that is being made."""

    kept: timedelta
    wait_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        kept = timedelta(hours=settings.idempotency_key_hours)
        return cls(kept, settings.idempotency_wait_seconds)


@dataclass(frozen=True, slots=True)
class FieldResult:
    """What came of a field: its text, or errors; `replayed` if it was the answer to an earlier."""

    text: bytes | None
    errors: Sequence[GraphQLError] = ()
    replayed: bool = False


class _Failed(Exception):
    """Resolvers could not say what was selected for: nothing is changed."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class _Request:
    """What the fields of one operation have in common."""

    operation: Operation
    plan: Plan
    variables: dict[str, Any]
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class _Field:
    """One mutation of an operation, by its key in the answer."""

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
    """Runs the mutations of one schema on one database; lives as long as the application."""

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
    ) -> dict[str, FieldResult]:
        """What comes of each field, by its key in the answer and in order.

        Raises:
            RequestRejected: the request does not say what it must; nothing was run.
        """
        selected = _Request(operation, plan, request.variables, viewer)
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
            raise _refused(InvalidKey("The header Idempotency-Key is for a single mutation."))
        fields = [self._field(root, request, variables, header) for root in roots]
        if request.operation.is_atomic and len({each.is_dry_run for each in fields}) > 1:
            raise RequestRejected.because(
                "In an @atomic operation all mutations are dry runs, or none.", code="BAD_REQUEST"
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
            raise _refused(
                InvalidKey(f"'{selected.response_key}' has more than one idempotency key.")
            )
        key = _kept_under(given.pop(), request, selected.response_key) if given else None
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

        Those that begin anew do so one at a time: they would get in each other's way again.
        """
        for attempt in range(_ATTEMPTS):
            try:
                viewer, is_dry_run = field_.request.viewer, field_.is_dry_run
                async with transaction(self.database, viewer.id, is_dry_run=is_dry_run) as tx:
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
                    "ROLLED_BACK",
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
        """All that a field does before it is committed.

        Raises:
            DomainError: a rule says no.
            RetryableConflict: another transaction is in the way.
        """
        key = None if field_.is_dry_run else field_.key
        if key is not None:
            answer = await self._claimed(tx, key)
            if answer is not None:
                return FieldResult(answer, replayed=True)
        change = Change(tx)
        if isinstance(field_.selected, Mutate):
            await self._resolve(field_, change, bare=True)
            text = await self._payload(field_, change)
        else:
            text = await self._resolve(field_, change)
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
        """The refusal as a member of the field's union; where it has none, an error."""
        if isinstance(field_.selected, Resolved):
            return FieldResult(None, [field_.error(refusal)])
        return FieldResult(await self._resolve(field_, Change(tx, shown(refusal))))

    async def _payload(self, field_: _Field, change: Change) -> bytes:
        """What is selected of the success: by one statement if that can say it, or by resolvers."""
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
        """The standard executor's answer for one field; `bare` is without what is selected of it.

        Raises:
            DomainError, RetryableConflict, Unavailable: as the resolver has raised it.
            _Failed: a resolver failed otherwise.
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


def _kept_under(given: str | None, request: _Request, key: str) -> idempotency.Key:
    """A client's idempotency key, with a hash of the field's text and of all variables."""
    if not given or len(given) > _MAX_KEY_CHARS or not given.isprintable():
        raise _refused(
            InvalidKey(f"An idempotency key has from 1 to {_MAX_KEY_CHARS} printable characters.")
        )
    text = request.operation.text_of(request.plan, key).encode()
    variables = orjson.dumps(request.variables, option=orjson.OPT_SORT_KEYS)
    content = hashlib.sha256(text + b"\0" + variables).digest()
    return idempotency.Key(request.viewer.id or "", given, content)


def _refused(error: RequestError) -> RequestRejected:
    return RequestRejected([GraphQLError(str(error), original_error=error)], code=error.code)
