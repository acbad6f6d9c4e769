"""A mutation's fields, one transaction each: changed, read, kept under a key, and committed.

A field goes through these steps in its transaction:

    claim     its idempotency key, if it has one; what was answered with it before is the answer
    change    its resolver runs, and with it a rule of `graph.database.writes`
    read      what is asked of its success is read after all changes, by one statement
    keep      the answer is stored under the key
    commit    or not, if it was a dry run

A refusal rolls it back; what is asked of the refusal is read afterwards, and nothing is kept: the
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

from graph.database.transaction import Interrupted, Transaction, transaction
from graph.database.writes import keys
from graph.errors import (
    InvalidKey,
    NotAllowed,
    Reason,
    Refusal,
    RequestError,
    TryAgain,
)
from graph.execution.compile import compile_payload
from graph.execution.executor import run
from graph.execution.failures import Refused
from graph.execution.plain import member
from graph.execution.variables import argument_reader
from graph.loading.loaders import Loaders
from graph.schema.context import Change, Context
from graph.schema.errors import shown
from graph.selection import Key, Mutate, Resolved, Typename

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graphql import GraphQLSchema
    from graphql.execution.values import VariableValues

    from graph.database.engine import Database
    from graph.execution.execute import Request
    from graph.execution.operations import Operation
    from graph.execution.plan import Plan
    from graph.settings import Settings
    from graph.viewer import Viewer

T = TypeVar("T")

logger = logging.getLogger(__name__)

_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.02
_MAX_KEY_CHARS = 200


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long an answer is kept under its key, and how long to wait for one that is being made."""

    kept: timedelta
    wait_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        kept = timedelta(hours=settings.idempotency_key_hours)
        return cls(kept, settings.idempotency_wait_seconds)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a field: its text, or errors; `replayed` if it was the answer to an earlier."""

    text: bytes | None
    errors: Sequence[GraphQLError] = ()
    replayed: bool = False


class _Failed(Exception):
    """Resolvers could not say what was asked for: nothing is changed."""

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

    asked: Mutate | Resolved
    request: _Request
    key: keys.Key | None
    is_dry_run: bool

    def error(self, error: Exception) -> GraphQLError:
        nodes = self.request.plan.nodes[self.asked.key]
        return GraphQLError(str(error), nodes=nodes, path=[self.asked.key], original_error=error)


@dataclass(slots=True)
class Mutations:
    """Runs the mutations of one schema on one database; lives as long as the application."""

    schema: GraphQLSchema
    database: Database
    types: Mapping[str, type]
    keeping: Keeping
    compiles: bool
    _pause: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    async def run(
        self,
        operation: Operation,
        plan: Plan,
        variables: VariableValues,
        request: Request,
        viewer: Viewer,
    ) -> dict[str, Done]:
        """What comes of each field, by its key in the answer and in order.

        Raises:
            Refused: the request does not say what it must; nothing was run.
        """
        asked = _Request(operation, plan, request.variables, viewer)
        fields = self._fields(asked, variables, request.idempotency_key)
        if operation.is_atomic:
            done = await self._guarded_together(fields)
        else:
            done = {each.asked.key: await self._guarded(each) for each in fields}
        typenames = {root.key: root for root in plan.root if isinstance(root, Typename)}
        return {
            root.key: Done(f'"{typenames[root.key].text}"'.encode())
            if root.key in typenames
            else done[root.key]
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
            raise Refused.because(
                "In an @atomic operation all mutations are dry runs, or none.", code="BAD_REQUEST"
            )
        return fields

    def _field(
        self,
        asked: Mutate | Resolved,
        request: _Request,
        variables: VariableValues,
        header: str | None,
    ) -> _Field:
        (node, *_) = request.plan.nodes[asked.key]
        definition = self.schema.mutation_type.fields[node.name.value]  # type: ignore[union-attr]
        arguments = argument_reader(definition, node)(variables)
        given = self._given_keys(request, asked.key, variables) | ({header} - {None})
        if len(given) > 1:
            raise _refused(InvalidKey(f"'{asked.key}' has more than one idempotency key."))
        key = _kept_under(given.pop(), request, asked.key) if given else None
        return _Field(asked, request, key, is_dry_run=arguments.get("dryRun") is True)

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

    async def _guarded(self, field_: _Field) -> Done:
        try:
            return await self._persistently(field_.request, lambda own: self._alone(own, field_))
        except _Failed as failed:
            return Done(None, failed.errors)
        except Exception as error:  # noqa: BLE001  one field fails alone
            return Done(None, [field_.error(error)])

    async def _guarded_together(self, fields: Sequence[_Field]) -> dict[str, Done]:
        names = [each.asked.key for each in fields]
        try:
            done = await self._persistently(
                fields[0].request, lambda own: self._together(own, fields)
            )
        except _Failed as failed:
            done = [Done(None, failed.errors), *(Done(None) for _ in fields[1:])]
        except Exception as error:  # noqa: BLE001  they fail together
            done = [Done(None, [each.error(error)]) for each in fields]
        return dict(zip(names, done, strict=True))

    async def _persistently(
        self, request: _Request, work: Callable[[Transaction], Awaitable[T]]
    ) -> T:
        """Do it in a transaction; where another is in the way, begin anew, so many times.

        Those that begin anew do so one at a time: they would get in each other's way again.
        """
        for attempt in range(_ATTEMPTS):
            try:
                async with transaction(self.database, request.viewer.id) as own:
                    if attempt:
                        await own.queue()
                    return await work(own)
            except Interrupted:
                logger.debug("a mutation was interrupted (attempt %d)", attempt + 1)
                most = _FIRST_PAUSE_SECONDS * 2**attempt
                await self._pause(random.uniform(0, most))  # noqa: S311  no secret
        raise TryAgain

    async def _alone(self, own: Transaction, field_: _Field) -> Done:
        try:
            done = await self._change(own, field_)
        except Refusal as refusal:
            await own.rollback()
            await own.begin()
            return await self._shown(own, field_, refusal)
        if not field_.is_dry_run:
            await own.commit()
        return done

    async def _together(self, own: Transaction, fields: Sequence[_Field]) -> list[Done]:
        done: list[Done] = []
        for each in fields:
            try:
                done.append(await self._change(own, each))
            except Refusal as refusal:
                await own.rollback()
                await own.begin()
                because = Reason(
                    "ROLLED_BACK", f"Nothing was changed, as '{each.asked.key}' was refused."
                )
                return [
                    await self._shown(own, one, refusal if one is each else NotAllowed(because))
                    for one in fields
                ]
        if not fields[0].is_dry_run:
            await own.commit()
        return done

    async def _change(self, own: Transaction, field_: _Field) -> Done:
        """All that a field does before it is committed.

        Raises:
            Refusal: a rule says no.
            Interrupted: another transaction is in the way.
        """
        key = None if field_.is_dry_run else field_.key
        if key is not None:
            answer = await self._claimed(own, key)
            if answer is not None:
                return Done(answer, replayed=True)
        change = Change(own)
        if isinstance(field_.asked, Mutate):
            await self._resolve(field_, change, bare=True)
            text = await self._payload(field_, change)
        else:
            text = await self._resolve(field_, change)
        if key is not None:
            await keys.store(own, key, text)
        return Done(text)

    async def _claimed(self, own: Transaction, key: keys.Key) -> bytes | None:
        keeping = self.keeping
        try:
            return await keys.claim(own, key, kept=keeping.kept, wait_seconds=keeping.wait_seconds)
        except Interrupted:
            raise TryAgain("A request with the same idempotency key is running.") from None

    async def _shown(self, own: Transaction, field_: _Field, refusal: Refusal) -> Done:
        """The refusal as a member of the field's union; where it has none, an error."""
        if isinstance(field_.asked, Resolved):
            return Done(None, [field_.error(refusal)])
        return Done(await self._resolve(field_, Change(own, shown(refusal))))

    async def _payload(self, field_: _Field, change: Change) -> bytes:
        """What is asked of the success: by one statement if that can say it, or by resolvers."""
        plan, success = field_.request.plan, change.outcome
        assert isinstance(field_.asked, Mutate)  # noqa: S101
        name = self.schema.type_map.get(type(success).__name__)
        asked = next(
            (each for each in field_.asked.payloads if name and each.type == name.name), None
        )
        compiled = compile_payload(asked, len(plan.values)) if self.compiles and asked else None
        if compiled is None or asked is None:
            return await self._resolve(field_, change)
        found = [each for each in asked.fields if hasattr(each, "edge")]
        own_keys = [Key("id", getattr(success, each.edge.source_column)) for each in found]
        values = [*plan.values, *own_keys]
        columns = await change.transaction.text(compiled.query, values) if compiled.query else ()
        texts = {
            each.key: orjson.dumps(member(success, name, each))
            for each in asked.fields
            if each.key in compiled.left
        }
        return compiled.body(columns, texts)

    async def _resolve(self, field_: _Field, change: Change, *, bare: bool = False) -> bytes:
        """The standard executor's answer for one field; `bare` is without what is asked of it.

        Raises:
            Refusal, Interrupted, Unavailable: as the resolver has raised it.
            _Failed: a resolver failed otherwise.
        """
        request, key = field_.request, field_.asked.key
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
            if isinstance(error.original_error, Refusal | Interrupted | RequestError):
                raise error.original_error
        if result.errors:
            raise _Failed(result.errors)
        assert result.data is not None  # noqa: S101  else there were errors
        return orjson.dumps(result.data[key])


def _kept_under(given: str | None, request: _Request, key: str) -> keys.Key:
    """A client's key, with the hash of what is asked for: the field as text, and all variables."""
    if not given or len(given) > _MAX_KEY_CHARS or not given.isprintable():
        raise _refused(
            InvalidKey(f"An idempotency key has from 1 to {_MAX_KEY_CHARS} printable characters.")
        )
    text = request.operation.text_of(request.plan, key).encode()
    variables = orjson.dumps(request.variables, option=orjson.OPT_SORT_KEYS)
    content = hashlib.sha256(text + b"\0" + variables).digest()
    return keys.Key(request.viewer.id or "", given, content)


def _refused(error: RequestError) -> Refused:
    return Refused([GraphQLError(str(error), original_error=error)], code=error.code)
