"""The command line: mistakes at the start, and its help."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from graph.database.connect import connected
from graph.database.revisions import head_revision
from graph.errors import AddressUnavailable, DatabaseUnreachable, DatabaseUnsuitable
from graph.server.serve import bound_socket
from tests.command_line import answer, complaint, executed, graph, output_of
from tests.conftest import settings_for
from tests.database.embedded import a_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.embedded import Cluster


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


def test_help_describes_each_command() -> None:
    text = output_of(graph("--help", COLUMNS="100"))

    for command in ("serve", "migrate", "seed", "schema", "import", "export", "prune"):
        assert re.search(rf"^. {command}  +[A-Z].*\.", text, re.MULTILINE), text


def test_help_shows_defaults_in_brackets_and_joins_lines() -> None:
    assert "[from the file's name]" in output_of(graph("export", "--help", COLUMNS="100"))
    wide = output_of(graph("serve", "--help", COLUMNS="160"))
    assert "in GRAPH_DATA_DIR, migrates it, and fills it with a demo store" in wide
