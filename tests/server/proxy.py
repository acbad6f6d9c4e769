"""A proxy whose connections a test can cut, and whose server it can exchange."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Proxy:
    """`target` is the port to which new connections go, or the socket."""

    def __init__(self) -> None:
        self.port = 0
        self.target: int | Path = 0
        self.accepted = 0
        self._writers = set[asyncio.StreamWriter]()

    def cut(self) -> None:
        """Reset all connections, as a network does that breaks."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            server_reader, server_writer = await self._connected()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, server_writer}
        self._writers |= both
        copies = (self._copy(reader, server_writer), self._copy(server_reader, writer))
        tasks = [asyncio.create_task(copy) for copy in copies]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self._writers -= both
        for each in both:
            each.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, int):
            return await asyncio.open_connection("127.0.0.1", self.target)
        return await asyncio.open_unix_connection(self.target)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()


@asynccontextmanager
async def running_proxy(socket: Path | None = None) -> AsyncIterator[Proxy]:
    """A proxy that listens on a port, or on a socket."""
    proxy = Proxy()
    if socket is None:
        server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
    else:
        server = await asyncio.start_unix_server(proxy.accept, socket)
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await asyncio.sleep(0.1)
