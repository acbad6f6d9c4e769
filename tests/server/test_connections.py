"""Connections over raw sockets: heads, hosts, trailers, pipelining, slow readers, and limits."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conftest import eventually, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.embedded import Cluster
    from tests.conftest import LiveServer

BODY = json.dumps({"query": "{ __typename }"}).encode()
POST = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
ANSWERED = b"HTTP/1.1 200 OK"
# Longer than a request may take, and than this process may be stopped for.
KEEP_ALIVE = 6


@pytest.fixture(scope="module")
def bounded(live_server: LiveServer, cluster: Cluster) -> Iterator[LiveServer]:
    assert live_server.url  # its store is used
    with serving(
        GRAPH_DATABASE_URL=cluster.url("live_store"),
        GRAPH_MAX_HEAD_BYTES="8192",
        GRAPH_MAX_HEAD_FIELDS="50",
        GRAPH_MAX_CONNECTIONS="40",
        GRAPH_MAX_CONNECTIONS_PER_ADDRESS="30",
        GRAPH_CLIENT_TIMEOUT_SECONDS="1",
        GRAPH_KEEP_ALIVE_SECONDS=str(KEEP_ALIVE),
    ) as server:
        yield server


def connected(server: LiveServer, timeout: float = 60) -> socket.socket:
    port = int(server.url.rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def exchanged(server: LiveServer, *pieces: bytes, end: bool = True) -> bytes:
    """Everything that the server sends; with `end` the connection is asked to close."""
    with connected(server) as connection:
        received = b""
        with suppress(ConnectionError):  # it may hang up before it has all of it
            for piece in pieces:
                connection.sendall(piece)
            if end:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


def post(*fields: bytes, body: bytes = BODY) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    return POST + lines + b"content-length: %d\r\n\r\n" % len(body) + body


def test_a_head_within_the_bounds_is_answered(bounded: LiveServer) -> None:
    fields = [b"x-%d: a" % nth for nth in range(45)]

    for head in ([*fields], [b"x: " + b"a" * 7500]):
        whole = post(*head, b"connection: close")
        assert exchanged(bounded, whole, end=False).startswith(ANSWERED)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (post(*(b"x-%d: a" % nth for nth in range(60))), b"431"),
        (post(b"x: " + b"a" * 9000), b"431"),
        (POST + b"x: " + b"a" * 20_000_000, b"431"),  # one value without an end
        (POST + b"x" * 20_000_000, b"431"),  # one name without an end
        (POST + b"x: a\r\n" * 1_000_000, b"431"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", b"414"),
        (b"GET /" + b"a" * 20_000_000, b"414"),
        (b"GET /health/live HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/0.9\r\n\r\n", b"400"),
        (b"GET /health/live\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nhost: evil.example\r\n\r\n", b"421"),
        (b"GET /graphql/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", b"404"),
    ],
)
def test_a_head_out_of_bounds_is_refused(bounded: LiveServer, head: bytes, status: bytes) -> None:
    began = time.perf_counter()

    assert exchanged(bounded, head).startswith(b"HTTP/1.1 " + status)
    assert time.perf_counter() - began < 20  # so long it takes nobody to read all of it
    assert httpx.get(f"{bounded.url}/health/live").status_code == 200


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST", "127.0.0.1", "[::1]:8000", "[::1]"])
def test_a_loopback_host_is_answered_in_development(bounded: LiveServer, host: str) -> None:
    response = httpx.get(f"{bounded.url}/health/live", headers={"host": host})

    assert response.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::2]", "a:b:c"])
def test_a_foreign_host_is_refused_and_the_setting_named(bounded: LiveServer, host: str) -> None:
    response = httpx.get(f"{bounded.url}/graphql?query={{__typename}}", headers={"host": host})

    assert response.status_code == 421
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "HOST_NOT_ALLOWED"
    assert "GRAPH_ALLOWED_HOSTS" in error["message"]


def test_trailer_fields_do_not_become_header_fields(bounded: LiveServer) -> None:
    chunk = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    head = POST + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    fields = b"idempotency-key: a\r\nx-request-id: forged\r\naccept: text/html\r\n" * 100

    answer = exchanged(bounded, head + chunk + fields + b"\r\n")

    # A query with an Idempotency-Key would be refused, and a page has another media type.
    assert answer.startswith(ANSWERED)
    assert b"forged" not in answer
    assert b'{"data":{"__typename":"Query"}}' in answer


def test_half_of_a_second_head_does_not_spoil_the_answer_to_the_first(bounded: LiveServer) -> None:
    query = "{ orders(first: 100) { nodes { lineItems(first: 50) { nodes { itemName } } } } }"
    first = post(body=json.dumps({"query": query}).encode())

    answer = exchanged(bounded, first + POST, end=False)

    assert answer.count(b"HTTP/1.1") <= 2
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert json.loads(body[:length])["data"]["orders"]["nodes"]
    assert body[length:] == b"" or body[length:].startswith(b"HTTP/1.1 408")


def test_half_sent_heads_do_not_block_others(bounded: LiveServer) -> None:
    held = [connected(bounded) for _ in range(29)]
    for connection in held:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")

    assert httpx.get(f"{bounded.url}/health/live").status_code == 200
    for connection in held:
        connection.close()


def test_an_address_has_so_many_connections(bounded: LiveServer) -> None:
    held = [connected(bounded) for _ in range(30)]

    with connected(bounded) as refused, suppress(ConnectionError):
        assert refused.recv(1) == b""
    for connection in held:
        connection.close()
    eventually(lambda: is_answered(bounded))


def is_answered(server: LiveServer) -> bool:
    """Whether a new connection is let in."""
    try:
        return httpx.get(f"{server.url}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def test_an_idle_connection_is_kept_as_long_as_the_setting_says(bounded: LiveServer) -> None:
    with connected(bounded) as connection:
        for pause_seconds in (2, 0):
            began = time.perf_counter()
            connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            received = b""
            while not received.endswith(b"}"):
                chunk = connection.recv(65536)
                assert chunk, "it is closed"
                received += chunk
            assert received.startswith(ANSWERED)
            time.sleep(pause_seconds)
        assert connection.recv(65536) == b""
        assert KEEP_ALIVE <= time.perf_counter() - began < 5 * KEEP_ALIVE


@pytest.mark.alone
def test_a_steady_slow_reader_gets_all_of_its_answer(bounded: LiveServer) -> None:
    names = " ".join(f"a{nth:060}: itemName" for nth in range(90))
    query = (
        "{ customers(first: 40) { nodes { orders(first: 20) { nodes { id datePlaced total"
        f" lineItems(first: 20) {{ nodes {{ {names} }} }} }} }} }} }} }}"
    )
    body = json.dumps({"query": query}).encode()
    with connected(bounded) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(post(b"connection: close", body=body))
        received = b""
        began = time.perf_counter()
        while chunk := connection.recv(65536):
            received += chunk
            time.sleep(0.05)  # longer in all than a client may stall

    _, _, answer = received.partition(b"\r\n\r\n")
    assert json.loads(answer)["data"]["customers"]["nodes"]
    assert len(answer) > 3_000_000
    assert time.perf_counter() - began > 2


def test_no_line_of_the_log_is_a_clients() -> None:
    code = """
import logging
from graph.settings import LogFormat, LogLevel
from graph.telemetry import start_logging
start_logging(LogLevel.INFO, LogFormat.TEXT)
try:
    {}["a\\n2026-01-01 00:00:00,000 INFO graph [-] forged \\x1b[2J\\u2028 b"]
except KeyError:
    logging.getLogger("graph").exception("GET %s", "/\\n2026-01-01 INFO forged\\r\\x1b[31m")
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    lines = run.stderr.splitlines()
    assert not [line for line in lines if line.startswith("2026-01-01 ")]
    assert "\x1b" not in "".join(lines)
    assert lines[0].endswith(r"GET /\u000a2026-01-01 INFO forged\u000d\u001b[31m")
    assert all(line.startswith("  ") for line in lines[1:])
