"""An old and a new version of graph serve one database, while it is migrated under load.

The new version is a copy of the package with a recipe of `docs/extending.md`, and with a migration
of the largest table. `GRAPH_UPGRADE_LINES=1000000 .venv/bin/pytest -s tests/test_upgrade.py`
measures it on a store of that size, and prints how long requests waited.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.database.embedded import running_cluster
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.database.revisions import head_revision
from tests.command_line import complaint, graph, output_of
from tests.conftest import eventually, serving, settings_for
from tests.database.embedded import CLUSTER, a_folder
from tests.docs.pages import RECIPES
from tests.docs.recipes import apply, copy_package, recipes
from tests.store.test_key_migration import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = int(os.environ.get("GRAPH_UPGRADE_LINES", "20000"))
LONGEST_MILLISECONDS = 1000
# PostgreSQL logs who has waited for a lock for so long.
LOGS_WAITS = {"log_lock_waits": "on", "deadlock_timeout": "50ms"}
WAITED = re.compile(r"acquired \w+ on .* after ([\d.]+) ms")

GIFTS = '''
"""Lines can be gifts."""

from graph.database.online import add_column, add_constraint, create_index, drop_column

revision = "1002"
down_revision = "1001"

serves = "{serves}"
locks = {{"order_lines": "ACCESS EXCLUSIVE"}}
downgrade_drops = ("order_lines.gift", "order_lines.wish")


def upgrade() -> None:
    add_column("order_lines", "gift boolean NOT NULL DEFAULT false")
    add_column("order_lines", "wish text")
    add_constraint("order_lines", "order_lines_wish_check", "CHECK (length(wish) <= 500)")
    create_index("order_lines_gifts_idx", "order_lines (item_id, id, gift)")


def downgrade() -> None:
    drop_column("order_lines", "gift")
    drop_column("order_lines", "wish")
'''
CONTRACT = '''
"""Nobody reads the nickname any more."""

from graph.database.online import add_column, drop_column

revision = "1003"
down_revision = "1002"
is_required = False

locks = {"customers": "ACCESS EXCLUSIVE"}
drops = ("customers.nickname",)


def upgrade() -> None:
    drop_column("customers", "nickname")


def downgrade() -> None:
    add_column("customers", "nickname varchar(50)")
'''
NICKNAME = {"query": "{ customers(first: 1) { nodes { nickname } } }"}
LIST = {
    "query": "{ orders(first: 5) { nodes { lineItems { nodes { quantity item { name } } } } } }"
}
HISTORY = {"query": "{ events(last: 20) { nodes { kind payload } } }"}
SAVE = """
    mutation Save($name: String!) {
      createCustomer(input: {
        firstName: "A", lastName: "B", username: $name, email: $name, address: "C", town: "D"
      }) { ... on CustomerSaved { customer { databaseId } } ... on Error { code message } }
    }
