"""Prints the SQL of the operations on stdin, both ways, on the database of the first argument.

Each line of stdin is a JSON array: the text of an operation, and its variables.
"""

from __future__ import annotations

import asyncio
import json
import sys

from graph.app import create_app
from graph.execution.running.request import Request
from graph.settings import ExecutionMode
from graph.viewer import SYSTEM
from tests.conftest import client_of, recorded, settings_for


async def print_texts(url: str, operations: list[list[object]]) -> None:
    for mode in ExecutionMode:
        async with client_of(create_app(settings_for(url, execution=mode))) as client:
            for text, variables in operations:
                with recorded(client.database) as statements:
                    request = Request(text, variables)  # type: ignore[arg-type]
                    await client.execution.answer(request, SYSTEM)
                sys.stdout.write(f"{json.dumps(statements.texts)}\n")


if __name__ == "__main__":
    asyncio.run(print_texts(sys.argv[1], [json.loads(line) for line in sys.stdin]))
