"""Fixtures: the application's own `Execution`, and subscriptions to it without a wire."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from graph.execution.running.request import Request
from graph.viewer import SYSTEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.execution.live.stream import Stream
    from graph.execution.running.execute import Execution
    from graph.viewer import Viewer
    from tests.conftest import Client

_SECONDS = 60


@dataclass
class Subscription:
    """A receiver; each result must come in time."""

    stream: Stream

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(_SECONDS):
            result = await self.stream.next()
        assert result is not None, "the stream has ended"
        content: dict[str, Any] = json.loads(result.body)
        return content

    async def take(self, number: int) -> list[dict[str, Any]]:
        return [await self.next() for _ in range(number)]

    async def is_quiet(self, seconds: float = 0.3) -> bool:
        """Whether no result comes within a time."""
        task = asyncio.ensure_future(self.stream.next())
        done, _ = await asyncio.wait([task], timeout=seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return not done


@dataclass
class Subscriptions:
    execution: Execution

    async def refused(self, query: str, viewer: Viewer = SYSTEM, **variables: Any) -> Any:
        """The errors of a subscription that is refused."""
        request = Request(query, variables, takes_stream=True)
        answer = await self.execution.answer(request, viewer)
        assert answer.stream is None
        return json.loads(answer.body)["errors"]

    @asynccontextmanager
    async def __call__(
        self,
        query: str,
        viewer: Viewer = SYSTEM,
        *,
        last_event_id: str | None = None,
        **variables: Any,
    ) -> AsyncIterator[Subscription]:
        request = Request(query, variables, takes_stream=True, last_event_id=last_event_id)
        answer = await self.execution.answer(request, viewer)
        assert answer.stream is not None, answer.body
        try:
            yield Subscription(answer.stream)
        finally:
            await answer.stream.close()


@pytest.fixture
def execution(client: Client) -> Execution:
    return client.execution


@pytest.fixture
def subscribe(execution: Execution) -> Subscriptions:
    return Subscriptions(execution)