"""


@pytest.fixture
def new_version(tmp_path: Path) -> Path:
    copy_package(tmp_path)
    nickname = next(recipe for recipe in recipes(RECIPES) if recipe.has_migration)
    for block in nickname.changes:
        apply(block, tmp_path)
    write(tmp_path, "1002_gifts", GIFTS.format(serves=head_revision()))
    return tmp_path


@pytest.fixture
def large_store() -> Iterator[tuple[str, Path]]:
    """A database with many order lines, and the log of its server."""

    async def make(url: str) -> None:
        database = Database.connect(settings_for(url))
        await migrate(database)
        await fill(database, LINES)
        await database.close()

    with a_folder() as folder, running_cluster(folder, settings=LOGS_WAITS) as cluster:
        asyncio.run(make(cluster.url()))
        yield cluster.url(), folder / f"{CLUSTER}.log"


def write(folder: Path, name: str, migration: str) -> None:
    path = folder / "graph" / "store" / "migrations" / "versions" / f"{name}.py"
    path.write_text(migration.lstrip(), "utf-8")


def new_graph(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command of the new version, for which no process that has imported the old one can fork."""
    return subprocess.run(
        [sys.executable, "-m", "graph", *arguments],
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Load:
    """Requests to one server, one after the other and of each kind, until it is ended."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seconds: list[float] = []
        self.problems: list[Any] = []
        self._ends = asyncio.Event()

    async def run(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            await asyncio.gather(*(self._repeat(client, nth) for nth in range(4)))

    def end(self) -> None:
        self._ends.set()

    async def _repeat(self, client: httpx.AsyncClient, nth: int) -> None:
        number = 0
        while not self._ends.is_set():
            number += 1
            saving = {"query": SAVE, "variables": {"name": f"load{nth}-{number}@example.com"}}
            for body in (LIST, saving, HISTORY, None):
                start = time.perf_counter()
                response = await (
                    client.post("/graphql", json=body) if body else client.get("/health/ready")
                )
                self.seconds.append(time.perf_counter() - start)
                if response.status_code != httpx.codes.OK or b'"code"' in response.content:
                    self.problems.append((body, response.status_code, response.text))


async def test_an_old_instance_serves_while_the_database_is_migrated(
    large_store: tuple[str, Path], new_version: Path
) -> None:
    store_url, log = large_store
    url = {"GRAPH_DATABASE_URL": store_url}
    refused = new_graph(new_version, "serve", GRAPH_PORT="0", **url)
    assert "this version of graph needs 1002. Run: graph migrate" in complaint(refused)

    with serving(**url) as old:
        load = Load(old.url)
        loading = asyncio.create_task(load.run())
        await asyncio.sleep(3)
        before, load.seconds = load.seconds, []
        started = time.perf_counter()
        migrated = await asyncio.to_thread(new_graph, new_version, "migrate", **url)
        took = time.perf_counter() - started
        during = list(load.seconds)
        await asyncio.sleep(1)
        load.end()
        await loading
        assert output_of(migrated).endswith("to 1002.\n")
        assert load.problems == []
        locked = [float(each) for each in WAITED.findall(log.read_text())]
        milliseconds = [round(max(each, default=0) * 1000) for each in (before, during)]
        print(  # noqa: T201
            f"\n{LINES} lines, {took:.1f} s, {len(during)} requests meanwhile; the longest took"
            f" {milliseconds[0]} ms before, {milliseconds[1]} ms meanwhile; {len(locked)} waits"
            f" for a lock of 50 ms or more, the longest {max(locked, default=0):.0f} ms"
        )
        # What a request takes in all depends on how busy the machine is as well.
        assert max(locked, default=0) < LONGEST_MILLISECONDS

    with serving(**url):  # an old instance can be started again
        pass
    assert (
        output_of(graph("migrate", **url)) == "Migrated the database from revision 1002 to 1002.\n"
    )
    assert "this version of graph works on 1002 too" in graph("doctor", **url).stdout


def test_a_new_instance_is_served_from_the_revision_on_that_it_needs(
    database_url: str, new_version: Path
) -> None:
    """Expand, deploy, contract: the last migration waits until nobody reads the column."""
    url = {"GRAPH_DATABASE_URL": database_url}
    output_of(new_graph(new_version, "migrate", **url))
    write(new_version, "1003_no_nickname", CONTRACT)

    # Not from the folder that it is started in.
    new_code = {"PYTHONPATH": str(new_version), "PYTHONSAFEPATH": "1"}
    with serving(**url) as old, serving(**new_code, **url) as new:
        assert "data" in httpx.post(f"{new.url}/graphql", json=NICKNAME).json()
        plan = output_of(new_graph(new_version, "migrate", "--plan", **url))
        line = complaint(new_graph(new_version, "migrate", **url))
        assert ready(old.url)
        output_of(new_graph(new_version, "migrate", "--yes", **url))
        eventually(lambda: not ready(old.url))
        assert ready(new.url)

    assert plan == (
        "store 1003: Nobody reads the nickname any more\n"
        "  locks customers (ACCESS EXCLUSIVE)\n"
        "  drops customers.nickname\n"
    )
    assert line.startswith("this drops customers.nickname, with all that is stored there.")
    refused = graph("serve", GRAPH_PORT="0", **url)
    assert "is at revision 1003" in complaint(refused)
    assert "Run a newer version of graph." in complaint(refused)


def ready(url: str) -> bool:
    return httpx.get(f"{url}/health/ready").status_code == httpx.codes.OK
