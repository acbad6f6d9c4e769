"""`graph migrate` shows what it would do, asks before rows are lost, and says what is missing."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from graph.database.revisions import head_revision
from tests.command_line import answer, complaint, executed, graph, output_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.database.embedded import Cluster


NAMES = (
    "store 0010: Names say what they hold: `cancelled_quantity` was `cancelled`,"
    " `occurred_at` was `at`"
)
HISTORY = (
    "store 0011: The view `history` of the event log, and the indexes for the histories of"
    " customers and items"
)


def test_migrate_goes_up_and_down_and_reports_it(empty_url: str) -> None:
    def run(*arguments: str) -> str:
        return output_of(graph("migrate", *arguments, GRAPH_DATABASE_URL=empty_url))

    assert run() == f"Migrated the database from revision none to {head_revision()}.\n"
    back = run("--to", "base", "--yes")
    assert back == f"Migrated the database from revision {head_revision()} to none.\n"
    assert answer(empty_url, "SELECT to_regclass('customers')") is None


def test_a_plan_shows_locks_and_changes_nothing(empty_url: str) -> None:
    graph("migrate", "--to", "0009", GRAPH_DATABASE_URL=empty_url)

    plan = output_of(graph("migrate", "--plan", GRAPH_DATABASE_URL=empty_url)).splitlines()

    assert plan[:5] == [
        NAMES,
        "  locks events (ACCESS EXCLUSIVE)",
        "  locks order_lines (ACCESS EXCLUSIVE)",
        HISTORY,
        "  locks events (SHARE UPDATE EXCLUSIVE): others read and write",
    ]
    assert answer(empty_url, "SELECT version_num FROM alembic_version") == "0009"


def test_a_plan_of_the_way_back_shows_what_is_lost(database_url: str) -> None:
    plan = output_of(graph("migrate", "--to", "0005", "--plan", GRAPH_DATABASE_URL=database_url))

    assert "store 0006 is undone" in plan
    assert "  drops order_lines.taken\n" in plan


def test_where_there_is_nothing_to_do_the_plan_says_so(database_url: str) -> None:
    plan = graph("migrate", "--plan", GRAPH_DATABASE_URL=database_url)

    assert output_of(plan) == "There is nothing to do.\n"


def test_rows_are_dropped_by_nobody_who_cannot_be_asked(database_url: str) -> None:
    line = complaint(graph("migrate", "--to", "0002", GRAPH_DATABASE_URL=database_url))

    assert line.startswith("this drops order_lines.taken, ")
    assert ", events, " in line
    assert line.endswith("If that is meant: graph migrate --to 0002 --yes")
    assert answer(database_url, "SELECT to_regclass('events') IS NOT NULL")


def test_what_drops_nothing_is_not_asked_for(database_url: str) -> None:
    back = graph("migrate", "--to", "0013", GRAPH_DATABASE_URL=database_url)

    assert output_of(back) == f"Migrated the database from revision {head_revision()} to 0013.\n"


@pytest.mark.parametrize(("reply", "code"), [("n", 1), ("y", 0)])
def test_somebody_at_a_terminal_is_asked(database_url: str, reply: str, code: int) -> None:
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "graph", "migrate", "--to", "0005"],
        env=os.environ | {"GRAPH_DATABASE_URL": database_url},
        stdin=terminal,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.write(ours, f"{reply}\n".encode())
    output, _ = process.communicate(timeout=60)
    for each in (ours, terminal):
        os.close(each)

    assert "This drops order_lines.taken, with all that is stored there. Go on?" in output
    assert process.returncode == code
    revision = {0: "0005", 1: head_revision()}[code]
    assert answer(database_url, "SELECT version_num FROM alembic_version") == revision


# Locks


@asynccontextmanager
async def held(url: str, lock: str) -> AsyncIterator[None]:
    """Somebody who has a table locked."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await connection.execute(lock)
            yield
    finally:
        await connection.close()


async def test_a_lock_that_others_hold_is_given_up_and_tried_again(empty_url: str) -> None:
    """Those who want the table meanwhile wait for a moment only."""
    url = {"GRAPH_DATABASE_URL": empty_url}
    await asyncio.to_thread(graph, "migrate", "--to", "0011", **url)
    async with held(empty_url, "SELECT count(*) FROM events"):
        migrating = asyncio.create_task(asyncio.to_thread(graph, "migrate", "--to", "0012", **url))
        waits = []
        for _ in range(30):
            start = asyncio.get_running_loop().time()
            await executed(empty_url, "SELECT count(*) FROM events")
            waits.append(asyncio.get_running_loop().time() - start)
            await asyncio.sleep(0.1)
        assert not migrating.done()

    assert output_of(await migrating).endswith("to 0012.\n")
    assert max(waits) < 1
    assert max(waits) > 0.05, "nobody has waited"


async def test_a_lock_that_is_never_free_ends_it_with_one_line(empty_url: str) -> None:
    url = {"GRAPH_DATABASE_URL": empty_url}
    await asyncio.to_thread(graph, "migrate", "--to", "0011", **url)
    async with held(empty_url, "LOCK TABLE events"):
        options = ("--patience-seconds", "0.5", "--lock-timeout-ms", "20")
        done = await asyncio.to_thread(graph, "migrate", "--to", "0012", *options, **url)

    assert complaint(done).startswith("others hold a table that a migration changes all the time")
    assert await executed(empty_url, "SELECT version_num FROM alembic_version") == "0011"


# Privileges


@pytest.fixture
def poor_url(cluster: Cluster, empty_url: str) -> Iterator[str]:
    """An empty database, where every session has the privileges of a role that has none."""
    admin = cluster.url("postgres")
    name = empty_url.partition("?")[0].rpartition("/")[2]
    answer(admin, "CREATE ROLE poor")
    answer(admin, f"ALTER DATABASE {name} SET role = 'poor'")
    yield empty_url
    answer(admin, f"ALTER DATABASE {name} RESET role")
    answer(empty_url, "DROP OWNED BY poor")
    answer(admin, "DROP ROLE poor")


def test_a_role_that_may_not_create_tables(poor_url: str) -> None:
    assert complaint(graph("migrate", GRAPH_DATABASE_URL=poor_url)) == (
        "PostgreSQL refuses: permission denied for schema public."
        " As its owner: GRANT USAGE, CREATE ON SCHEMA public TO poor"
    )


async def test_a_role_that_does_not_own_the_tables(cluster: Cluster, database_url: str) -> None:
    await executed(cluster.url("postgres"), "CREATE ROLE guest")
    name = database_url.partition("?")[0].rpartition("/")[2]
    await executed(cluster.url("postgres"), f"ALTER DATABASE {name} SET role = 'guest'")
    try:
        url = {"GRAPH_DATABASE_URL": database_url}
        seeding = await asyncio.to_thread(graph, "seed", **url)
        going_back = await asyncio.to_thread(graph, "migrate", "--to", "0013", **url)
    finally:
        await executed(cluster.url("postgres"), f"ALTER DATABASE {name} RESET role")
        await executed(cluster.url("postgres"), "DROP ROLE guest")

    for done in (seeding, going_back):
        assert complaint(done) == (
            "PostgreSQL refuses: permission denied for table engine_version."
            " As its owner: GRANT ALL ON TABLE engine_version TO guest"
        )
