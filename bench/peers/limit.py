"""The limit: what an answer costs when nothing is left to choose.

A bare ASGI callable over asyncpg. The text of a request names its statement, which is prepared once
per connection; PostgreSQL writes the JSON, and its bytes are the answer.

Changes are made to tables without triggers, in the schema `plain`; with `WITH_FEATURES` to the
store's own tables: rows have versions, events are written, pieces are taken from stock.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import orjson

from bench.store import driver_url
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    # The text of a request -> its statement on this connection: (arguments) -> one row, one value.
    Connection: TypeAlias = "dict[str, Callable[..., Awaitable[Any]]]"

_CONNECTIONS = 10
_WITH_FEATURES = "WITH_FEATURES" in os.environ
_PARAMETERS = {workload.text: workload.parameters for workload in WORKLOADS.values()}


class _Idle:
    """The connections that do nothing: the one that was used last is the next."""

    def __init__(self) -> None:
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection]] = deque()

    async def take(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        turn: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        return await turn

    def give(self, connection: Connection) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(connection)
        else:
            self._idle.append(connection)


_idle = _Idle()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    request = orjson.loads((await receive())["body"])
    arguments = _PARAMETERS[request["query"]](request["variables"])
    connection = await _idle.take()
    try:
        rows = await connection[request["query"]](*arguments)
    finally:
        _idle.give(connection)
    answer = rows[0][0]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    try:
        for _ in range(_CONNECTIONS):
            _idle.give(await _connection())
    except Exception as error:  # noqa: BLE001  uvicorn says it, and ends
        await send({"type": "lifespan.startup.failed", "message": repr(error)})
        return
    gc.collect()
    gc.freeze()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _connection() -> Connection:
    connection = await asyncpg.connect(
        driver_url(os.environ["DATABASE_URL"]), server_settings={"timezone": "UTC"}
    )
    return {
        workload.text: (await connection.prepare(sql)).fetch
        for workload in WORKLOADS.values()
        if (sql := workload.sql_with_features if _WITH_FEATURES else workload.sql)
    }
