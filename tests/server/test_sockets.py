"""graphql-transport-ws over raw connections: the rules of its protocol text and test suite."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.live import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    ClosedWith,
    raw_socket,
    shake_hands,
    streaming_server,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.settings import Settings
    from tests.server.live import RawSocket, StreamingServer

QUERY = "{ __typename }"
COUNT = "subscription ($to: Int) { count(to: $to) }"
CREATE = """mutation { createCustomer(input: {firstName: "A", lastName: "B", username: "socket",
  email: "socket@x.example", address: "C", town: "D"}) { __typename } }"""


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[StreamingServer]:
    async with streaming_server(settings) as server:
        yield server
        await server.until_idle()


@pytest.fixture
async def socket(server: StreamingServer) -> AsyncIterator[RawSocket]:
    async with raw_socket(server.port) as socket:
        yield socket


def counted(id_: str, number: int) -> dict[str, Any]:
    return {"id": id_, "type": "next", "payload": {"data": {"count": number, "padding": ""}}}


# The sub-protocol


@pytest.mark.parametrize("subprotocol", [None, "graphql-ws", "graphql-transport-ws2", "soap"])
async def test_another_subprotocol_is_not_acceptable(
    server: StreamingServer, subprotocol: str | None
) -> None:
    async with raw_socket(server.port, initialised=False, subprotocol=subprotocol) as socket:
        code, _ = await socket.closed()

    assert code == 4406


async def test_the_subprotocol_is_selected_among_others(server: StreamingServer) -> None:
    handshake = await shake_hands(server.port, subprotocol="soap, graphql-transport-ws, wamp")

    assert handshake.status == 101
    assert b"sec-websocket-protocol: graphql-transport-ws\r\n" in handshake.head.lower()
    assert b"x-request-id: " in handshake.head.lower()
    assert b"permessage-deflate" not in handshake.head
    handshake.socket.writer.close()


# ConnectionInit and ConnectionAck


async def test_a_connection_is_acknowledged_with_the_start_of_its_events(
    server: StreamingServer,
) -> None:
    for payload in (None, {}, {"a": 1}):
        async with raw_socket(server.port, initialised=False) as socket:
            ack = await socket.initialised(payload)
        assert ack == {"type": "connection_ack", "payload": {"cursor": "0"}}


async def test_without_initialisation_a_socket_is_closed_after_three_seconds(
    server: StreamingServer,
) -> None:
    async with (
        raw_socket(server.port, initialised=False) as silent,
        raw_socket(server.port) as initialised,
    ):
        began = asyncio.get_running_loop().time()
        assert await silent.closed() == (4408, "Connection initialisation timeout")
        assert 2.5 < asyncio.get_running_loop().time() - began < 4
        initialised.subscribe("a", QUERY)
        assert (await initialised.receive())["type"] == "next"


async def test_a_second_initialisation_closes_the_socket(socket: RawSocket) -> None:
    socket.send(type="connection_init")

    assert await socket.closed() == (4429, "Too many initialisation requests")


async def test_two_initialisations_at_once_close_the_socket(server: StreamingServer) -> None:
    async with raw_socket(server.port, initialised=False) as socket:
        socket.send(type="connection_init")
        socket.send(type="connection_init")
        assert (await socket.closed())[0] == 4429


async def test_an_operation_before_the_initialisation_is_unauthorized(
    server: StreamingServer,
) -> None:
    async with raw_socket(server.port, initialised=False) as socket:
        socket.subscribe("a", QUERY)
        assert await socket.closed() == (4401, "Unauthorized")


# Ping and Pong


async def test_a_ping_is_answered_with_its_payload(server: StreamingServer) -> None:
    async with raw_socket(server.port, initialised=False) as socket:
        socket.send(type="ping")  # at any time: before the initialisation, too
        assert await socket.receive() == {"type": "pong"}
        await socket.initialised()
        socket.send(type="ping", payload={"a": [1]})
        assert await socket.receive() == {"type": "pong", "payload": {"a": [1]}}


async def test_a_pong_is_not_answered(socket: RawSocket) -> None:
    socket.send(type="pong", payload={"a": 1})
    socket.send(type="ping")

    assert await socket.receive() == {"type": "pong"}


async def test_a_ping_frame_is_answered(socket: RawSocket) -> None:
    socket.frame(PING, b"abc")

    assert await socket.read_frame() == (PONG, b"abc")


# Subscribe, Next, Error and Complete


async def test_a_query_has_one_result_and_completes(socket: RawSocket) -> None:
    socket.subscribe("a", QUERY)

    assert await socket.received(2) == [
        {"id": "a", "type": "next", "payload": {"data": {"__typename": "Query"}}},
        {"id": "a", "type": "complete"},
    ]


async def test_a_mutation_has_one_result_and_completes(socket: RawSocket) -> None:
    socket.subscribe("a", CREATE)

    result, complete = await socket.received(2)
    assert result["payload"] == {"data": {"createCustomer": {"__typename": "CustomerSaved"}}}
    assert complete == {"id": "a", "type": "complete"}


async def test_a_subscription_has_results_until_it_completes(socket: RawSocket) -> None:
    socket.subscribe("a", COUNT, to=3)

    results = [counted("a", number) for number in (1, 2, 3)]
    assert await socket.received(4) == [*results, {"id": "a", "type": "complete"}]


@pytest.mark.parametrize("query", ["{ nothing }", "{", "", "subscription { nothing }"])
async def test_an_error_before_the_execution_ends_the_operation(
    socket: RawSocket, query: str
) -> None:
    socket.subscribe("a", query)
    socket.subscribe("b", QUERY)

    messages = await socket.received(3)
    (error,) = [message for message in messages if message["id"] == "a"]
    assert error["type"] == "error"
    assert error["payload"][0]["message"]
    assert error["payload"][0]["extensions"]["code"] in {
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "BAD_REQUEST",
    }
    socket.subscribe("a", QUERY)  # the id is free again
    assert [message["type"] for message in await socket.received(2)] == ["next", "complete"]


async def test_an_error_beside_data_is_a_result(socket: RawSocket) -> None:
    errors = [{"message": "no name", "path": ["count"], "extensions": {"code": "TIMEOUT"}}]
    socket.subscribe("a", COUNT, to=2, beside=errors)

    *results, complete = await socket.received(3)
    payload = {"data": {"count": 1, "padding": ""}, "errors": errors}
    assert results[0] == {"id": "a", "type": "next", "payload": payload}
    assert results[1]["payload"]["data"]["count"] == 2
    assert complete == {"id": "a", "type": "complete"}


async def test_an_error_during_a_subscription_ends_it(socket: RawSocket) -> None:
    error = {"message": "lost", "extensions": {"code": "SERVICE_UNAVAILABLE"}}
    socket.subscribe("a", COUNT, to=1, error=error)
    socket.send(type="ping")

    messages = await socket.received(3)
    messages.remove({"type": "pong"})
    assert messages == [counted("a", 1), {"id": "a", "type": "error", "payload": [error]}]
    socket.send(type="ping")  # and nothing more came
    assert await socket.receive() == {"type": "pong"}


async def test_a_defect_is_masked_and_the_socket_goes_on(
    socket: RawSocket, caplog: pytest.LogCaptureFixture
) -> None:
    socket.subscribe("a", COUNT, fails=True)

    message = await socket.receive()
    assert message["type"] == "error"
    (error,) = message["payload"]
    assert error["message"] == "internal error"
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert error["extensions"]["errorId"] in caplog.text
    socket.subscribe("a", QUERY)
    assert (await socket.receive())["type"] == "next"


async def test_operations_run_side_by_side(socket: RawSocket) -> None:
    socket.subscribe("endless", COUNT, waits=True)
    socket.subscribe("a", QUERY)
    socket.subscribe("b", COUNT, to=1)

    messages = await socket.received(4)
    assert sorted((each["id"], each["type"]) for each in messages) == [
        ("a", "complete"),
        ("a", "next"),
        ("b", "complete"),
        ("b", "next"),
    ]


async def test_nothing_comes_after_the_client_has_completed(
    server: StreamingServer, socket: RawSocket
) -> None:
    socket.subscribe("a", COUNT, waits=True)
    socket.subscribe("b", COUNT, waits=True)
    await until_open(server, 2)

    socket.send(id="a", type="complete")
    await until_open(server, 1)
    server.streams.pushed.set()

    assert (await socket.receive())["id"] == "b"
    socket.send(id="b", type="complete")
    socket.send(id="never", type="complete")  # an operation that has ended, perhaps
    socket.subscribe("c", QUERY)
    while (message := await socket.receive())["id"] == "b":
        pass
    assert message["id"] == "c"


async def test_an_id_may_be_used_again_at_once(server: StreamingServer, socket: RawSocket) -> None:
    for _ in range(50):
        socket.subscribe("a", COUNT, waits=True)
        socket.send(id="a", type="complete")
    socket.subscribe("a", COUNT, to=1)

    assert await socket.received(2) == [counted("a", 1), {"id": "a", "type": "complete"}]
    await until_open(server, 0)


async def test_a_second_operation_of_one_id_closes_the_socket(
    server: StreamingServer, socket: RawSocket
) -> None:
    socket.subscribe("a", COUNT, waits=True)
    socket.subscribe("a", QUERY)

    assert await socket.closed() == (4409, "Subscriber for a already exists")
    await until_open(server, 0)


async def test_a_lost_connection_ends_its_operations(server: StreamingServer) -> None:
    for ending in ("close", "abort"):
        async with raw_socket(server.port) as socket:
            for nth in range(5):
                socket.subscribe(str(nth), COUNT, waits=True)
            await until_open(server, 5)
            if ending == "close":
                socket.frame(CLOSE, b"\x03\xe8")
            else:
                socket.writer.transport.abort()
        await server.until_idle()


# Invalid messages

INVALID: dict[str, Any] = {
    "no JSON": b"{",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"1",
    "no type": b"{}",
    "a type that is no string": b'{"type":1}',
    "an unknown type": b'{"type":"start","id":"1","payload":{"query":"{a}"}}',
    "a type of the server": b'{"type":"connection_ack"}',
    "next": b'{"type":"next","id":"1","payload":{}}',
    "a payload of init that is a string": b'{"type":"connection_init","payload":"a"}',
    "a payload of ping that is a list": b'{"type":"ping","payload":[]}',
    "a payload of pong that is a number": b'{"type":"pong","payload":1}',
    "subscribe without an id": b'{"type":"subscribe","payload":{"query":"{a}"}}',
    "subscribe with an empty id": b'{"type":"subscribe","id":"","payload":{"query":"{a}"}}',
    "subscribe with a number as id": b'{"type":"subscribe","id":1,"payload":{"query":"{a}"}}',
    "subscribe with a long id": json.dumps(
        {"type": "subscribe", "id": "a" * 10_000, "payload": {"query": "{a}"}}
    ).encode(),
    "subscribe without a payload": b'{"type":"subscribe","id":"1"}',
    "subscribe with a list": b'{"type":"subscribe","id":"1","payload":[]}',
    "a batch": b'[{"type":"subscribe","id":"1","payload":{"query":"{a}"}}]',
    "a batch in a payload": b'{"type":"subscribe","id":"1","payload":[{"query":"{a}"}]}',
    "subscribe without a query": b'{"type":"subscribe","id":"1","payload":{}}',
    "a query that is a number": b'{"type":"subscribe","id":"1","payload":{"query":1}}',
    "variables that are a list": b'{"type":"subscribe","id":"1","payload":'
    b'{"query":"{a}","variables":[]}}',
    "a name that is a number": b'{"type":"subscribe","id":"1","payload":'
    b'{"query":"{a}","operationName":1}}',
    "extensions that are a string": b'{"type":"subscribe","id":"1","payload":'
    b'{"query":"{a}","extensions":"a"}}',
    "complete without an id": b'{"type":"complete"}',
    "complete with an empty id": b'{"type":"complete","id":""}',
    "half a surrogate pair": b'{"type":"ping","payload":{"a":"\\ud800"}}',
    "deep JSON": b'{"type":"ping","payload":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
}


@pytest.mark.parametrize("name", INVALID)
async def test_an_invalid_message_closes_the_socket(socket: RawSocket, name: str) -> None:
    socket.frame(TEXT, INVALID[name])

    code, reason = await socket.closed()
    assert code == 4400
    assert reason


async def test_a_binary_message_closes_the_socket(socket: RawSocket) -> None:
    socket.frame(BINARY, b'{"type":"ping"}')

    assert await socket.closed() == (4400, "A message must be text")


async def test_malformed_utf8_closes_the_socket_and_leaves_no_traceback(
    socket: RawSocket, caplog: pytest.LogCaptureFixture
) -> None:
    socket.frame(TEXT, b'{"type":"\xc3\x28"}')

    assert (await socket.closed())[0] == 1007
    assert "Traceback" not in caplog.text


async def test_null_members_are_absent_ones(socket: RawSocket) -> None:
    socket.send(
        id="a",
        type="subscribe",
        payload={"query": QUERY, "variables": None, "operationName": None, "extensions": None},
    )
    socket.send(type="ping", payload=None)

    types = {message["type"] for message in await socket.received(3)}
    assert types == {"next", "complete", "pong"}


async def test_a_message_may_come_in_fragments(socket: RawSocket) -> None:
    socket.frame(TEXT, b'{"type":', fin=False)
    socket.frame(PING, b"")
    socket.frame(0, b'"ping', fin=False)
    socket.frame(0, b'"}')

    assert await socket.receive() == {"type": "pong"}


async def until_open(server: StreamingServer, count: int) -> None:
    await until(lambda: server.streams.open == count)


async def test_the_raw_client_notices_a_lost_connection(server: StreamingServer) -> None:
    async with raw_socket(server.port) as socket:
        socket.frame(CLOSE, b"\x03\xe8")
        with pytest.raises(ClosedWith) as closed:
            await socket.receive()

    assert closed.value.code == 1000
