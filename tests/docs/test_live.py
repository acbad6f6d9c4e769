"""The clients of docs/live.md, as they stand there, miss no event and get none twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.conftest import serving
from tests.docs.pages import ROOT, blocks
from tests.node import environment, require_packages
from tests.server.proxy import running_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.conftest import LiveServer
    from tests.server.proxy import Proxy

PAGE = ROOT / "docs" / "live.md"
FILES = {block.note: block.text for block in blocks(PAGE) if block.is_file}
# Those that print events; the others are parts of them, or print something else.
CLIENTS = sorted(set(FILES) - {"resuming.mjs", "live-query.mjs"})
RENAME = "UPDATE items SET name = $1 WHERE id = (SELECT min(id) FROM items)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the page, beside the packages that they import."""
    (tmp_path / "node_modules").symlink_to(require_packages())
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@dataclass
class Client:
    """A running example; `lines` are what it has printed."""

    name: str
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        return [int(line.split()[0]) for line in self.lines]

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.lines.append(line.decode().strip())


@asynccontextmanager
async def running(name: str, folder: Path, proxy: Proxy) -> AsyncIterator[Client]:
    program = sys.executable if name.endswith(".py") else "node"
    url = f"http://127.0.0.1:{proxy.port}/graphql"
    process = await asyncio.create_subprocess_exec(
        program,
        name,
        cwd=folder,
        env=environment() | {"GRAPH_URL": url},
        stdout=asyncio.subprocess.PIPE,
    )
    client = Client(name, process)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


def test_there_is_an_example_for_each_client() -> None:
    assert CLIENTS == [
        "apollo.mjs",
        "events.py",
        "graphql-sse.mjs",
        "graphql-ws.mjs",
        "relay.mjs",
        "urql.mjs",
    ]


async def test_no_event_is_lost_or_repeated_whatever_happens_to_the_connection(
    own_demo_url: str, folder: Path
) -> None:
    log = await asyncpg.connect(own_demo_url.replace("postgresql+asyncpg", "postgresql"))
    async with AsyncExitStack() as held:
        held.push_async_callback(log.close)
        proxy = await held.enter_async_context(running_proxy())
        server = await started(held, own_demo_url, proxy)
        clients = [await held.enter_async_context(running(name, folder, proxy)) for name in CLIENTS]
        async with asyncio.timeout(60):
            while not all(client.lines for client in clients):
                await change(log)

        for _ in range(20):
            await change(log)
        proxy.cut()
        for _ in range(20):
            await change(log)
        server.process.send_signal(signal.SIGTERM)
        for _ in range(40):
            await change(log)
        server = await started(held, own_demo_url, proxy)
        for _ in range(40):
            await change(log)
        kill_all(server.process.pid)
        for _ in range(40):
            await change(log)
        await started(held, own_demo_url, proxy)
        for _ in range(20):
            await change(log)

        numbers = [row["id"] for row in await log.fetch("SELECT id FROM events ORDER BY id")]
        await until(lambda: all(client.numbers[-1] == numbers[-1] for client in clients))
        await asyncio.sleep(1)  # and nothing comes after that
    got = {client.name: client.numbers for client in clients}
    for name, seen in got.items():
        assert seen == [number for number in numbers if number >= seen[0]], name
        assert len(seen) > 150, name
    assert proxy.accepted > 3 * len(CLIENTS)


async def test_a_live_query_has_its_newest_answer(own_demo_url: str, folder: Path) -> None:
    log = await asyncpg.connect(own_demo_url.replace("postgresql+asyncpg", "postgresql"))
    async with AsyncExitStack() as held:
        held.push_async_callback(log.close)
        proxy = await held.enter_async_context(running_proxy())
        await started(held, own_demo_url, proxy)
        client = await held.enter_async_context(running("live-query.mjs", folder, proxy))
        await printed(client, "")
        await log.execute(RENAME, "Renamed")
        await printed(client, '"Renamed"')
        proxy.cut()
        await log.execute(RENAME, "Meanwhile")
        await printed(client, '"Meanwhile"')


async def started(held: AsyncExitStack, url: str, proxy: Proxy) -> LiveServer:
    """Another server with two workers on the same database; new connections go to it."""
    manager = serving("--workers", "2", GRAPH_DATABASE_URL=url)
    server = await asyncio.to_thread(manager.__enter__)
    held.push_async_callback(asyncio.to_thread, manager.__exit__, None, None, None)
    proxy.target = int(server.url.rsplit(":", 1)[1])
    return server


async def change(log: asyncpg.Connection) -> None:
    await log.execute(
        "UPDATE customers SET town = md5(random()::text) WHERE id = 1 + floor(random() * 5)"
    )
    await asyncio.sleep(0.03)


async def printed(client: Client, text: str) -> None:
    await until(lambda: bool(client.lines) and text in client.lines[-1])


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110  the lines of several processes
            await asyncio.sleep(0.05)


def kill_all(pid: int) -> None:
    """Kill a process and those that it has started, at once."""
    for each in [*children_of(pid), pid]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def children_of(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split():
        yield from children_of(int(child))
        yield int(child)
