"""The subscriptions of a worker: which groups exist, and what the follower tells them.

    follower    reads the log: which events are settled, which rows have changed
    index       which groups an event may concern
    events      groups of streams: pages of the log
    queries     groups of live queries: run again when what they read has changed
    dispatcher  refreshes the groups, a few at once

The subscriptions of a group have the same query, the same values and the same world.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import WeakKeyDictionary

from graph.database.worlds import world_of
from graph.errors import CursorExpired, CursorUnknown, InvalidCursor, VariablesTooLarge
from graph.execution.documents.subscriptions import source_of
from graph.execution.live.dispatcher import Dispatcher
from graph.execution.live.events import EventGroup, EventStream
from graph.execution.live.follower import Follower
from graph.execution.live.group import Bill
from graph.execution.live.index import LiveIndex, StreamIndex, parts_of
from graph.execution.live.queries import LiveGroup, LiveStream
from graph.execution.live.runs import Query
from graph.execution.planning.dependencies import dependencies_of
from graph.relay import encode_cursor
from graph.selection import sort_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from graphql import GraphQLSchema

    from graph.database.events import Event, LogReader
    from graph.execution.documents.operation import Operation
    from graph.execution.documents.subscriptions import Source
    from graph.execution.live.runs import Runner
    from graph.execution.live.stream import Stream
    from graph.execution.planning.dependencies import Dependency
    from graph.execution.running.charging import Charging
    from graph.execution.running.request import Request
    from graph.execution.running.work import Work
    from graph.selection import Page
    from graph.viewer import Viewer

# A subscription may last for days, and a client may hold a thousand.
_MAX_KEPT_BYTES = 20_000

# What subscriptions of one group have in common.
_Key: TypeAlias = tuple[Any, ...]


class Hub:
    """The subscriptions of one worker."""

    def __init__(
        self, schema: GraphQLSchema, log: LogReader, run: Runner, charging: Charging
    ) -> None:
        self._schema = schema
        self._entity = log.log.entity
        self._sort = sort_of(self._entity)
        self._log = log
        self._run = run
        self._charging = charging
        self._follower = Follower(log, self)
        # Streams do not wait for live queries, which may be slow.
        self._of_streams, self._of_queries = Dispatcher(at_once=2), Dispatcher(at_once=4)
        self._sources = WeakKeyDictionary["Operation", "Source"]()
        self._streams: dict[_Key, EventGroup] = {}
        self._queries: dict[_Key, LiveGroup] = {}
        self._stream_index, self._live_index = StreamIndex(), LiveIndex()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the log meanwhile."""
        runners = (self._follower, self._of_streams, self._of_queries)
        tasks = [asyncio.create_task(runner.run()) for runner in runners]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def settled(self) -> int | None:
        """The last settled event's number; None before the first look at the log is over."""
        return self._follower.settled

    @property
    def gauges(self) -> dict[str, float]:
        """How far the log is read, and how many groups of subscriptions there are."""
        return {
            "last": self._follower.last,
            "settled": self._follower.last_settled,
            "lag_seconds": self._follower.lag_seconds,
            "event_groups": len(self._streams),
            "query_groups": len(self._queries),
        }

    async def catch_up(self) -> int:
        """As `Follower.catch_up`."""
        return await self._follower.catch_up()

    def wake(self) -> None:
        """Look at the log now: this worker has written to it."""
        if self.is_listening:
            self._follower.wake()

    def cursor(self, viewer: Viewer) -> str | None:
        """Where a stream of events begins now; None for a viewer who sees none."""
        if self.settled is None or world_of(viewer).is_closed(self._entity):
            return None
        return encode_cursor(self._sort, self.settled)

    def source(self, operation: Operation) -> Source:
        """The query for a subscription; raises as `source_of`."""
        source = self._sources.get(operation)
        if source is None:
            source = source_of(self._schema, operation.node, operation.fragments)
            self._sources[operation] = source
        return source

    async def subscribe(
        self, source: Source, work: Work, request: Request, viewer: Viewer, page_size: int
    ) -> Stream:
        """Join the group of a subscription, whose query is planned and permitted as `work`.

        A page of events has `page_size` at most.

        Raises:
            Unavailable: the log cannot be read.
            VariablesTooLarge: its variables are too large to be kept.
            InvalidCursor, CursorExpired, CursorUnknown: the stream cannot begin after the cursor.
        """
        request = _kept(request, source)
        await self.catch_up()
        query = Query(
            self._run,
            source,
            work.variables,
            request,
            viewer,
            self._sort,
            lambda: self._follower.settled,
            self._log.pruned_through,
            page_size,
        )
        bill = Bill(self._charging, request.client)
        key = _key(source, work, request, viewer)
        if not source.is_stream:
            return LiveStream(self._live_group(key, query, work), bill)
        after = cast("Page", work.values[0]).after
        number = None if after is None else await self._resumed(*after)
        # Whatever settles from here on, the group hears of.
        settled = self._follower.last_settled
        group = self._event_group(key, query, work, settled)
        return EventStream(group, settled if number is None else number, bill)

    async def _resumed(self, number: int) -> int:
        if number < 0:
            raise InvalidCursor("after", "is not a cursor of this API.")
        oldest = await self._follower.first_replayed()
        if number > self._follower.last:
            raise CursorUnknown
        if number < oldest:
            raise CursorExpired
        return number

    def _event_group(self, key: _Key, query: Query, work: Work, settled: int) -> EventGroup:
        group = self._streams.get(key)
        if group is None or group.failure is not None:
            group = self._streams[key] = EventGroup(self._of_streams, query, settled)
            parts = parts_of(cast("Page", work.values[0]), query.viewer)
            self._stream_index.add(parts, group)
            group.on_empty = lambda: self._drop_stream(key, group, parts)
        return group

    def _live_group(self, key: _Key, query: Query, work: Work) -> LiveGroup:
        group = self._queries.get(key)
        if group is None:
            plan = work.plan or query.source.query.plan(query.variables)
            read = dependencies_of(plan, world_of(query.viewer))
            group = self._queries[key] = LiveGroup(self._of_queries, query)
            self._live_index.add(read, group)
            group.on_empty = lambda: self._drop_query(key, group, read)
        return group

    def _drop_stream(
        self, key: _Key, group: EventGroup, parts: frozenset[tuple[str, Any]] | None
    ) -> None:
        self._stream_index.discard(parts, group)
        if self._streams.get(key) is group:
            del self._streams[key]

    def _drop_query(self, key: _Key, group: LiveGroup, read: Sequence[Dependency] | None) -> None:
        self._live_index.discard(read, group)
        del self._queries[key]

    # What the follower tells.

    @property
    def is_listening(self) -> bool:
        return bool(self._streams or self._queries)

    def changed(self, events: Sequence[Event] | None) -> None:
        every = self._queries.values()
        for group in every if events is None else self._live_index.touched(events):
            group.touch()

    def settled_up_to(self, events: Sequence[Event] | None, number: int) -> None:
        touched = None if events is None else self._stream_index.touched(events)
        for group in self._stream_index.groups():
            group.settle(number, is_touched=touched is None or group in touched)
        for live in self._queries.values():
            if live.query.source.query.reads_log:  # its list goes on
                live.touch()

    def restarted(self) -> None:
        for group in self._stream_index.groups():
            group.fail(CursorUnknown())
        self.changed(None)


def _kept(request: Request, source: Source) -> Request:
    """A request with nothing but what its query reads: it is kept as long as the subscription."""
    given = {name: value for name, value in request.variables.items() if name in source.names}
    if len(json.dumps(given)) > _MAX_KEPT_BYTES:
        raise VariablesTooLarge(_MAX_KEPT_BYTES)
    return replace(request, query=None, variables=given)


def _key(source: Source, work: Work, request: Request, viewer: Viewer) -> _Key:
    """Equal for subscriptions whose results are equal.

    A Python resolver may look at the viewer. A statement sees the viewer's world and own key only.
    """
    variables = json.dumps(request.variables, sort_keys=True)
    if not work.is_statement:
        return source.query, variables, viewer
    world = world_of(viewer)
    return source.query, variables, world, viewer.own if world.rules else None
