"""The roles of the embedded PostgreSQL, and the accounts that run it."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from graph.database.embedded import Cluster, binary, running_cluster
from tests.database.embedded import (
    CLUSTER,
    FAST,
    answer,
    as_plain_user,
    logged,
    made,
    moved,
    place,
    postmaster,
    refusal,
    store,
)

__all__ = ["logged", "made", "place", "store"]


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about what root has to do")


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
