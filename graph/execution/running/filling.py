"""Fills the placeholders of a statement's text with the values of Python resolvers.

All resolvers are called first, in the order of the answer, then those that are async run together.
What is not a plain value of a scalar or an enum is completed by graphql-core, as are errors: they
have the paths, and make null what the standard executor would make null.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson
from graphql import ExecutionResult, GraphQLError, get_argument_values
from strawberry.execution.is_awaitable import optimized_is_awaitable

from graph.database.reads import MARK
from graph.execution.running.answer_paths import paths_of_marks, with_nulls
from graph.execution.running.answers import answer_of, check
from graph.execution.running.executor import executor_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeAlias

    from graphql import GraphQLSchema

    from graph.execution.planning.resolvers import AnswerPath, CompiledResolver
    from graph.execution.running.executor import Executor
    from graph.execution.running.request import Answer
    from graph.execution.running.work import Work
    from graph.schema.context import Context

    # The number of a placeholder, what it waits for, and what turns that into JSON values.
    _Waiting: TypeAlias = "tuple[int, Awaitable[Any], Callable[[int, Any], Any]]"

_MARK = MARK.encode()
_NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})
# How many resolvers are called in one turn of the event loop.
_CALLS_A_TURN = 1_000
# How many async resolvers run at once: enough for large batches of DataLoaders.
_MAX_RUNNING = 1_000


# The result of the executor if nothing was left to it.
NOTHING = ExecutionResult({}, None)


async def filled_answer(
    schema: GraphQLSchema,
    types: Mapping[str, type],
    work: Work,
    columns: Sequence[bytes],
    *,
    result: ExecutionResult = NOTHING,
    context: Context | None = None,
) -> Answer:
    """The answer of a statement, with the executor's fields and the values of resolvers.

    `types` are those of records, by entity. `context` is that of resolvers that take `info`.

    Raises:
        RequestRejected, Unavailable: as `answers.check`.
    """
    compiled = work.compiled
    assert compiled is not None  # noqa: S101  it has the statement
    check(result.errors or [])
    texts = {key: orjson.dumps(value) for key, value in (result.data or {}).items()}
    body = compiled.body(columns, texts)
    errors = [*compiled.errors(work.values), *(result.errors or ())]
    if compiled.resolvers:
        executor = executor_of(schema, work.operation, work.variables, context)
        filler = Filler(compiled.resolvers, types, executor, body)
        body = await filler.fill()
        check(filler.errors)
        errors += filler.errors
    return answer_of(body, errors, compiled.cache_control)


class Filler:
    """Fills one answer. `executor` completes values and handles errors."""

    def __init__(
        self,
        resolvers: Mapping[int, CompiledResolver],
        types: Mapping[str, type],
        executor: Executor,
        body: bytes,
    ) -> None:
        self._types = types
        self._executor = executor
        self._body = body
        self._pieces = body.split(_MARK)
        self._rows = orjson.loads(b"[%b]" % b",".join(self._pieces[1::2]))
        self._places = [resolvers[index] for index, *_ in self._rows]
        self._values: list[Any] = [None] * len(self._rows)
        self._waiting: deque[_Waiting] = deque()
        self._arguments: dict[int, Mapping[str, Any]] = {}
        self._nulled: set[AnswerPath] = set()

    @property
    def errors(self) -> list[GraphQLError]:
        """The errors of fields, once all is filled."""
        return self._executor.collected_errors.errors

    async def fill(self) -> bytes:
        """The text with the values of all resolvers, and null where errors make it so."""
        try:
            for number, (index, *values) in enumerate(self._rows):
                if number % _CALLS_A_TURN == _CALLS_A_TURN - 1:
                    await asyncio.sleep(0)
                self._values[number] = self._called(number, index, values)
            await self._await_all()
        finally:
            for _, awaitable, _ in self._waiting:
                if inspect.iscoroutine(awaitable):
                    awaitable.close()
        self._pieces[1::2] = map(orjson.dumps, self._values)
        filled = b"".join(self._pieces)
        return with_nulls(filled, self._nulled) if self._nulled else filled

    @cached_property
    def _keys(self) -> list[AnswerPath]:
        """The path of each placeholder; only errors and `info` need them."""
        return list(paths_of_marks(self._body))

    def _called(self, number: int, index: int, values: list[Any]) -> Any:
        """The value of a placeholder in JSON values; None if it is awaited, or is an error."""
        place = self._places[number]
        try:
            record = place.record(self._types[place.entity], values)
            if place.call is None:
                return self._executed(number, record)
            value = place.call(record, self._arguments_at(index, place))
        except Exception as error:  # noqa: BLE001  what a resolver raises is the field's error
            return self._failed(number, error)
        if optimized_is_awaitable(value):
            return self._wait(number, value, self._completed)
        return self._completed(number, value)

    def _arguments_at(self, index: int, place: CompiledResolver) -> Mapping[str, Any]:
        """The arguments of a field, coerced once for all objects."""
        definition, details = place.selected.definition, place.selected.details
        if not definition.args:
            return _NO_ARGUMENTS
        if index not in self._arguments:
            variables = self._executor.variable_values
            self._arguments[index] = get_argument_values(definition, details[0].node, variables)
        return self._arguments[index]

    def _wait(self, *waiting: *_Waiting) -> None:
        self._waiting.append(waiting)

    def _executed(self, number: int, record: Any) -> Any:
        """The value of a field that graphql-core executes."""
        place = self._places[number]
        selected, path = place.selected, place.path(self._keys[number])
        return self._awaited(
            number,
            self._executor.execute_field(selected.parent, record, selected.details, path, None),
        )

    def _completed(self, number: int, value: Any) -> Any:
        place = self._places[number]
        try:
            return place.complete(value)
        except Exception:  # noqa: BLE001  graphql-core finds out what is wrong with it
            return self._completed_by_executor(number, value)

    def _completed_by_executor(self, number: int, value: Any) -> Any:
        place = self._places[number]
        selected, path = place.selected, place.path(self._keys[number])
        nodes = [details.node for details in selected.details]
        executor = self._executor
        info = executor.build_resolve_info(selected.definition, nodes, selected.parent, path)
        try:
            completed = executor.complete_value(
                place.output_type, selected.details, info, path, value, None
            )
        except Exception as error:  # noqa: BLE001  the field's error
            return self._failed(number, error)
        return self._awaited(number, completed)

    def _awaited(self, number: int, completed: Any) -> Any:
        if optimized_is_awaitable(completed):
            return self._wait(number, completed, lambda _, value: value)
        return completed

    def _failed(self, number: int, error: Exception) -> None:
        """Record an error; if the value must not be null, what becomes null instead."""
        place, executor = self._places[number], self._executor
        keys = self._keys[number]
        path = place.path(keys)
        try:
            executor.handle_field_error(error, place.output_type, place.selected.details, path)
        except GraphQLError as located:
            nulled = place.nulled_by_error(keys)
            executor.collected_errors.add(located, place.path(nulled) if nulled else None)
            self._nulled.add(nulled)

    async def _await_all(self) -> None:
        """Await what resolvers have returned; where one is cancelled, the others are, too."""
        running = range(min(len(self._waiting), _MAX_RUNNING))
        tasks = [asyncio.ensure_future(self._await_waiting()) for _ in running]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
            raise

    async def _await_waiting(self) -> None:
        """Await what resolvers have returned, one after the other, and complete it."""
        while self._waiting:
            number, awaitable, complete = self._waiting.popleft()
            try:
                self._values[number] = complete(number, await awaitable)
            except Exception as error:  # noqa: BLE001  the field's error
                self._failed(number, error)
