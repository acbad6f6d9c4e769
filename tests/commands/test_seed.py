"""`graph seed` fills an empty store, or changes nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.command_line import answer, complaint, graph, output_of
from tests.conftest import eventually


def test_seed_fills_an_empty_store_only(database_url: str) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return graph("seed", *arguments, GRAPH_DATABASE_URL=database_url)

    filled = run("--customers", "5")
    again = run("--customers", "5")
    reset = run("--customers", "6", "--reset")

    assert re.fullmatch(
        r"The store holds 5 customers, 200 items, \d+ orders with \d+ lines\.\n", output_of(filled)
    )
    assert complaint(again) == (
        "the store is not empty (5 customers); nothing was changed."
        " To replace all rows: graph seed --reset"
    )
    assert output_of(reset).startswith("The store holds 6 customers")
    assert answer(database_url, "SELECT count(*) FROM customers") == 6


def test_an_interrupted_seed_changes_nothing_and_fails(database_url: str) -> None:
    copying = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'COPY%' AND state = 'active')"
    )
    command = [sys.executable, "-m", "graph", "seed", "--customers", "200000"]
    with subprocess.Popen(
        command,
        env=os.environ | {"GRAPH_DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as seeding:
        try:
            eventually(lambda: bool(answer(database_url, copying)), seconds=30)
            seeding.terminate()
            output, complaints = seeding.communicate(timeout=30)
        finally:
            seeding.kill()

    assert (seeding.returncode, output, complaints) == (130, "", "")
    assert answer(database_url, "SELECT count(*) FROM customers") == 0
