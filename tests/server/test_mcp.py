"""Tools over HTTP: who may call them, and the limits that hold for them."""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from httpx import ASGITransport, AsyncClient
from mcp_types import CallToolRequestParams

from graph.app import create_app
from graph.errors import InvalidSetting
from graph.execution.planning.history import History
from graph.execution.running.execute import Execution
from graph.settings import Settings
from tests.conftest import client_of, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
}
DOCUMENT = "query Items($first: Int!) { items(first: $first) { nodes { name } } }"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "items.graphql").write_text(DOCUMENT)
    return tmp_path


def code_of(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


async def call(
    settings: Settings, *, times: int = 1, first: object = 10, body: Any = None, **headers: str
) -> httpx.Response:
    """The response to a call of the tool, the last of several."""
    app = create_app(settings)
    content = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "Items", "arguments": {"first": first}},
    }
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": state}, receive, send)

        transport = ASGITransport(with_state)
        async with AsyncClient(transport=transport, base_url="http://localhost") as http:
            for _ in range(times):
                response = await http.post(
                    "/mcp", content=body or json.dumps(content), headers=HEADERS | headers
                )
            return response


async def test_a_call_is_a_request_of_its_own(database_url: str, manifest: Path) -> None:
    settings = settings_for(database_url, mcp=True, documents_manifest=manifest)

    result = (await call(settings)).json()["result"]

    assert result["structuredContent"] == {"items": {"nodes": []}}


async def test_calls_over_stdio_leave_nothing_behind(database_url: str, manifest: Path) -> None:
    """A client over stdio has one scope for all of its calls; they would come together in it."""
    app = create_app(settings_for(database_url, mcp=True, documents_manifest=manifest))
    params = CallToolRequestParams(name="Items", arguments={"first": 10})
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        server, local = state["mcp"], dict[str, Any](headers=[], state=state)
        server._local = local  # noqa: SLF001  else it takes a process of its own
        result = await server._call(SimpleNamespace(request=None), params)  # noqa: SLF001

    assert result.structured_content == {"items": {"nodes": []}}
    assert local.keys() == {"headers", "state"}


async def test_a_request_is_refused_before_it_is_read(database_url: str, manifest: Path) -> None:
    settings = settings_for(
        database_url, mcp=True, documents_manifest=manifest, max_in_flight=1, max_waiting=0
    )
    proven = History()
    proven.add(was_slow=False)
    headers = {"content-type": "application/json", "accept": HEADERS["accept"]}
    async with client_of(create_app(settings)) as client:
        limiters = client.execution.limiters
        held = await limiters.acquire(1, proven, is_query=True)
        refused = await client.http.post("/mcp", content=unread(), headers=headers)
        limiters.release(held, proven)
        read = await client.http.post("/mcp", content=b"{no JSON", headers=headers)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert code_of(refused) == "OVERLOADED"
    assert read.status_code == 400


async def unread() -> AsyncIterator[bytes]:
    """A body that fails the test when it is read."""
    raise AssertionError("the body was read")
    yield b""


async def test_a_token_that_is_not_valid_is_refused(database_url: str, manifest: Path) -> None:
    settings = settings_for(database_url, mcp=True, documents_manifest=manifest)

    response = await call(settings, authorization="Bearer graph_none")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://evil.example", 403), ("https://shop.example", 200), ("http://localhost", 200)],
)
async def test_pages_of_other_origins_are_refused_unless_they_are_allowed(
    database_url: str, manifest: Path, origin: str, status: int
) -> None:
    settings = settings_for(
        database_url,
        mcp=True,
        documents_manifest=manifest,
        cors_origins=("https://shop.example",),
    )

    assert (await call(settings, origin=origin)).status_code == status


@pytest.mark.parametrize(
    ("limits", "times", "code"),
    [
        ({"max_cost": 5}, 1, "COST_LIMIT_EXCEEDED"),
        ({"cost_capacity": 15, "max_cost": 15, "cost_per_second": 1}, 2, "RATE_LIMITED"),
    ],
)
async def test_the_limits_of_requests_hold_for_tools(
    database_url: str, manifest: Path, limits: dict[str, int], times: int, code: str
) -> None:
    settings = settings_for(database_url, mcp=True, documents_manifest=manifest, **limits)

    result = (await call(settings, times=times)).json()["result"]

    assert result["isError"]
    assert result["content"][0]["text"].startswith(code)


async def test_without_the_setting_there_are_no_tools(database_url: str, manifest: Path) -> None:
    settings = settings_for(database_url, documents_manifest=manifest)

    assert (await call(settings)).status_code == 404


async def test_the_time_and_the_variables_of_a_call_are_limited(
    database_url: str, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(*_: Any) -> None:
        await asyncio.sleep(10)

    common = {"mcp": True, "documents_manifest": manifest}
    large = settings_for(database_url, max_variables_bytes=100, **common)
    slow = settings_for(
        database_url, operation_timeout_seconds=0.2, statement_timeout_seconds=0.1, **common
    )

    refused = (await call(large, first="1" * 200)).json()["result"]
    monkeypatch.setattr(Execution, "answer", wait)
    late = (await call(slow)).json()["result"]

    assert refused["content"][0]["text"].startswith("PAYLOAD_TOO_LARGE: ")
    assert late["content"][0]["text"].startswith("TIMEOUT: ")


async def test_a_body_that_is_too_large_or_too_slow_is_refused(
    database_url: str, manifest: Path
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(10)

    common = {"mcp": True, "documents_manifest": manifest}
    large = await call(settings_for(database_url, max_body_bytes=1024, **common), first="1" * 2000)
    late = await call(settings_for(database_url, client_timeout_seconds=0.2, **common), body=slow())

    assert (large.status_code, code_of(large)) == (413, "PAYLOAD_TOO_LARGE")
    assert (late.status_code, code_of(late)) == (408, "REQUEST_TIMEOUT")


async def test_there_is_no_stream_to_wait_for(database_url: str, manifest: Path) -> None:
    app = create_app(settings_for(database_url, mcp=True, documents_manifest=manifest))
    async with client_of(app) as client:
        assert (await client.http.get("/mcp", headers=HEADERS)).status_code == 405


async def test_an_unexpected_error_is_masked(
    database_url: str, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Execution, "answer", fail)
    settings = settings_for(database_url, mcp=True, documents_manifest=manifest)

    result = (await call(settings)).json()["result"]

    assert result["content"][0]["text"] == "INTERNAL_SERVER_ERROR: internal error"
    assert "secret" not in str(result)


def test_without_the_extra_one_line_says_how_to_install_it(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "graph.server.mcp", raising=False)
    monkeypatch.setitem(sys.modules, "mcp_types", None)

    with pytest.raises(InvalidSetting, match=r"install graph\[mcp\]: no mcp_types"):
        create_app(settings_for("postgresql://nobody@127.0.0.1:1/none", mcp=True,
                                documents_manifest=manifest))  # fmt: skip


def test_tools_need_a_manifest() -> None:
    with pytest.raises(ValueError, match="GRAPH_MCP=true needs GRAPH_DOCUMENTS_MANIFEST"):
        Settings.model_validate({"mcp": True})
