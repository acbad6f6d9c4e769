"""A receiver of webhooks: a small HTTP server that keeps what it gets."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def event(self) -> int:
        return int(self.headers["webhook-id"])

    def is_signed_with(self, secret: str) -> bool:
        """Verify the signature with OpenSSL."""
        key = base64.b64decode(secret.removeprefix("whsec_")).hex()
        headers = self.headers
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + self.body
        mac = subprocess.run(
            ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"],
            input=signed,
            capture_output=True,
            check=True,
        ).stdout
        signature = f"v1,{base64.b64encode(mac).decode()}"
        return signature in headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """`answer` is called with each request, and returns the bytes of the response."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Got], bytes] = lambda _: status(200)
    delay_seconds: float = 0.0
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def events(self) -> list[int]:
        return [each.event for each in self.got]

    async def has(self, happened: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not happened():  # noqa: ASYNC110  whatever happens
                await asyncio.sleep(0.02)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = [line.split(": ", 1) for line in head[1:] if line]
                headers = {name.lower(): value for name, value in fields}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                got = Got(head[0].split(" ")[1], headers, body)
                self.got.append(got)
                await asyncio.sleep(self.delay_seconds)
                writer.write(self.answer(got))
                await writer.drain()
        writer.close()

    async def close(self) -> None:
        for connection in self.connections:
            connection.transport.abort()
        await asyncio.sleep(0.01)


def status(code: int, body: bytes = b"", /, **headers: str) -> bytes:
    head = [f"HTTP/1.1 {code} X", f"content-length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)  # noqa: SLF001  its own
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.close()
