"""Commands of the command line, each in a process of its own, and what they print."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import asyncpg

from tests import forks

if TYPE_CHECKING:
    import subprocess


def graph(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return forks.run(arguments, os.environ | environment)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that cannot begin."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("graph: ")
    return line.removeprefix("graph: ")


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that succeeds prints; it has no reason to complain."""
    assert done.returncode == 0, done
    assert done.stderr == ""
    return done.stdout


async def executed(url: str, statement: str) -> Any:
    """The value of a statement, by the driver alone."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def answer(url: str, statement: str) -> Any:
    return asyncio.run(executed(url, statement))
