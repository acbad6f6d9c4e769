"""The tools of docs/mcp.md, through the official SDK's client, over both transports."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx2
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from graph.relay import to_global_id
from graph.server.demo import demo_token
from tests.conftest import eventually, free_port, serving
from tests.docs.asking import SECRET, TRUST
from tests.docs.pages import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp_types import CallToolResult

PAGE = ROOT / "docs" / "mcp.md"
FILES = {block.note: block.text for block in blocks(PAGE) if block.is_file}
ITEM = to_global_id("Item", 1)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """The manifest of the page, in a folder."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, text in FILES.items():
        if name.endswith(".graphql"):
            (folder / Path(name).name).write_text(text, "utf-8")
    return folder


@asynccontextmanager
async def over_stdio(url: str, tools: Path, **environment: str) -> AsyncIterator[Client]:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "graph", "mcp", str(tools)],
        env=dict(os.environ) | {"GRAPH_DATABASE_URL": url} | environment,
    )
    async with Client(command) as client:
        yield client


@asynccontextmanager
async def over_http(
    url: str, tools: Path, *, authorization: str = "", **environment: str
) -> AsyncIterator[Client]:
    headers = {"authorization": authorization} if authorization else {}
    settings = {
        "GRAPH_DATABASE_URL": url,
        "GRAPH_MCP": "true",
        "GRAPH_DOCUMENTS_MANIFEST": str(tools),
    }
    with serving(**settings | environment) as server:
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
        ):
            yield client


@pytest.mark.parametrize("connected", [over_stdio, over_http])
async def test_a_client_finds_and_runs_the_tools(
    own_demo_url: str, tools: Path, connected: Any
) -> None:
    # Only documents of the manifest run; tools do.
    async with connected(own_demo_url, tools, GRAPH_DOCUMENTS="trusted-only") as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        low = await client.call_tool("LowStock", {"below": 10, "first": 3})
        change = {"id": ITEM, "expectedVersion": {"any": True}, "change": {"to": 4321}}
        dry = await client.call_tool("AdjustStock", {"input": change})
        after_dry = await stock(own_demo_url)
        real = await client.call_tool("AdjustStock", {"input": change, "dryRun": False})
        after_real = await stock(own_demo_url)
        refused = await client.call_tool(
            "AdjustStock", {"input": change | {"change": {"by": -5000}}, "dryRun": False}
        )

    assert set(listed) == {"LowStock", "AdjustStock"}
    for tool, results in (("LowStock", [low]), ("AdjustStock", [dry, real, refused])):
        validator = Draft202012Validator(listed[tool].output_schema)
        for result in results:
            validator.validate(result.structured_content)
    assert listed["LowStock"].description == ("Items of which few pieces are left, and how many.")
    assert hints(listed["LowStock"]) == (True, False, True, False)
    assert hints(listed["AdjustStock"]) == (False, True, False, False)
    assert await low_in_database(own_demo_url, 10, 3) == [
        (node["name"], node["stock"]) for node in low.structured_content["items"]["nodes"]
    ]
    assert dry.structured_content["adjustStock"]["item"]["stock"] == 4321
    assert "This was a dry run" in texts(dry)[1]
    assert after_dry != 4321
    assert (after_real, len(texts(real))) == (4321, 1)
    assert refused.structured_content["adjustStock"]["code"] == "INSUFFICIENT_STOCK"
    assert not refused.is_error


@pytest.mark.parametrize("connected", [over_stdio, over_http])
async def test_errors_of_graphql_are_errors_of_the_tool(
    own_demo_url: str, tools: Path, connected: Any
) -> None:
    async with connected(own_demo_url, tools) as client:
        schema = (await client.list_tools()).tools[1].output_schema
        page = await client.call_tool("LowStock", {"first": 1000})
        value = await client.call_tool("LowStock", {"below": "many"})
        named = await client.call_tool("LowStock", {"above": 3})
        none = await client.call_tool("Nothing", {})

    for result in (page, value, named, none):
        assert result.is_error
        Draft202012Validator(schema).validate(result.structured_content)
        assert "Traceback" not in str(result)
    assert texts(page)[0].startswith("INVALID_PAGE: ")
    assert page.structured_content["errors"][0]["extensions"]["code"] == "INVALID_PAGE"
    assert texts(value)[0].startswith("BAD_USER_INPUT: Variable '$below'")
    assert texts(named) == ["LowStock has no argument 'above'."]
    assert texts(none) == ["There is no tool named 'Nothing'."]


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_tool_may_do_what_its_sign_in_may(
    own_demo_url: str, tools: Path, transport: str
) -> None:
    sign_in = demo_token(SECRET, "customer", 2, seconds=600)
    environment = {f"GRAPH_{name.upper()}": value for name, value in TRUST.items()}
    change = {"id": ITEM, "expectedVersion": {"any": True}, "change": {"to": 4321}}
    connected: Any = (
        over_stdio(own_demo_url, tools, GRAPH_MCP_TOKEN=sign_in, **environment)
        if transport == "stdio"
        else over_http(own_demo_url, tools, authorization=f"Bearer {sign_in}", **environment)
    )
    async with connected as client:
        result = await client.call_tool("AdjustStock", {"input": change, "dryRun": False})

    assert result.is_error
    assert texts(result)[0].startswith("FORBIDDEN: ")
    assert await stock(own_demo_url) != 4321


async def test_one_command_serves_the_tools_over_http(own_demo_url: str, tools: Path) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graph", "mcp", str(tools), "--http"),
        env=os.environ | {"GRAPH_DATABASE_URL": own_demo_url, "GRAPH_PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.to_thread(eventually, lambda: listens(port), seconds=60)
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            listed = await client.list_tools()
    finally:
        process.terminate()
        await process.wait()

    assert [tool.name for tool in listed.tools] == ["AdjustStock", "LowStock"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_sign_in_over_stdio_that_is_not_valid_is_an_error_of_each_tool(
    own_demo_url: str, tools: Path
) -> None:
    async with over_stdio(own_demo_url, tools, GRAPH_MCP_TOKEN="graph_none") as client:  # noqa: S106  none
        result = await client.call_tool("LowStock", {})

    assert result.is_error
    assert texts(result)[0].startswith("INVALID_TOKEN: ")


def hints(tool: Any) -> tuple[bool, ...]:
    """Whether it is read-only, destructive, idempotent, open to other worlds."""
    of = tool.annotations
    return of.read_only_hint, of.destructive_hint, of.idempotent_hint, of.open_world_hint


def texts(result: CallToolResult) -> list[str]:
    return [content.text for content in result.content if content.type == "text"]


async def stock(url: str) -> int | None:
    (row,) = await rows(url, "SELECT stock FROM items WHERE id = 1")
    return int(row[0])


async def low_in_database(url: str, below: int, first: int) -> list[tuple[Any, ...]]:
    statement = "SELECT name, stock FROM items WHERE stock < $1 ORDER BY id LIMIT $2"
    return await rows(url, statement, below, first)


async def rows(url: str, statement: str, *values: int) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()
