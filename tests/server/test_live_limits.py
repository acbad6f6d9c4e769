"""Live connections: who may open them, for how long, how many, and what they may send."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from graph.database import api_keys
from graph.server import live_connections
from graph.server.tokens import issued
from tests.server.live import (
    GRACE_SECONDS,
    ClosedWith,
    raw_socket,
    shake_hands,
    standstill,
    streaming_server,
    turns,
    until,
)
from tests.server.provider import AUDIENCE, ISSUER, claims
from tests.server.test_event_streams import APOLLO, EVENTS, events, requested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from graph.settings import Settings
    from tests.server.live import RawSocket, StreamingServer

QUERY = "{ viewer { role } }"
COUNT = "subscription ($to: Int) { count(to: $to) }"
SECRET = "correct horse battery staple, twice"  # noqa: S105  of nothing
SIGN_IN: dict[str, Any] = {
    "jwt_issuer": ISSUER,
    "jwt_audience": AUDIENCE,
    "jwt_secret": SECRET,
    "anonymous_role": "anonymous",
}


@pytest.fixture
def changed() -> dict[str, Any]:
    """The settings of the server under test; tests override it."""
    return {}


@pytest.fixture
async def server(settings: Settings, changed: dict[str, Any]) -> AsyncIterator[StreamingServer]:
    values = settings.model_dump() | {"database_url": settings.database_url} | changed
    async with streaming_server(type(settings).model_validate(values)) as server:
        yield server
        await server.until_idle()


def token(seconds: float = 600, **more: Any) -> str:
    return issued(SECRET, claims(exp=time.time() + seconds, role="clerk", **more))


async def role_of(socket: RawSocket) -> str:
    socket.subscribe("role", QUERY)
    result, _ = await socket.received(2)
    role: str = result["payload"]["data"]["viewer"]["role"]
    return role


# Who signs in


@pytest.mark.parametrize("changed", [SIGN_IN])
@pytest.mark.parametrize(
    "place",
    [
        lambda value: {"Authorization": value},
        lambda value: {"authorization": value},
        lambda value: {"headers": {"Authorization": value}},
        lambda value: {"headers": {"authorization": value}},
    ],
)
async def test_a_token_may_come_with_the_initialisation(
    server: StreamingServer, place: Any
) -> None:
    async with raw_socket(server.port, initialised=False) as socket:
        ack = await socket.initialised(place(f"Bearer {token()}"))
        assert await role_of(socket) == "clerk"

    assert ack["payload"] == {"cursor": "0"}


@pytest.mark.parametrize("changed", [SIGN_IN])
async def test_a_token_may_come_with_the_handshake(server: StreamingServer) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    async with raw_socket(server.port, headers=headers) as socket:
        assert await role_of(socket) == "clerk"
    # That of the initialisation takes precedence.
    headers = {"Authorization": "Bearer of bad news"}
    async with raw_socket(server.port, initialised=False, headers=headers) as socket:
        await socket.initialised({"Authorization": f"Bearer {token()}"})
        assert await role_of(socket) == "clerk"


@pytest.mark.parametrize("changed", [SIGN_IN])
async def test_without_a_token_the_viewer_is_anonymous(server: StreamingServer) -> None:
    async with raw_socket(server.port, initialised=False) as socket:
        ack = await socket.initialised({"Authorization": None, "headers": None})
        assert ack == {"type": "connection_ack"}  # it may not see events
        assert await role_of(socket) == "anonymous"


@pytest.mark.parametrize("changed", [SIGN_IN])
@pytest.mark.parametrize(
    "payload",
    [
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": ""},
        {"Authorization": "Bearer " + "x" * 100_000},
        {"Authorization": 1},
        {"headers": {"authorization": ["Bearer x"]}},
        {"Authorization": f"Bearer {token(-60)}"},
        {"Authorization": f"Bearer {token(-1)}"},  # the leeway is for requests
        {"Authorization": f"Bearer {token(aud='another')}"},
    ],
)
async def test_an_invalid_token_is_forbidden(server: StreamingServer, payload: Any) -> None:
    async with raw_socket(server.port, initialised=False) as socket:
        socket.send(type="connection_init", payload=payload)
        code, reason = await socket.closed()

    assert code == 4403
    assert reason
    assert "eyJ" not in reason


# For how long

LIFE = 3.0  # seconds of a token: it has to be verified before it ends


@asynccontextmanager
async def a_second_after(end: float) -> AsyncIterator[None]:
    """The block is left within a second after that time, as this event loop counts it."""

    async def pass_it() -> None:
        await asyncio.sleep(end - time.time())
        await turns(1)

    passing = asyncio.create_task(pass_it())
    yield
    assert not passing.done()
    passing.cancel()


@pytest.mark.parametrize("changed", [SIGN_IN])
async def test_a_token_that_expires_closes_its_socket_within_a_second(
    server: StreamingServer,
) -> None:
    async with (
        raw_socket(server.port, initialised=False) as socket,
        raw_socket(server.port, initialised=False) as other,
    ):
        end = time.time() + LIFE
        await socket.initialised({"Authorization": f"Bearer {token(LIFE)}"})
        await other.initialised({"Authorization": f"Bearer {token()}"})
        socket.subscribe("a", COUNT, waits=True)
        async with a_second_after(end):
            code, reason = await socket.closed()
        assert time.time() >= end
        assert code == 4403
        assert "expired" in reason
        assert await role_of(other) == "clerk"


@pytest.mark.parametrize("changed", [SIGN_IN])
@pytest.mark.parametrize("accept", [EVENTS, APOLLO])
async def test_a_token_that_expires_ends_its_stream(server: StreamingServer, accept: str) -> None:
    end = time.time() + LIFE
    authorization = f"Bearer {token(LIFE)}"
    waiting = {"waits": True}
    async with requested(
        server, COUNT, waiting, accept=accept, authorization=authorization
    ) as response:
        assert response.status == 200
        async with a_second_after(end):
            body = await response.rest()
        assert time.time() >= end
    if accept == EVENTS:
        (next_,) = events(body)  # and no `complete`
        content = json.loads(next_[2])
    else:
        assert body.endswith(b"\r\n--graphql--\r\n")
        content = json.loads(body.split(b"\r\n--graphql")[-2].split(b"\r\n\r\n")[1])
        assert content["payload"] is None
    assert content["errors"][0]["extensions"]["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize("changed", [SIGN_IN])
async def test_a_key_that_is_revoked_closes_its_sockets(
    server: StreamingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_connections, "_VERIFY_SECONDS", 0.5)
    monkeypatch.setattr("graph.server.api_keys._KEPT_SECONDS", 0.2)
    database = server.state["database"]
    key = await api_keys.add(database, "robot", frozenset({"store:read"}), None)
    async with raw_socket(server.port, initialised=False) as socket:
        await socket.initialised({"Authorization": f"Bearer {key}"})
        assert await role_of(socket) == "service"
        await asyncio.sleep(1.5)
        socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        await api_keys.revoke(database, key.split("_")[1])
        code, _ = await socket.closed()
        assert code == 4403


# From where


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "http://localhost:1"]
)
async def test_a_page_of_a_foreign_origin_gets_no_socket(
    server: StreamingServer, origin: str
) -> None:
    handshake = await shake_hands(server.port, headers={"Origin": origin})

    assert handshake.status == 403
    assert json.loads(handshake.body)["errors"][0]["extensions"]["code"] == "ORIGIN_NOT_ALLOWED"
    assert b"x-content-type-options: nosniff" in handshake.head.lower()


async def test_a_page_of_the_same_origin_gets_one(server: StreamingServer) -> None:
    async with raw_socket(
        server.port, headers={"Origin": f"http://127.0.0.1:{server.port}"}
    ) as socket:
        socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
    forged = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "cross-site"}
    assert (await shake_hands(server.port, headers=forged)).status == 403


@pytest.mark.parametrize("changed", [{"cors_origins": ("https://shop.example",)}])
async def test_a_page_of_an_allowed_origin_gets_one(server: StreamingServer) -> None:
    headers = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
    async with raw_socket(server.port, headers=headers) as socket:
        socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
    assert (await shake_hands(server.port, headers={"Origin": "https://a.example"})).status == 403


async def test_a_foreign_host_gets_no_socket(server: StreamingServer) -> None:
    handshake = await shake_hands(server.port, headers={"Host": "evil.example"})

    assert handshake.status == 421
    assert json.loads(handshake.body)["errors"][0]["extensions"]["code"] == "HOST_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/", "/graphql/", "/health/live", "/graphiql/assets/a.js", "/x"])
async def test_other_paths_have_no_sockets(
    server: StreamingServer, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    handshake = await shake_hands(server.port, path=path)

    assert handshake.status == 404
    assert caplog.text == ""


# How many


@pytest.mark.parametrize("changed", [{"max_live_connections": 3}])
async def test_a_worker_holds_so_many_connections(server: StreamingServer) -> None:
    async with (
        raw_socket(server.port),
        raw_socket(server.port, initialised=False),
        requested(server, COUNT, {"waits": True}) as third,
    ):
        await third.chunk()
        refused = await shake_hands(server.port)
        assert refused.status == 429
        assert code_of(refused.body) == "TOO_MANY_SUBSCRIPTIONS"
        async with requested(server, COUNT, {"waits": True}) as response:
            assert response.status == 429
            assert code_of(await response.rest()) == "TOO_MANY_SUBSCRIPTIONS"
        async with requested(server, "{ __typename }") as response:
            assert response.status == 200
    await server.until_idle()
    async with raw_socket(server.port):
        pass


@pytest.mark.parametrize("changed", [SIGN_IN | {"max_live_connections_per_client": 1}])
async def test_a_client_holds_so_many_connections(server: StreamingServer) -> None:
    bearer = {"Authorization": f"Bearer {token()}"}
    async with raw_socket(server.port, initialised=False) as socket:
        await socket.initialised(bearer)
        async with raw_socket(server.port, initialised=False) as second:
            second.send(type="connection_init", payload=bearer)
            code, reason = await second.closed()
            assert code == 1013
            assert "A client may hold 1" in reason
        async with requested(server, authorization=bearer["Authorization"]) as response:
            assert response.status == 429
        async with raw_socket(server.port):  # another client: an address
            pass


@pytest.mark.parametrize(
    "changed",
    [
        {"max_subscriptions": 2},
        {"max_subscriptions_per_client": 2},
        {"max_subscriptions_per_connection": 2},
    ],
)
async def test_so_many_subscriptions_are_held(server: StreamingServer) -> None:
    async with raw_socket(server.port) as socket:
        for id_ in "abc":
            socket.subscribe(id_, COUNT, waits=True)
        error = await socket.receive()
        assert (error["id"], error["type"]) == ("c", "error")
        assert error["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
        socket.send(id="a", type="complete")
        await until(lambda: server.gauges["subscriptions"] == 1)
        socket.subscribe("d", COUNT, to=1)
        assert [message["id"] for message in await socket.received(2)] == ["d", "d"]


async def test_the_connections_of_an_address_are_counted_across_protocols(
    settings: Settings,
) -> None:
    few = settings.model_copy(update={"max_connections_per_address": 3})
    async with streaming_server(few) as server:
        for _ in range(10):  # each gives its place back
            async with raw_socket(server.port):
                pass
            (await shake_hands(server.port, path="/x")).socket.writer.close()
        async with raw_socket(server.port), raw_socket(server.port), raw_socket(server.port):
            with pytest.raises(ClosedWith):
                await shake_hands(server.port)
        await server.until_no_address_is_connected()


# What documents


@pytest.mark.parametrize("changed", [{"max_cost": 10}])
async def test_the_cost_of_an_operation_is_limited(server: StreamingServer) -> None:
    async with raw_socket(server.port) as socket:
        socket.subscribe("a", "{ customers(first: 100) { nodes { id } } }")
        assert (await error_of(socket))["code"] == "COST_LIMIT_EXCEEDED"


@pytest.mark.parametrize("changed", [{"cost_capacity": 100, "max_cost": 100, "cost_per_second": 1}])
async def test_the_operations_of_a_client_share_its_bucket(server: StreamingServer) -> None:
    async with raw_socket(server.port) as socket:
        for nth in range(5):
            socket.subscribe(str(nth), "{ customers(first: 50) { nodes { id } } }")
        errors = [
            message["payload"][0]["extensions"]["code"]
            for message in await socket.received(6)
            if message["type"] == "error"
        ]
    assert errors
    assert set(errors) == {"RATE_LIMITED"}


async def test_a_document_may_be_named_by_its_hash(server: StreamingServer) -> None:
    hash_ = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hash_}}
    async with raw_socket(server.port) as socket:
        payload: dict[str, Any] = {"extensions": extensions}
        socket.send(id="a", type="subscribe", payload=payload)
        assert (await error_of(socket))["code"] == "PERSISTED_QUERY_NOT_FOUND"
        socket.send(id="a", type="subscribe", payload=payload | {"query": "{__typename}"})
        assert [message["type"] for message in await socket.received(2)] == ["next", "complete"]
        for empty in ({}, {"query": ""}, {"query": None}):
            socket.send(id="a", type="subscribe", payload=payload | empty)
            result, _ = await socket.received(2)
            assert result["payload"] == {"data": {"__typename": "Query"}}


async def test_only_trusted_documents_may_be_all_there_are(
    settings: Settings, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"known": "{ __typename }"}), "utf-8")
    trusted = {"documents": "trusted-only", "documents_manifest": manifest}
    values = settings.model_dump() | {"database_url": settings.database_url} | trusted
    async with (
        streaming_server(type(settings).model_validate(values)) as server,
        raw_socket(server.port) as socket,
    ):
        socket.subscribe("a", "{ customers { totalCount } }")
        assert (await error_of(socket))["code"] == "DOCUMENT_NOT_TRUSTED"
        socket.send(id="a", type="subscribe", payload={"documentId": "known"})
        assert [message["type"] for message in await socket.received(2)] == ["next", "complete"]


async def test_the_limits_of_documents_and_variables_apply(server: StreamingServer) -> None:
    variables = {"text": "x" * 600_000}
    async with raw_socket(server.port) as socket:
        for query, more, code in (
            ("{" + "a " * 6_000 + "}", {}, "OPERATION_TOO_LARGE"),
            ("{ __typename }", variables, "PAYLOAD_TOO_LARGE"),
            ("query ($n: Int!) { customers(first: $n) { totalCount } }", {}, "BAD_USER_INPUT"),
        ):
            socket.subscribe("a", query, **more)
            assert (await error_of(socket))["code"] == code


async def test_a_mutation_may_have_an_idempotency_key(server: StreamingServer) -> None:
    create = """mutation ($name: String!) { createItem(
      input: {name: $name, costPrice: "1.00", sellingPrice: "2.00"}
    ) @idempotent(key: "once") { ... on ItemSaved { item { databaseId } } } }"""
    answers = []
    for _ in range(2):  # over a new connection, as after a lost one
        async with raw_socket(server.port) as socket:
            socket.subscribe("a", create, name="Kettle")
            answer, _ = await socket.received(2)
            answers.append(answer["payload"])
    assert answers[0]["data"] == answers[1]["data"]
    assert answers[1]["extensions"] == {"replayed": ["createItem"]}


@pytest.mark.parametrize(
    "changed", [{"operation_timeout_seconds": 0.2, "statement_timeout_seconds": 0.1}]
)
async def test_the_timeout_of_operations_applies(
    server: StreamingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.server.live.StreamingExecution.answer", never)
    async with raw_socket(server.port) as socket:
        socket.subscribe("a", QUERY)
        assert (await error_of(socket))["code"] == "TIMEOUT"


async def never(*_: Any) -> None:
    await asyncio.Event().wait()


# Shutdown


async def test_shutdown_closes_sockets_so_that_clients_come_back(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    async with streaming_server(settings) as server:
        async with raw_socket(server.port) as socket, raw_socket(server.port) as stalled:
            stalled.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001
            stalled.subscribe("a", COUNT, bytes=1_000_000)
            socket.subscribe("a", COUNT, waits=True)
            await standstill(lambda: server.streams.taken)
            began = loop.time()
            server.server.should_exit = True
            with pytest.raises(ClosedWith) as closed:
                await socket.receive()
            assert closed.value.code == 1012
            while server.server.server_state.connections:  # noqa: ASYNC110  it has no event
                await asyncio.sleep(0.05)
            assert loop.time() - began < GRACE_SECONDS / 2
        await server.until_idle()


# The log


async def test_a_socket_has_one_line_in_the_log(
    server: StreamingServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "graph.server.middleware")
    async with raw_socket(server.port, headers={"X-Request-ID": "abc"}) as socket:
        socket.subscribe("a", QUERY)
        await socket.received(2)
    await shake_hands(server.port, headers={"Origin": "https://evil.example"})
    await server.until_idle()

    fields = [
        cast("dict[str, Any]", record.msg)
        for record in caplog.records
        if record.name == "graph.server.middleware"
    ]
    assert sorted((each["method"], each["path"], each["status"]) for each in fields) == [
        ("WEBSOCKET", "/graphql", 101),
        ("WEBSOCKET", "/graphql", 403),
    ]


@pytest.mark.parametrize("changed", [{"compress_sockets": True}])
async def test_messages_are_compressed_if_a_setting_says_so(server: StreamingServer) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    handshake = await shake_hands(server.port, headers=offer)
    handshake.socket.writer.close()

    assert b"permessage-deflate" in handshake.head


async def test_messages_are_not_compressed_by_default(server: StreamingServer) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    handshake = await shake_hands(server.port, headers=offer)
    handshake.socket.writer.close()

    assert handshake.status == 101
    assert b"permessage-deflate" not in handshake.head


def code_of(body: bytes) -> str:
    code: str = json.loads(body)["errors"][0]["extensions"]["code"]
    return code


async def error_of(socket: RawSocket) -> dict[str, Any]:
    message = await socket.receive()
    assert message["type"] == "error", message
    extensions: dict[str, Any] = message["payload"][0]["extensions"]
    return extensions
