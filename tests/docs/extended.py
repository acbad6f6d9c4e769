"""Runs in a process of its own, on an extended copy of the package: a program of `test_extending`.

Reads a task from stdin (JSON): the URL of an empty database for each way to execute, and of one for
the tables as the models have them; the revision before the recipes; the steps, which are operations
or SQL; queries to time, at last and on more rows. Writes to stdout, by way, the answer to each
operation and its number of statements; the times; and the faults of the migrations.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any

from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.database.revisions import store
from graph.database.tables import METADATA
from graph.execution.running.execute import Execution
from graph.execution.running.request import Request
from graph.settings import ExecutionMode, Settings
from graph.store.models import Base
from graph.store.schema import schema
from graph.viewer import SYSTEM
from tests.conftest import recorded
from tests.rows import fill
from tests.store.test_migration_effects import measured_chain

_RUNS = 30


async def main(task: dict[str, Any]) -> dict[str, Any]:
    ways = {}
    for mode in ExecutionMode:
        database = connect(task["urls"][mode.value])
        try:
            await migrate(database)
            if mode is ExecutionMode.COMPILED:
                await migrate(database, task["before"])
                await migrate(database)
            ways[mode.value] = await outcomes(database, mode, task["steps"])
            if mode is ExecutionMode.COMPILED:
                await fill(database, customers=100, orders=5, lines=3)
                ways["milliseconds"] = [await time_of(database, each) for each in task["timed"]]
        finally:
            await database.close()
    await create_all(task["models_url"])
    ways["faults"] = await faults(task["effects_url"], task["before"])
    return ways


async def faults(url: str, before: str) -> list[str]:
    """What the migrations of the recipes do that they should not (`test_migration_effects`)."""
    database = connect(url)
    try:
        await migrate(database, before)
        async with database.engine.connect() as connection:
            found = await connection.run_sync(measured_chain, store(), before)
        return [f"{each.name}: {fault}" for each in found for fault in each.faults()]
    finally:
        await database.close()


async def create_all(url: str) -> None:
    """The tables as the models have them."""
    database = connect(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.run_sync(Base.metadata.create_all)
    finally:
        await database.close()


def connect(url: str) -> Database:
    return Database.connect(Settings.model_validate({"database_url": url, "log_level": "error"}))


async def outcomes(
    database: Database, mode: ExecutionMode, steps: list[dict[str, Any]]
) -> list[Any]:
    execution = Execution(schema, database, mode)
    found = []
    for step in steps:
        if "sql" in step:
            async with database.engine.begin() as connection:
                for statement in step["sql"].split(";\n"):
                    if statement.strip():
                        await connection.exec_driver_sql(statement)
            continue
        with recorded(database) as statements:
            answer = await execution.answer(Request(step["query"], step["variables"]), SYSTEM)
        found.append({"answer": json.loads(answer.body), "statements": len(statements)})
    return found


async def time_of(database: Database, query: str) -> float:
    """The median time of an answer, in milliseconds."""
    execution = Execution(schema, database)
    found = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        answer = await execution.answer(Request(query, {}), SYSTEM)
        found.append((time.perf_counter() - start) * 1000)
        assert answer.body.startswith(b'{"data"'), answer.body
    return statistics.median(found)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))  # noqa: T201
