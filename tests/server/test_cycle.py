"""A response is written as uvicorn writes it, in one piece where it can be."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from graph.server.cycle import Cycle

DATE = (b"date", b"Fri, 27 Nov 2026 20:57:00 GMT")
LENGTH = (b"content-length", b"2")
BODY = {"type": "http.response.body", "body": b"{}"}
EMPTY = {"type": "http.response.body"}


class Transport:
    """Keeps what is written, by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


async def exchange(
    cycle_type: type[RequestResponseCycle],
    messages: list[dict[str, Any]],
    method: str = "POST",
    keep_alive: bool = True,  # noqa: FBT002
) -> tuple[list[bytes], bool, str]:
    """What a cycle writes, whether it closes the connection, and the error that it raises."""
    transport: Any = Transport()
    cycle = made(cycle_type, transport, method, keep_alive)
    try:
        for message in messages:
            await cycle.send({**message})  # type: ignore[arg-type]
    except RuntimeError as error:
        return transport.writes, transport.is_closed, str(error)
    return transport.writes, transport.is_closed, ""


def made(
    cycle_type: type[RequestResponseCycle],
    transport: Any,
    method: str = "POST",
    keep_alive: bool = True,  # noqa: FBT002
) -> RequestResponseCycle:
    return cycle_type(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger("uvicorn.error"),
        access_logger=logging.getLogger("uvicorn.access"),
        access_log=False,
        default_headers=[DATE],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([start(LENGTH), BODY], {}),
        ([start(LENGTH, (b"x-one", b"a"), (b"x-one", b"b\t c"), status=503), BODY], {}),
        ([start((b"content-length", b"0")), EMPTY], {}),
        ([start((b"Content-Length", b"2"), (b"X-Upper", b"x")), BODY], {}),
        ([start(LENGTH), BODY], {"method": "HEAD"}),
        ([start(LENGTH), BODY], {"keep_alive": False}),
        ([start(LENGTH, (b"connection", b"close")), BODY], {}),
        ([start(), BODY], {}),
        ([start(), {**BODY, "more_body": True}, EMPTY], {}),
        ([start(LENGTH), {**BODY, "body": b"{", "more_body": True}, {**BODY, "body": b"}"}], {}),
        ([start(LENGTH), {**BODY, "body": b"too long"}], {}),
        ([start((b"content-length", b"3")), BODY], {}),
        ([start(LENGTH, (b"x-split", b"a\r\nset-cookie: b")), BODY], {}),
        ([start(LENGTH, (b"x-nul", b"\0")), BODY], {}),
        ([start(LENGTH, (b"x split", b"a")), BODY], {}),
        ([start(LENGTH, (b"transfer-encoding", b"chunked")), BODY], {}),
        ([start(LENGTH), BODY, BODY], {}),
    ],
)
async def test_a_response_is_written_as_uvicorn_writes_it(
    messages: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    ours, ours_closed, ours_error = await exchange(Cycle, messages, **options)
    theirs, theirs_closed, theirs_error = await exchange(RequestResponseCycle, messages, **options)

    assert b"".join(ours) == b"".join(theirs)
    assert (ours_closed, ours_error) == (theirs_closed, theirs_error)


async def test_the_head_and_the_body_of_a_known_size_are_one_write() -> None:
    writes, _, _ = await exchange(Cycle, [start(LENGTH), BODY])

    assert len(writes) == 1


@pytest.mark.parametrize("length", [b"2", b"0"])
@pytest.mark.parametrize("failure", [ValueError("a fault"), None])
async def test_an_application_that_ends_before_its_body_gets_a_500(
    failure: Exception | None, length: bytes
) -> None:
    transport: Any = Transport()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start((b"content-length", length)))
        if failure is not None:
            raise failure

    cycle = made(Cycle, transport)
    await cycle.run_asgi(app)

    written = b"".join(transport.writes)
    assert written.startswith(b"HTTP/1.1 500 ")
    assert written.endswith(b"\r\n\r\nInternal Server Error")
    assert transport.is_closed


async def test_the_head_of_a_stream_does_not_wait_for_its_body() -> None:
    writes, _, _ = await exchange(Cycle, [start((b"content-type", b"text/event-stream"))])

    assert len(writes) == 1
