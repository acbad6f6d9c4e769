"""Random bytes and documents: a few in each run, or FUZZ_EXAMPLES=20000 of them."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import queries

from tests.conftest import serving
from tests.execution.oracle import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.embedded import Cluster
    from tests.conftest import LiveServer

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
FUZZED = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
HTTP = httpx.Client(timeout=30)

TOKENS = st.sampled_from(
    [
        *"{}()[]:!=|&@$\"'#,.0-",
        *("...", '"""', "\\u0000", "\\ud800", "\N{NULL}", "\N{ZERO WIDTH NO-BREAK SPACE}", "1e999"),
        *("query", "mutation", "subscription", "fragment", "on", "true", "null", "schema", "type"),
        *("customers", "nodes", "orders", "id", "first", "where", "search", "aggregates", "groups"),
        *("Query", "Customer", "__schema", "__type", "__typename", "F", "@include", "@skip", "if"),
        *("... @defer", "nodes @stream", '(label: "a")', "(initialCount: -1)", "(if: $a)"),
        *("9" * 30, '"x"', "databaseId", "eq", "by", "totalCount", "edges", "cursor", "\n"),
    ]
)
DOCUMENTS = st.one_of(
    st.lists(TOKENS, max_size=60).map(" ".join),
    st.lists(TOKENS, max_size=40).map(lambda tokens: "{customers(" + " ".join(tokens) + ")}"),
    st.lists(TOKENS, max_size=40).map(lambda tokens: "{customers{" + " ".join(tokens) + "}}"),
    st.text(max_size=200),
    queries(SCHEMA).map(str),
    queries(SCHEMA).map(lambda text: str(text).replace("nodes {", "nodes @stream { ... @defer {")),
    queries(SCHEMA).map(lambda text: str(text).replace("{", "{ ... @defer { __typename }")),
)
ACCEPTS = st.sampled_from(
    [
        *("*/*", "application/json", "application/graphql-response+json"),
        *("multipart/mixed, application/json", "text/event-stream", "multipart/mixed"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
LINES = st.sampled_from(
    [
        *(
            b"POST /graphql HTTP/1.1\r\n",
            b"GET /graphql?query={a} HTTP/1.1\r\n",
            b"GET / HTTP/1.0\r\n",
        ),
        *(b"host: localhost\r\n", b"content-type: application/json\r\n", b"content-length: 5\r\n"),
        *(
            b"content-length: -5\r\n",
            b"transfer-encoding: chunked\r\n",
            b"expect: 100-continue\r\n",
        ),
        *(
            b"accept: */*;q=nan\r\n",
            b"accept-encoding: gzip;q=x, zstd\r\n",
            b"connection: upgrade\r\n",
        ),
        *(b"upgrade: websocket\r\n", b"x-forwarded-for: ,,\r\n", b"if-none-match: *\r\n"),
        *(b"\r\n", b"\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b'{"query":"{__typename}"}', b"\x00"),
    ]
)


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """The connections are closed in the end: a socket that is left open is a warning."""
    with HTTP:
        yield


@pytest.fixture(scope="module")
def server(live_server: LiveServer, cluster: Cluster) -> Iterator[LiveServer]:
    assert live_server.url  # its store is the one
    with serving(
        GRAPH_DATABASE_URL=cluster.url("live_store"),
        GRAPH_MAX_BATCH="3",
        GRAPH_CLIENT_TIMEOUT_SECONDS="1",
    ) as server:
        yield server


@given(
    document=DOCUMENTS,
    variables=VALUES,
    name=st.none() | st.text(max_size=5),
    accept=ACCEPTS,
    by_get=st.booleans(),
)
@FUZZED
def test_any_document_is_answered_or_refused(
    server: LiveServer,
    document: str,
    variables: object,
    name: str | None,
    accept: str,
    *,
    by_get: bool,
) -> None:
    try:
        body = json.dumps({"query": document, "variables": variables, "operationName": name})
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        by_get = False
    url = f"{server.url}/graphql"
    if by_get:
        parameters = {"query": document, "variables": json.dumps(variables)}
        response = HTTP.get(url, params=parameters, headers={"accept": accept})
    else:
        headers = {"content-type": "application/json", "accept": accept}
        response = HTTP.post(url, content=body, headers=headers)

    assert response.status_code in {200, 400, 405}, response.text
    for answer in answers_of(response):
        assert answer.keys() <= {
            *("data", "errors"),
            *("pending", "incremental", "completed", "hasNext"),
        }
        for error in answer.get("errors", ()):
            assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR"


def answers_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The answer, or all of its parts."""
    match response.headers["content-type"].split(";")[0]:
        case "multipart/mixed":
            _, *parts, end = response.content.split(b"\r\n---")
            assert end == b"--\r\n"
            texts = [part.split(b"\r\n\r\n")[1] for part in parts]
        case "text/event-stream":
            *events, end, _ = response.content.split(b"\n\n")
            assert end == b"event: complete\ndata:"
            texts = [event.removeprefix(b"event: next\ndata: ") for event in events]
        case _:
            texts = [response.content]
    return [json.loads(text) for text in texts]


@given(body=st.binary(max_size=300) | VALUES.map(lambda value: json.dumps(value).encode()))
@FUZZED
def test_any_body_is_answered_or_refused(server: LiveServer, body: bytes) -> None:
    headers = {"content-type": "application/json"}

    response = HTTP.post(f"{server.url}/graphql", content=body, headers=headers)

    assert response.status_code in {200, 400}
    assert response.json()


@given(lines=st.lists(LINES | st.binary(max_size=30), max_size=12))
@FUZZED
def test_any_bytes_end_in_an_answer_or_a_closed_connection(
    server: LiveServer, lines: list[bytes]
) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(b"".join(lines))
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionError:
            pass

    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 500" not in answer


def test_after_all_that_the_server_is_well(server: LiveServer) -> None:
    query = {"query": "{ customers { totalCount } }"}

    assert HTTP.post(f"{server.url}/graphql", json=query).json()["data"]
    assert server.process.poll() is None
