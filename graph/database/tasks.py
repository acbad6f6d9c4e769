"""Tasks that run in the background."""

from __future__ import annotations

import asyncio
from typing import Any


async def end_task(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, and wait until it has ended; what it raises is left to it."""
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])
