"""Runs the queries behind subscriptions, and makes their results of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson
from graphql.execution.values import VariableValues

from graph.errors import AnswerTooLarge
from graph.execution.documents.subscriptions import AFTER, CURSOR, FIRST
from graph.execution.live.json_splitting import elements_of
from graph.execution.live.stream import StreamedResult
from graph.execution.planning.variables import SETTLED
from graph.execution.running.answers import answer_to
from graph.relay import decode_cursor, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.database.consistency import ConsistencyToken
    from graph.execution.documents.operation import Operation
    from graph.execution.documents.subscriptions import Source
    from graph.execution.running.request import Answer, Request
    from graph.viewer import Viewer

_PAGE_SIZE = 100
_CURSOR = b'{"%s":"' % CURSOR.encode()


class Runner(Protocol):
    """Runs a query; returns its answer, and what it costs.

    It raises as `graph.execution.running.execute` does before it makes an answer of an error.
    """

    async def __call__(
        self, operation: Operation, variables: VariableValues, request: Request, viewer: Viewer
    ) -> tuple[Answer, int]: ...


class Numbered(NamedTuple):
    """An event's number, and its result."""

    number: int
    result: StreamedResult


class EventPage(NamedTuple):
    """Events in order, the number up to which there are no others, and the cost."""

    events: list[Numbered]
    end: int
    cost: int


@dataclass(frozen=True, slots=True)
class Query:
    """The query of a group of subscriptions, with the values and the viewer that they share."""

    run: Runner
    source: Source
    variables: VariableValues
    request: Request
    viewer: Viewer
    # The name of the order of events, which is in their cursors.
    sort: str
    # The last settled number, and that up to which the log was pruned, at any time.
    settled: Callable[[], int | None]
    pruned_through: Callable[[], Awaitable[int]]
    # The most events of a page, so that it costs no more than one operation may.
    most: int

    async def page(self, after: int, settled: int, first: int = _PAGE_SIZE) -> EventPage:
        """The next events after a number, at most `first`; raises as `Runner`.

        Where one of several has an error, or all are too large together, it is the first event
        alone.
        """
        first = min(first, self.most)
        try:
            answer, cost = await self._run_page(self.source.query, after, settled, first)
        except AnswerTooLarge:
            if first == 1:
                raise
            return await self.page(after, settled, first=1)
        before = b'{"data":{"%s":{"edges":' % self.source.response_key.encode()
        if answer.body.startswith(before) and answer.body.endswith(b"}}}"):
            edges = elements_of(answer.body[len(before) : -3])
            events = [self._numbered(edge, answer.token) for edge in edges]
        elif first > 1:
            return await self.page(after, settled, first=1)
        else:
            events, more = await self._with_errors(answer, after, settled)
            cost += more
        end = events[-1].number if len(events) == first else settled
        return EventPage(events, end, cost)

    async def whole(self) -> tuple[StreamedResult, int]:
        """The result of a live query, and its cost; raises as `Runner`."""
        answer, cost = await self._run(self.source.query, {SETTLED: self.settled() or 0})
        key = self.source.response_key
        if answer.body.startswith(b'{"data":{') and answer.body.endswith(b"}}"):
            body = b'{"data":{"%s":%s}}' % (key.encode(), answer.body[8:-1])
            return StreamedResult(body, token=answer.token), cost
        result: dict[str, Any] = orjson.loads(answer.body)
        if "data" in result:
            result["data"] = result["data"] and {key: result["data"]}
        for error in result["errors"]:
            if "path" in error:
                error["path"] = [key, *error["path"]]
        return StreamedResult(orjson.dumps(result), token=answer.token), cost

    def failure(self, error: Exception) -> StreamedResult:
        """The last result of a stream that cannot go on."""
        return StreamedResult(answer_to(error).body)

    def _numbered(self, edge: bytes, token: ConsistencyToken | None) -> Numbered:
        """The event of an edge whose first member is its cursor."""
        cursor = edge[len(_CURSOR) : edge.index(b'"', len(_CURSOR))].decode()
        # There may be no other member: @skip may leave out all that the client selects.
        rest = b"{" + edge[len(_CURSOR) + len(cursor) + 1 :].removeprefix(b",")
        body = b'{"data":{"%s":%s}}' % (self.source.response_key.encode(), rest)
        return Numbered(self.number_of(cursor), StreamedResult(body, cursor, token))

    async def _with_errors(
        self, answer: Answer, after: int, settled: int
    ) -> tuple[list[Numbered], int]:
        """The one event of an answer with errors; its cursor is read apart."""
        result = orjson.loads(answer.body)
        bare, cost = await self._run_page(self.source.cursors, after, settled, 1)
        key = self.source.response_key
        for edge in orjson.loads(bare.body)["data"][key]["edges"]:
            page = (result.get("data") or {}).get(key)
            data = page and {
                name: each for name, each in page["edges"][0].items() if name != CURSOR
            }
            errors = [
                {**error, "path": [key, *error["path"][3:]]} if "path" in error else error
                for error in result["errors"]
            ]
            body = orjson.dumps({"data": data and {key: data}, "errors": errors})
            cursor = edge[CURSOR]
            event = StreamedResult(body, cursor, answer.token)
            return [Numbered(self.number_of(cursor), event)], cost
        return [], cost

    async def _run_page(
        self, query: Operation, after: int, settled: int, first: int
    ) -> tuple[Answer, int]:
        own = {AFTER: self.cursor_of(after), FIRST: first, SETTLED: settled}
        return await self._run(query, own)

    async def _run(self, query: Operation, own: dict[str, Any]) -> tuple[Answer, int]:
        """Run a query with these values of the variables that are not the client's."""
        sources, coerced = self.variables
        variables = VariableValues(sources, {**coerced, **own})
        return await self.run(query, variables, self.request, self.viewer)

    def number_of(self, cursor: str) -> int:
        (number,) = decode_cursor("after", cursor, self.sort)
        return number  # type: ignore[no-any-return]

    def cursor_of(self, number: int) -> str:
        return encode_cursor(self.sort, number)
