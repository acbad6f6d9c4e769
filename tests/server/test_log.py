"""The log: one line for each operation, and nothing of a client's that it could forge with."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from graph.app import create_app
from graph.execution.running.observation import Observation
from graph.execution.running.request import Request
from graph.server.observing import log_operation
from graph.settings import ExecutionMode, LogFormat, LogLevel
from graph.telemetry import Fields, start_logging
from graph.viewer import Viewer
from tests.conftest import client_of, eventually, serving
from tests.mutations import mutation
from tests.rows import fill
from tests.server.live import raw_socket, streaming_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.settings import Settings
    from tests.conftest import Client

QUERY = "query Shelf { items { nodes { name } } }"
TRACE = "a1" * 16
CHAIR = {"name": "Chair", "costPrice": "9.20", "sellingPrice": "10.80"}


@asynccontextmanager
async def logging_client(settings: Settings, **more: Any) -> AsyncIterator[Client]:
    # On a busy machine, an operation may be slow, which is one more line.
    more = {"log_level": LogLevel.INFO, "log_format": LogFormat.JSON, "slow_ms": 0} | more
    async with client_of(create_app(settings.model_copy(update=more))) as client:
        yield client


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of the server; what keeps the database in order may be at work beside it."""
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in found if not line["logger"].startswith("graph.database.")]


