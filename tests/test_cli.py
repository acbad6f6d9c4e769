"""The command line: each command in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from graph.database.connect import connected
from graph.database.embedded import running_cluster
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.database.revisions import head_revision
from graph.errors import AddressUnavailable, DatabaseUnreachable, DatabaseUnsuitable
from graph.server.serve import bound_socket
from graph.store.seed import seed
from tests.conftest import eventually, serving, settings_for
from tests.database.test_embedded import CLUSTER, a_folder, is_alive, postmaster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.embedded import Cluster
    from tests.conftest import LiveServer

SCHEMA_FILE = Path(__file__).parents[1] / "schema.graphql"
COUNT = {"query": "{ customers { totalCount } }"}
FAST = {"fsync": "off", "shared_buffers": "16MB"}


def graph(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graph", *arguments],
        env=os.environ | environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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


@pytest.fixture(scope="module")
def small_store() -> Iterator[Path]:
    """The folder of a cluster with three customers, to be copied."""

    async def make(url: str) -> None:
        database = Database.connect(settings_for(url))
        await migrate(database)
        await seed(database, customers=3)
        await database.close()

    with a_folder() as folder:
        with running_cluster(folder, settings=FAST) as cluster:
            asyncio.run(make(cluster.url()))
        yield folder


@pytest.fixture
def data_dir(small_store: Path) -> Iterator[Path]:
    with a_folder() as folder:
        subprocess.run(["cp", "-a", small_store / CLUSTER, folder], check=True)
        yield folder


# Mistakes at start


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = graph("serve", "--port", port, GRAPH_DATA_DIR="/nowhere")

    assert complaint(done) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use."
        " Choose another address with --host and --port (GRAPH_HOST, GRAPH_PORT)."
    )


def test_a_port_that_another_process_has_not_begun_to_serve_is_taken_too() -> None:
    with bound_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(AddressUnavailable, match="Address already in use"):
            bound_socket("127.0.0.1", port)

    bound_socket("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a" * 64])
def test_an_address_that_is_not_of_this_machine(host: str) -> None:
    with pytest.raises(AddressUnavailable, match=rf"^cannot listen on {host}:8000: [A-Z][^\[]*\."):
        bound_socket(host, 8000)


def test_a_database_that_is_not_there() -> None:
    url = "postgresql://graph:hunter2@127.0.0.1:1/store"

    assert complaint(graph("serve", GRAPH_PORT="0", GRAPH_DATABASE_URL=url)) == (
        "cannot open the database at 127.0.0.1:1/store: Connection refused."
        " Check GRAPH_DATABASE_URL."
    )


def test_a_database_that_does_not_exist(cluster: Cluster) -> None:
    line = complaint(graph("migrate", GRAPH_DATABASE_URL=cluster.url("no_such_store")))

    assert line.startswith("cannot open the database at /")
    assert line.endswith(
        '/no_such_store: database "no_such_store" does not exist. Check GRAPH_DATABASE_URL.'
    )


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://nobody_known:hunter2@/postgres?{at}", 'role "nobody_known" does not exist'),
        ("postgresql://:hunter2@/postgres?host=/nowhere", "/nowhere:5432/postgres: No such file"),
        ("postgresql://:hunter2@localhost:1/store", "localhost:1/store: Connection refused"),
        ("postgresql://:hunter2@no.such.host.invalid/store", ".invalid:5432/store: "),
        ("postgresql://graph:hunter2@/postgres?{at}&colour=red", "not known: 'colour'"),
        ("postgresql://graph:hunter2@/postgres?port=red", "non-integer port"),
    ],
)
async def test_a_database_that_cannot_be_opened(cluster: Cluster, url: str, problem: str) -> None:
    at = f"host={cluster.environment()['PGHOST']}&port={cluster.environment()['PGPORT']}"

    with pytest.raises(DatabaseUnreachable) as refused:
        async with connected(settings_for(url.format(at=at))):
            pass

    line = str(refused.value)
    assert line.startswith("cannot open the database at ")
    assert problem in line
    assert line.endswith(". Check GRAPH_DATABASE_URL.")
    assert not re.search(r"hunter2|Errno|\n", line)


@pytest.fixture
def secured_url(cluster: Cluster) -> Iterator[str]:
    """The URL of a role that PostgreSQL asks for a password, which is wrong in it."""
    superuser = cluster.url("postgres")
    rules = Path(answer(superuser, "SHOW hba_file"))
    before = rules.read_text()
    answer(superuser, "CREATE ROLE careful LOGIN PASSWORD 'right'")
    rules.write_text(f"local all careful scram-sha-256\n{before}")
    answer(superuser, "SELECT pg_reload_conf()")
    yield superuser.replace("graph@", "careful:hunter2@")
    rules.write_text(before)
    answer(superuser, "SELECT pg_reload_conf()")
    answer(superuser, "DROP ROLE careful")


def test_a_wrong_password(secured_url: str) -> None:
    line = complaint(graph("serve", GRAPH_PORT="0", GRAPH_DATABASE_URL=secured_url))

    assert 'password authentication failed for user "careful". Check GRAPH_DATABASE_URL' in line
    assert "hunter2" not in line


def test_a_wrong_url() -> None:
    line = complaint(graph("serve", GRAPH_DATABASE_URL="mysql://root:hunter2@localhost/store"))

    assert (
        line == "GRAPH_DATABASE_URL is invalid: it must start with postgresql:// (or postgres://)."
    )


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    line = complaint(graph("serve", GRAPH_PORT="0", GRAPH_DATA_DIR=str(tmp_path / "file")))

    assert line.startswith(f"{tmp_path}/file must be a folder")
    assert line.endswith("Choose another with GRAPH_DATA_DIR.")


def test_a_data_directory_of_another_postgresql() -> None:
    with a_folder() as folder:
        (folder / "postgresql-16").mkdir()
        (folder / "postgresql-16" / "PG_VERSION").write_text("16\n")
        line = complaint(graph("serve", GRAPH_PORT="0", GRAPH_DATA_DIR=str(folder)))

    assert line.startswith(f"{folder}/postgresql-16 was created by PostgreSQL 16, but this is ")
    assert "pg_dump" in line


def test_a_database_that_was_not_migrated_and_is_left_so(empty_url: str) -> None:
    for command in ("serve", "seed"):
        assert complaint(graph(command, GRAPH_PORT="0", GRAPH_DATABASE_URL=empty_url)) == (
            f"the database is at revision none, this version of graph needs {head_revision()}."
            " Run: graph migrate"
        )

    assert answer(empty_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_a_database_of_a_newer_version(database_url: str) -> None:
    answer(database_url, "UPDATE alembic_version SET version_num = '9999'")

    assert complaint(graph("serve", GRAPH_PORT="0", GRAPH_DATABASE_URL=database_url)) == (
        f"the database is at revision 9999, this version of graph needs {head_revision()}."
        " Run a newer version of graph."
    )


async def test_a_database_that_does_not_store_utf_8(cluster: Cluster) -> None:
    options = "ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    await executed(cluster.url("postgres"), f"CREATE DATABASE latin {options}")

    with pytest.raises(DatabaseUnsuitable, match="stores text as LATIN1; graph needs UTF8"):
        async with connected(settings_for(cluster.url("latin"))):
            pass
    await executed(cluster.url("postgres"), "DROP DATABASE latin")


def test_a_revision_that_does_not_exist(empty_url: str) -> None:
    line = complaint(graph("migrate", "--to", "9999", GRAPH_DATABASE_URL=empty_url))

    assert line.startswith("--to is invalid: ")
    assert "'9999'" in line


@pytest.mark.parametrize(
    ("command_line", "problem", "command"),
    [
        (["serve", "--workers", "0"], "'--workers'", "graph serve"),
        (["serve", "--nowhere"], "--nowhere", "graph serve"),
        (["import", "customers.csv"], "'--into'", "graph import"),
        (["webhook", "add", "https://shop.example/hooks"], "'--as'", "graph webhook add"),
        (["forget"], "'customer'", "graph forget"),
        (["sing"], "'sing'", "graph"),
    ],
)
def test_a_command_line_that_is_wrong_is_answered_with_one_line(
    command_line: list[str], problem: str, command: str
) -> None:
    done = graph(*command_line)

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("graph: ")
    assert problem in line
    assert line.endswith(f". Try '{command} --help'.")


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_setting_that_no_worker_can_start_with_ends_the_command(
    database_url: str, workers: str
) -> None:
    environment = {
        "GRAPH_DATABASE_URL": database_url,
        "GRAPH_DOCUMENTS": "trusted-only",
        "GRAPH_DOCUMENTS_MANIFEST": "/nowhere/manifest.json",
    }
    done = graph("serve", "--port", "0", "--workers", workers, **environment)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("graph: GRAPH_DOCUMENTS_MANIFEST is invalid: ")


# help, schema, migrate, seed


def test_help_describes_each_command() -> None:
    text = output_of(graph("--help", COLUMNS="100"))

    for command in ("serve", "migrate", "seed", "schema", "import", "export", "prune"):
        assert re.search(rf"^. {command}  +[A-Z].*\.", text, re.MULTILINE), text


def test_help_shows_defaults_in_brackets_and_joins_lines() -> None:
    assert "[from the file's name]" in output_of(graph("export", "--help", COLUMNS="100"))
    wide = output_of(graph("serve", "--help", COLUMNS="160"))
    assert "in GRAPH_DATA_DIR, migrates it, and fills it with a demo store" in wide


def test_the_schema_is_written_and_compared_without_any_server(tmp_path: Path) -> None:
    def schema(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "graph", "schema", *arguments],
            env=os.environ | {"GRAPH_DATABASE_URL": "postgresql://127.0.0.1:1/none"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    written = schema()
    same = schema("--check")
    text = (tmp_path / "schema.graphql").read_text("utf-8")
    (tmp_path / "schema.graphql").write_text(text.replace("town: String!", "town: String"))
    drifted = schema("--check")

    assert complaint(drifted) == (
        "schema.graphql differs from the schema of the code. Run: graph schema"
    )
    assert output_of(written) == "Wrote schema.graphql.\n"
    assert output_of(same) == "schema.graphql is up to date.\n"
    assert text == SCHEMA_FILE.read_text("utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["schema.graphql"]


def test_the_schema_is_compared_with_an_older_one(tmp_path: Path) -> None:
    text = SCHEMA_FILE.read_text("utf-8")
    old = tmp_path / "old.graphql"

    def diff(text: str, *more: str) -> subprocess.CompletedProcess[str]:
        old.write_text(text)
        return graph("schema", "--diff", str(old), *more)

    same = diff(text)
    town = '  """The town of the address."""\n  town: String!\n'
    added = diff(text.replace(town, ""))
    broken = diff(text.replace(town, f"{town}  lost: Int\n"))
    invalid = diff("type Query {")
    missing = graph("schema", "--diff", str(tmp_path / "none.graphql"))
    both = diff(text, "--check")

    assert output_of(same) == "Breaking: 0\nDangerous: 0\nSafe: 0\n"
    assert output_of(added).endswith("Safe: 1\n  Field Customer.town was added.\n")
    assert (broken.returncode, broken.stderr) == (1, "")
    assert broken.stdout.startswith("Breaking: 1\n  Field Customer.lost was removed.\nDanger")
    for wrong in (invalid, missing):
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert "--diff is invalid: it does not go with --check" in complaint(both)


def test_an_older_schema_may_come_through_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graph", "schema", "--diff", "-"],
        input="type Query { lost: Int }",
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Breaking: 1\n  Field Query.lost was removed.\n")


def test_a_manifest_is_checked_against_the_schema(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"a": "{ customers { totalCount } }"}')
    bad.write_text('{"a": "{ customers { totalCount } }", "b": "{ custmers }", "c": "{"}')

    fine, wrong, missing = (
        graph("documents", "check", str(path)) for path in (good, bad, tmp_path / "none.json")
    )

    assert output_of(fine) == f"{good}: 1 document is valid.\n"
    assert wrong.returncode == 1
    first, second = wrong.stderr.splitlines()
    assert first.startswith("bad: b: Cannot query field 'custmers' on type 'Query'.")
    assert second.startswith("bad: c: Syntax Error")
    assert complaint(missing).startswith("MANIFEST is invalid: ")
    assert complaint(missing).endswith("none.json cannot be read: No such file or directory.")


def test_a_change_of_the_schema_is_told_to_each_client_and_release(tmp_path: Path) -> None:
    old, new, usage = (tmp_path / name for name in ("old.graphql", "new.graphql", "usage.json"))
    old.write_text("type Query { a: Int! b: Int c: Size } enum Size { S }")
    new.write_text("type Query { a: Int c: Size d: Int } enum Size { S L }")
    shop = {
        "operations": [{"id": "1", "body": "query One { a }"}],
        "client": "shop",
        "release": "2",
    }
    (tmp_path / "any.json").write_text(json.dumps(shop))
    (tmp_path / "till@7.json").write_text('{"x": "{ b }", "y": "query Sizes { c }"}')
    (tmp_path / "app.json").write_text('{"z": "{ d }", "w": "{ __typename }"}')
    uses = {"client": "shop", "version": "2", "uses": 1204, "lastUsed": "2026-11-20T09:00:00+00:00"}
    usage.write_text(json.dumps({"operations": [{"name": "query One", "clients": [uses]}]}))
    manifests = [str(tmp_path / name) for name in ("any.json", "till@7.json", "app.json")]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return graph("documents", "check", *manifests, *options)

    told = run("--against", str(old), "--schema", str(new), "--usage", str(usage))
    back = run("--against", str(new), "--schema", str(new))
    wrong = run("--against", str(usage))
    alone = run("--usage", str(usage))
    malformed = run("--against", str(old), "--usage", str(tmp_path / "app.json"))

    nullable = "Field Query.a changed type from Int! to Int."
    unknown = "Cannot query field 'b' on type 'Query'. Did you mean 'a', 'c', or 'd'?"
    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        f"shop 2: query One breaks: {nullable} (used 1,204 times, last 2026-11-20)",
        "shop 2: 1 of 1 documents break.",
        f"till 7: x breaks: {unknown} (1:3) (not used)",
        "till 7: query Sizes is affected: Enum value Size.L was added. (not used)",
        "till 7: 1 of 2 documents break.",
        "app: z was invalid before",
        "app: 0 of 2 documents break.",
    ]
    assert (back.returncode, back.stdout.count(" 0 of ")) == (0, 3)
    assert wrong.returncode == 2
    assert "--usage is invalid: it needs --against" in complaint(alone)
    assert "is not what `graph usage --json` prints" in complaint(malformed)


def test_migrate_goes_up_and_down_and_reports_it(empty_url: str) -> None:
    def run(*arguments: str) -> str:
        return output_of(graph("migrate", *arguments, GRAPH_DATABASE_URL=empty_url))

    assert run() == f"Migrated the database from revision none to {head_revision()}.\n"
    back = run("--to", "base", "--yes")
    assert back == f"Migrated the database from revision {head_revision()} to none.\n"
    assert answer(empty_url, "SELECT to_regclass('customers')") is None


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


# serve


def counted(server: LiveServer) -> int:
    response = httpx.post(f"{server.url}/graphql", json=COUNT, timeout=30)
    assert response.status_code == 200, response.text
    count: int = response.json()["data"]["customers"]["totalCount"]
    return count


def ended(server: LiveServer, by: signal.Signals = signal.SIGTERM) -> str:
    """Stop a server; return all that it printed."""
    server.process.send_signal(by)
    assert server.process.wait(30) == 0
    return server.printed()


def test_serve_makes_a_store_of_its_own_once_and_leaves_nothing_running() -> None:
    with a_folder() as folder:
        environment = {"GRAPH_DATA_DIR": str(folder / "new"), "GRAPH_LOG_LEVEL": "warning"}
        with serving(**environment) as server:
            made = counted(server)
            pid = postmaster(folder / "new")
            assert is_alive(pid)
            first = ended(server)
        assert not is_alive(pid)
        with serving(**environment) as server:
            found = counted(server)
            second = ended(server, by=signal.SIGINT)

    at = r"graph is at http://127\.0\.0\.1:\d+/graphql \(Ctrl-C stops it\)\n"
    assert re.search(rf"The store holds 1,000 customers, .* lines\.\n{at}$", first)
    assert re.fullmatch(at, second)
    assert made == found == 1000


def test_serve_starts_its_postgresql_again_when_it_was_killed(data_dir: Path) -> None:
    def ready() -> int:
        return httpx.get(f"{server.url}/health/ready", timeout=30).status_code

    with serving(GRAPH_DATA_DIR=str(data_dir)) as server:
        before = counted(server)
        os.kill(postmaster(data_dir), signal.SIGKILL)
        eventually(lambda: ready() == 503)
        eventually(lambda: ready() == 200)
        after = counted(server)
        log = ended(server)

    assert before == after == 3
    assert "PostgreSQL had died and has been restarted" in log
    assert "Traceback" not in log


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody holds the customers so that nobody can read them."""
    driver_url = url.replace("+asyncpg", "")
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(driver_url))
        runner.run(connection.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE"))
        try:
            yield
        finally:
            runner.run(connection.close())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_runs_is_answered_before_the_server_ends(
    database_url: str, workers: int
) -> None:
    """And a database that was given is left as it is, however empty."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with (
        ThreadPoolExecutor() as threads,
        serving("--workers", str(workers), GRAPH_DATABASE_URL=database_url) as server,
    ):
        with locked(database_url):
            running = threads.submit(counted, server)
            eventually(lambda: answer(database_url, waiting) == 1)
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: not is_listening(server))
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(0.5)
            assert not running.done()

        assert running.result(30) == 0
        assert server.process.wait(30) == 0
        assert server.printed().startswith("graph is at ")


def is_listening(server: LiveServer) -> bool:
    """Whether somebody accepts new requests: a socket that only listens does not answer."""
    try:
        return httpx.get(f"{server.url}/health/live", timeout=0.5).status_code == 200
    except httpx.TransportError:
        return False


# Files


def test_rows_go_out_into_a_file_and_come_back(database_url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return graph(*arguments, GRAPH_DATABASE_URL=database_url)

    rows, items = tmp_path / "rows.ndjson", tmp_path / "items.csv"
    output_of(run("seed", "--customers", "30"))
    assert (
        output_of(run("export", "customers", "--out", str(rows))) == f"Wrote 30 rows to {rows}.\n"
    )
    assert output_of(run("export", "items", "--out", str(items))) == f"Wrote 200 rows to {items}.\n"
    with rows.open("a") as more:
        more.write("{}\n")

    done = output_of(run("import", str(rows), "--into", "customers"))

    side = f"{rows}.refused.ndjson"
    assert done == (
        "Read 31 rows: added 0, changed 0, unchanged 30, superseded 0, refused 1.\n"
        f"The refused rows are in {side}, the reasons in {side}.problems.ndjson.\n"
    )
    done = output_of(run("import", str(items), "--into", "items"))
    assert done == "Read 200 rows: added 0, changed 0, unchanged 200, superseded 0, refused 0.\n"
    assert answer(database_url, "SELECT count(*) FROM customers") == 30
    assert answer(database_url, "SELECT max(version) FROM items") == 1


def test_the_nodes_of_a_query_go_out_into_a_file(database_url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return graph(*arguments, GRAPH_DATABASE_URL=database_url)

    rows = tmp_path / "rows.ndjson"
    output_of(run("seed", "--customers", "30"))
    query = """query ($after: String) { customers(first: 7, after: $after) {
        nodes { username orders { totalCount } } pageInfo { hasNextPage endCursor } } }"""

    assert output_of(run("export", query, "--out", str(rows))) == f"Wrote 30 rows to {rows}.\n"
    usernames = [json.loads(line)["username"] for line in rows.read_text().split("\n") if line]
    assert len(set(usernames)) == 30

    for wrong, why in (
        ("{ customers { nodes { id } } }", "a query to be exported has one connection"),
        (f"query ($after: String) {{ nothing(after: $after) {{ {_PAGE} }} }}", "query is refused"),
        ("nothing", "it must be one of customers, items, orders, or a query"),
        ("query { customers { nodes { id } pageInfo { hasNextPage endCursor } } }", "has one"),
        *((text, why) for text, why in PARTIAL),
    ):
        before = rows.read_bytes()
        assert why in complaint(run("export", wrong, "--out", str(rows)))
        assert rows.read_bytes() == before
    assert answer(database_url, "SELECT count(*) FROM items") == 200
    assert [path.name for path in tmp_path.iterdir()] == ["rows.ndjson"]


_PAGE = "nodes { id } pageInfo { hasNextPage endCursor }"
_PRICES = 'costPrice: "1", sellingPrice: "1"'
# Queries that would give a part of the nodes, or do something else; and why they are refused.
PARTIAL = (
    (
        f'mutation {{ createItem(input: {{name: "x", {_PRICES}}}) {{ __typename }} }}',
        "only a query",
    ),
    (f"mutation ($after: String) {{ customers(after: $after) {{ {_PAGE} }} }}", "only a query"),
    (f"subscription ($after: String) {{ customers(after: $after) {{ {_PAGE} }} }}", "only a query"),
    (
        f"query A ($after: String) {{ customers(after: $after) {{ {_PAGE} }} }} query B {{ a }}",
        "one",
    ),
    (f"query ($after: String) {{ customers(after: $after, last: 5) {{ {_PAGE} }} }}", "'last'"),
    (f"query ($after: String) {{ customers(before: $after) {{ {_PAGE} }} }}", "'before'"),
    (f"{{ customers(first: 5) {{ {_PAGE} }} }}", "has one connection"),
    (f'{{ customers(after: "x") {{ {_PAGE} }} }}', "has one connection"),
    (
        """query ($after: String) { customers(after: $after) {
            nodes { id } pageInfo { hasNextPage: hasPreviousPage endCursor } } }""",
        "without aliases",
    ),
    (
        """query ($after: String) { customers(after: $after) {
            nodes { id } pageInfo { ...P } } }
        fragment P on PageInfo { hasNextPage: hasPreviousPage endCursor }""",
        "without aliases",
    ),
    (
        """query ($after: String) { customers(after: $after) {
            nodes @include(if: true) { id } pageInfo { hasNextPage endCursor } } }""",
        "without aliases and directives",
    ),
    (
        f"""query ($after: String) {{
            customers(after: $after) {{ {_PAGE} }} items {{ totalCount }} }}""",
        "has one connection",
    ),
    ("query { customers(", "Syntax Error"),
)


def test_a_query_of_fragments_and_another_variable_is_exported(
    database_url: str, tmp_path: Path
) -> None:
    output_of(graph("seed", "--customers", "30", GRAPH_DATABASE_URL=database_url))
    query = """query ($from: String) { ...Q }
        fragment Q on Query { all: customers(after: $from, first: 9) { ...C } }
        fragment C on CustomerConnection { nodes { id } ... { pageInfo { ...P } } }
        fragment P on PageInfo { hasNextPage endCursor }"""
    rows = tmp_path / "rows.ndjson"

    done = graph("export", query, "--out", str(rows), GRAPH_DATABASE_URL=database_url)

    assert output_of(done) == f"Wrote 30 rows to {rows}.\n"


def test_an_export_that_fails_leaves_the_old_file(database_url: str, tmp_path: Path) -> None:
    rows, folder = tmp_path / "rows.ndjson", tmp_path / "folder"
    rows.write_text("old")
    rows.chmod(0o640)
    link = tmp_path / "link.ndjson"
    link.symlink_to(rows)

    def export(what: str, out: Path) -> subprocess.CompletedProcess[str]:
        return graph("export", what, "--out", str(out), GRAPH_DATABASE_URL=database_url)

    assert "the query is refused" in complaint(export("query { nothing", rows))
    assert "cannot be written" in complaint(export("customers", folder / "rows.ndjson"))
    assert rows.read_text() == "old"

    output_of(export("customers", link))

    assert rows.read_text() == ""
    assert rows.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.ndjson", "rows.ndjson"]


def test_rows_come_through_a_pipe(database_url: str, tmp_path: Path) -> None:
    item = b'{"name": "%d", "costPrice": "1", "sellingPrice": "2"}\n'
    for nth, name in enumerate(("-", "/dev/stdin")):
        text = item % nth + b"{\n"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "graph",
                "import",
                name,
                "--into",
                "items",
                "--format",
                "ndjson",
            ],
            input=text,
            env=os.environ | {"GRAPH_DATABASE_URL": database_url},
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.stderr == b""
        assert done.stdout.startswith(b"Read 2 rows: added 1, changed 0, unchanged 0, ")
        assert (tmp_path / "stdin.refused.ndjson").read_bytes() == b"{\n"
    assert answer(database_url, "SELECT count(*) FROM items") == 2


def test_an_impossible_import_is_refused_with_the_reason(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("")
    for options, why in (
        (["--into", "customers"], "it must be ndjson or csv; 'rows.txt' implies neither"),
        (["--into", "towns", "--format", "csv"], "it must be one of customers, items, orders"),
        (["--into", "orders", "--format", "csv"], "which CSV cannot represent"),
        (
            ["--into", "items", "--format", "csv", "--bad-rows", str(file)],
            "is the file that is imp",
        ),
        (["--into", "items", "--format", "csv", "--bad-rows", str(tmp_path)], "cannot be written"),
    ):
        done = graph("import", str(file), *options, GRAPH_DATABASE_URL=database_url)
        assert why in complaint(done)


def test_expired_keys_are_removed(database_url: str) -> None:
    old = """INSERT INTO idempotency_keys (viewer, key, request, created_on)
             SELECT '', n::text, '', now() - n * interval '1 hour' FROM generate_series(0, 30) n"""
    answer(database_url, old)

    assert output_of(graph("prune", GRAPH_DATABASE_URL=database_url)) == (
        "Removed 7 expired idempotency keys.\n"
    )


def test_old_events_are_removed(database_url: str) -> None:
    old = """INSERT INTO events (occurred_at, entity, entity_id, kind, payload)
             SELECT now() - n * interval '1 day', 'Item', n, 'CHANGED', '{}'
             FROM generate_series(10, 0, -1) AS n"""
    answer(database_url, old)

    assert output_of(
        graph("prune", "--events-older-than", "60h", GRAPH_DATABASE_URL=database_url)
    ) == (
        "Removed 0 expired idempotency keys.\n"
        "Removed 8 events, 0 partitions as a whole. No event up to number 8 is left.\n"
    )
    for wrong in ("60", "h", "-1d", "0d", "1y", "1.5d", "999999999w", "40000d"):
        done = graph("prune", "--events-older-than", wrong, GRAPH_DATABASE_URL=database_url)
        assert "--events-older-than is invalid" in complaint(done)
