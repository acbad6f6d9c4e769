"""The embedded PostgreSQL: where it is made, and who uses it, with real servers."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from graph.database.embedded import binary, running_cluster
from tests.database.embedded import (
    CLUSTER,
    FAST,
    another_user,
    answer,
    begin_user,
    is_alive,
    is_in,
    log_of,
    logged,
    made,
    moved,
    place,
    postmaster,
    refusal,
    store,
)

__all__ = ["logged", "made", "place", "store"]


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
