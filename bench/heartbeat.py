"""Serves `graph` with a heartbeat in its event loop: GET /bench/stalls tells the longest stall.

    python -m bench.heartbeat PORT

`busy` is the most of the processor's time that the loop used without a beat, and `late` the longest
time on the clock: on a machine that is busy with other processes it includes the wait for them.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from graph.app import served_app
from graph.server import serve
from graph.server.responses import JsonResponse
from graph.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette
    from starlette.requests import Request

_BEAT_SECONDS = 0.005


@dataclass
class Heartbeat:
    """The longest stalls of an event loop, in seconds, since they were read last."""

    busy: float = 0.0
    late: float = 0.0

    async def run(self) -> None:
        while True:
            began, used = perf_counter(), thread_time()
            await asyncio.sleep(_BEAT_SECONDS)
            self.busy = max(self.busy, thread_time() - used)
            self.late = max(self.late, perf_counter() - began - _BEAT_SECONDS)

    async def taken(self, _request: Request) -> JsonResponse:
        stalls = {"busy": self.busy, "late": self.late}
        self.busy = self.late = 0.0
        return JsonResponse(stalls)


def watched_app() -> Starlette:
    app, heartbeat = served_app(), Heartbeat()
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def beating(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            beating = asyncio.create_task(heartbeat.run())
            yield state
            beating.cancel()

    app.router.lifespan_context = beating
    app.router.routes.append(Route("/bench/stalls", heartbeat.taken))
    return app


if __name__ == "__main__":
    serve._FACTORY = "bench.heartbeat:watched_app"  # noqa: SLF001  the same server, one more task
    settings = read_settings()
    listener = serve.bound_socket("127.0.0.1", int(sys.argv[1]))
    serve.serve(settings, listener, workers=1, reload=False)
