"""Several `graph serve` that begin at once on one empty folder share one PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx

from tests.conftest import eventually, serving
from tests.database.embedded import a_folder, is_alive, postmaster

COUNT = {"query": "{ customers { totalCount } }"}
STARTS = 3


def test_three_first_starts_on_one_folder_all_serve() -> None:
    with a_folder() as folder, ExitStack() as until_the_end:

        def start(_: int) -> Any:
            return until_the_end.enter_context(serving(GRAPH_DATA_DIR=str(folder)))

        with ThreadPoolExecutor(STARTS) as threads:
            servers = list(threads.map(start, range(STARTS)))
        counts = [httpx.post(f"{each.url}/graphql", json=COUNT).json() for each in servers]
        database = postmaster(folder)
        first, *others = servers
        first.process.terminate()
        first.process.wait(30)
        still = httpx.post(f"{others[0].url}/graphql", json=COUNT).json()
        assert is_alive(database)
        until_the_end.close()

        assert counts == [{"data": {"customers": {"totalCount": 1000}}}] * STARTS
        assert still == counts[0]
        eventually(lambda: not is_alive(database))
