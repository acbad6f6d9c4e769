"""A load that goes on whatever the server answers: a process of its own, which counts the answers.

    python -m bench.pressure      on stdin: {"port": 8000, "bodies": [...], "connections": 256, ...}

A connection sends its next request as soon as its last answer is there, a refusal included; with a
`rate` it sends no sooner than that many requests a second are due on all connections together. The
text `NUMBER` in a body is replaced by a number that no request had before. One line of JSON comes
out: the answers by status, and the seconds of those with status 200.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import count, cycle
from time import perf_counter
from typing import Any

import httptools
import orjson
import uvloop

from bench.workloads import NUMBER

_NUMBER = NUMBER.encode()
_OK = 200


@dataclass
class _Load:
    port: int
    bodies: list[str]
    connections: int
    seconds: float
    rate: float | None = None
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    each: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._requests = cycle([_http(body.encode()) for body in self.bodies])
        self._numbers = count()
        self._began = perf_counter()
        self._sent = 0

    @property
    def is_over(self) -> bool:
        return perf_counter() - self._began >= self.seconds

    def next(self) -> bytes:
        return next(self._requests).replace(_NUMBER, b"%010d" % next(self._numbers))

    def wait_seconds(self) -> float:
        """How long the next request must wait; it takes the next turn of the rate."""
        if self.rate is None:
            return 0.0
        due = self._began + self._sent / self.rate
        self._sent += 1
        return due - perf_counter()

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        opened = []
        for _ in range(self.connections):
            _, connection = await loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", self.port
            )
            opened.append(connection)
        self._began = perf_counter()
        for connection in opened:
            connection.send_next()
        await asyncio.sleep(self.seconds)
        for connection in opened:
            connection.close()
        return {"statuses": dict(self.statuses), "lost": self.lost, "seconds": self.each}


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._began = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send_next(self) -> None:
        wait = self._load.wait_seconds()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._load.is_over:
            return
        self._load.statuses[status] += 1
        if status == _OK:
            self._load.each.append(perf_counter() - self._began)
        self.send_next()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._load.lost += not self._load.is_over

    def _send(self) -> None:
        if not self._transport.is_closing():
            self._began = perf_counter()
            self._transport.write(self._load.next())


def _http(body: bytes) -> bytes:
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    result = uvloop.run(_Load(**orjson.loads(sys.stdin.buffer.read())).run())
    # Not sys.stdout: under PYTHONUNBUFFERED that is the bare file, which may write a part.
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        out.write(orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS))