async def test_an_operation_is_a_line_with_its_facts(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {"apollographql-client-name": "web", "graphql-client-version": "1.2"}
    async with logging_client(settings) as client:
        await client.http.post(
            "/graphql",
            json={"query": QUERY},
            headers={"x-request-id": "mine", "traceparent": f"00-{TRACE}-{'b' * 16}-01", **headers},
        )
        price = (
            await client.http.post("/graphql", json={"query": QUERY, "extensions": {"cost": True}})
        ).json()["extensions"]["cost"]

    line, _ = lines(capsys)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert 0 < line.pop("sql_ms") <= line.pop("ms")
    assert line == {
        "level": "INFO",
        "logger": "graph.server.observing",
        "request_id": "mine",
        "trace_id": TRACE,
        "statements": 1,
        "rows": 1,
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "type": "query",
        "operation": "Shelf",
        "cost": price["requested"],
        "document": sha256(QUERY.encode()).hexdigest(),
        "role": "manager",
        "client": "web",
        "client_version": "1.2",
    }


async def test_refusals_replays_and_batches_are_lines_as_well(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with logging_client(settings, max_batch=5) as client:
        await client.http.post("/graphql", content=b"{", headers={"content-type": "text/plain"})
        await client.answer("query Bad { nothing }")
        create = mutation("createItem", key=True)
        for _ in range(2):
            await client.answer(create, input=CHAIR, key="a")
        await client.http.post("/graphql", json=[{"query": QUERY}, {"query": "{ nothing }"}])

    keys = ("type", "operation", "codes", "replayed")
    assert [tuple(line.get(key) for key in keys) for line in lines(capsys)] == [
        ("none", None, ["UNSUPPORTED_MEDIA_TYPE"], None),
        ("none", None, ["GRAPHQL_VALIDATION_FAILED"], None),
        ("mutation", None, None, None),
        ("mutation", None, None, 1),
        ("query", "Shelf", None, None),
        ("none", None, ["GRAPHQL_VALIDATION_FAILED"], None),
    ]


async def test_each_operation_of_a_websocket_is_a_line(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"log_level": LogLevel.INFO, "log_format": LogFormat.JSON}
    async with (
        streaming_server(settings.model_copy(update=more)) as server,
        raw_socket(server.port) as live,
    ):
        live.subscribe("1", QUERY)
        assert [(await live.receive())["type"] for _ in "nc"] == ["next", "complete"]
        (line,) = lines(capsys)

    assert (line["method"], line["status"], line["operation"]) == ("WEBSOCKET", 101, "Shelf")


@pytest.mark.parametrize("format_", LogFormat)
async def test_a_client_cannot_forge_a_line_or_a_field(
    settings: Settings, capsys: pytest.CaptureFixture[str], format_: LogFormat
) -> None:
    forged = b'x" role="manager\x85\x1b[2J'
    async with logging_client(settings, log_format=format_, anonymous_role="anonymous") as client:
        await client.http.post(
            "/graphql",
            json={"query": "{ nothing }", "operationName": "a\n\u2028 b"},
            headers=[(b"graphql-client-name", forged)],
        )

    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    if format_ is LogFormat.JSON:
        assert json.loads(line)["role"] == "anonymous"
    assert r'"x\" role=\"manager\u0085\u001b[2J"' in line


def test_a_failure_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(LogLevel.INFO, LogFormat.JSON)
    try:
        int("a\n\u2028 b")
    except ValueError:
        logging.getLogger("graph").exception("GET %s", "/\nforged")
    logging.getLogger("graph").info(Fields(path="/", operation="\ud800"))

    failure, plain = capsys.readouterr().err.splitlines()
    assert json.loads(failure)["message"] == "GET /\nforged"
    assert "ValueError" in json.loads(failure)["traceback"]
    assert (json.loads(plain)["path"], json.loads(plain)["operation"]) == ("/", "\ud800")


def test_the_log_is_json_unless_it_is_read_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_logging(LogLevel.INFO)
    logging.getLogger("graph").info("begun")
    assert json.loads(capsys.readouterr().err)["message"] == "begun"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    start_logging(LogLevel.INFO)
    logging.getLogger("graph").info("begun")
    assert capsys.readouterr().err.endswith(" INFO graph [-] begun\n")


async def test_rows_and_statements_are_those_of_all_statements(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = "{ customers { nodes { orders { nodes { id } } } } }"
    async with logging_client(settings, execution=ExecutionMode.RESOLVERS) as client:
        await fill(client.database, customers=3, orders=2, lines=1, items=1)
        await client(nested)

    (line,) = lines(capsys)
    assert line["statements"] >= 2
    assert line["rows"] == 3 + 3 * 2


@pytest.mark.parametrize(
    "malformed",
    [
        *("", "00-x", f"00-{'0' * 32}-{'b' * 16}-01", "01\n"),
        f"ff-{TRACE}-{'b' * 16}-01",
        f"00-{TRACE}-{'b' * 16}-01-more",
    ],
)
async def test_a_malformed_trace_is_none(
    settings: Settings, capsys: pytest.CaptureFixture[str], malformed: str
) -> None:
    async with logging_client(settings) as client:
        await client.http.get("/nothing", headers={"traceparent": malformed})

    (line,) = lines(capsys)
    assert "trace_id" not in line


async def test_a_viewer_is_told_apart_but_not_named(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with logging_client(settings) as client:
        signed_in = Viewer(subject="https://id.example|ann", role="manager", may=None)
        request = Request("{ viewer { subject } }", {})
        log_operation({"path": "/", "headers": []}, request, Observation(), signed_in)
        del client

    (line,) = lines(capsys)
    assert len(line["viewer"]) == 16
    assert "ann" not in line["viewer"]


def test_a_killed_worker_is_one_line(database_url: str) -> None:
    options = ("--workers", "2")
    with serving(*options, GRAPH_DATABASE_URL=database_url, GRAPH_LOG_FORMAT="json") as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        workers = [int(pid) for pid in children.read_text().split()]
        (killed, *_) = [pid for pid in workers if "spawn_main" in command_of(pid)]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(set(workers) ^ {*map(int, children.read_text().split())}) >= 2)
        eventually(lambda: f"worker {killed} " in server.printed())
        time.sleep(1)  # and there is no other line
        server.process.terminate()
        server.process.wait(30)
        logged = server.printed().splitlines()

    messages = [json.loads(line) for line in logged if line.startswith("{")]
    # Where the machine is too busy, the other one may have given no sign of life.
    about = [each for each in messages if f"worker {killed} " in str(each.get("message"))]
    (line,) = about
    assert line["message"].startswith(f"worker {killed} was killed by SIGKILL; worker ")
    assert line["level"] == "ERROR"


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
