"""The load: a process of its own that sends requests over kept connections and times the answers.

It is told what to do by lines of JSON on stdin, and says how it went by lines on stdout:

    {"do": "learn", ...}   every different request once; the bodies that came, in order
    {"do": "run", ...}     `count` requests in all; the seconds they took, and each one's

A connection sends its next request as soon as its last answer is there. During a run each answer is
compared with the one that was learnt, byte by byte: a server that errs under load ends the bench.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

import httptools
import orjson
import uvloop

from bench.workloads import NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence


# Replaces NUMBER in the texts that are to be new ones.
_numbers = count()
_NUMBER = NUMBER.encode()


class LoadFailed(Exception):
    """A server did not answer as it should."""


@dataclass
class _Work:
    """What all connections of one job share: the next request, and what came of those before."""

    requests: Sequence[bytes]
    count: int
    expected: Sequence[bytes] | None
    done: asyncio.Future[None]
    # Whether each text is to be one that no request had before.
    are_new: bool = False
    sent: int = 0
    answered: int = 0
    seconds: list[float] = field(default_factory=list)
    bodies: dict[int, bytes] = field(default_factory=dict)

    def next(self) -> int | None:
        if self.sent == self.count:
            return None
        self.sent += 1
        return (self.sent - 1) % len(self.requests)

    def written(self, number: int) -> bytes:
        request = self.requests[number]
        return request.replace(_NUMBER, b"%010d" % next(_numbers)) if self.are_new else request

    def take(self, number: int, status: int, body: bytes, seconds: float) -> None:
        if status != 200:  # noqa: PLR2004
            self.fail(f"answered with status {status}: {body[:500]!r}")
        elif self.expected is None:
            self.bodies[number] = body
        elif body != self.expected[number]:
            self.fail(f"gave another answer than before to request {number}: {body[:500]!r}")
        self.seconds.append(seconds)
        self.answered += 1
        if self.answered == self.count and not self.done.done():
            self.done.set_result(None)

    def fail(self, problem: str) -> None:
        if not self.done.done():
            self.done.set_exception(LoadFailed(problem))


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._number: int | None = None
        self._began = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send_next(self) -> None:
        self._number = self._work.next()
        if self._number is not None:
            self._began = perf_counter()
            self._transport.write(self._work.written(self._number))

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._work.fail(f"does not speak HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        # A server may well close one that has been idle for some seconds.
        if self._number is not None:
            self._work.fail(f"closed the connection without an answer: {exc}")

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        assert self._number is not None  # noqa: S101  nobody answers what was not asked
        seconds = perf_counter() - self._began
        body = b"".join(self._parts)
        self._parts.clear()
        self._work.take(self._number, self._parser.get_status_code(), body, seconds)
        self.send_next()


async def _perform(job: dict[str, Any], expected: Sequence[bytes] | None) -> tuple[_Work, float]:
    loop = asyncio.get_running_loop()
    requests = [_http(job["path"], body.encode()) for body in job["requests"]]
    are_new = _NUMBER in requests[0]
    work = _Work(requests, job["count"], expected, loop.create_future(), are_new)
    connections: list[_Connection] = []
    try:
        async with asyncio.timeout(job["timeout_seconds"]):
            for _ in range(min(job["connections"], job["count"])):
                _, connection = await loop.create_connection(
                    lambda: _Connection(work), "127.0.0.1", job["port"]
                )
                connections.append(connection)
            began = perf_counter()
            for connection in connections:
                connection.send_next()
            await work.done
            return work, perf_counter() - began
    except TimeoutError:
        raise LoadFailed(
            f"answered {work.answered} of {work.count} requests in {job['timeout_seconds']} seconds"
        ) from None
    finally:
        for connection in connections:
            connection.close()


def _http(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    learnt: dict[str, list[bytes]] = {}
    gc.disable()
    # Not sys.stdout.buffer: under PYTHONUNBUFFERED that is the bare file, which may write a part.
    with open(sys.stdout.fileno(), "wb", closefd=False) as reports:
        for line in sys.stdin.buffer:
            reports.write(orjson.dumps(_report(orjson.loads(line), learnt)) + b"\n")
            reports.flush()
            gc.collect()


def _report(job: dict[str, Any], learnt: dict[str, list[bytes]]) -> dict[str, Any]:
    try:
        return _done(job, learnt)
    except (LoadFailed, OSError) as error:
        return {"problem": str(error)}


def _done(job: dict[str, Any], learnt: dict[str, list[bytes]]) -> dict[str, Any]:
    name = job["name"]
    if job["do"] == "learn":
        work, _ = uvloop.run(_perform(job, None))
        learnt[name] = [work.bodies[number] for number in range(len(work.requests))]
        return {"bodies": [body.decode() for body in learnt[name]]}
    work, seconds = uvloop.run(_perform(job, learnt[name]))
    return {"seconds": seconds, "each": work.seconds}


if __name__ == "__main__":
    main()
