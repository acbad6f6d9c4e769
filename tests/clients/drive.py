"""As drive.ts, for the clients in Python: python drive.py MODULE URL TRACKED UNTRACKED."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module
from typing import Any
from uuid import uuid4

_, module, url, tracked, untracked = sys.argv


async def main() -> None:
    client = import_module(module)
    store = client.Store(url)
    # A generated client has a class for the input.
    typed = getattr(client, "AdjustStockInput", None)

    async def adjust(change: dict[str, int], key: str = "", **others: Any) -> str:
        values = {"id": tracked, "expectedVersion": {"any": True}, "change": change, **others}
        read = typed.model_validate(values) if typed else values
        return str(await store.adjust(read, key or str(uuid4())))

    key = str(uuid4())
    results = {
        "username": await store.username(1),
        "twoPages": await store.two_pages(2),
        "saved": await adjust({"to": 7}, key),
        "again": await adjust({"to": 7}, key),
        "mismatch": await adjust({"to": 8}, key),
        "invalid": await adjust({"to": -1}),
        "missing": await adjust({"by": 1}, id="SXRlbTo5OTk5OTk="),
        "stale": await adjust({"by": 1}, expectedVersion={"version": 0}),
        "untracked": await adjust({"by": 1}, id=untracked),
        "short": await adjust({"by": -8}),
    }
    arrived = asyncio.Queue[int | None]()

    async def watch() -> None:
        async for stock in store.watch(tracked):
            arrived.put_nowait(stock)

    watching = asyncio.create_task(watch())
    watched = [await arrived.get()]
    await adjust({"by": 1})
    watched.append(await arrived.get())
    watching.cancel()
    await asyncio.wait([watching])
    print(json.dumps({**results, "watched": watched}))  # noqa: T201  it is the result


asyncio.run(main())
