"""The embedded PostgreSQL after accidents, by real kills, and what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from graph.database.embedded import Cluster, binary, kept_running, running_cluster
from tests.database.embedded import (
    CLUSTER,
    FAST,
    answer,
    as_plain_user,
    begin_user,
    give_away,
    is_alive,
    log_of,
    logged,
    made,
    place,
    postmaster,
    refusal,
    store,
    wait_until,
)

__all__ = ["logged", "made", "place", "store"]


def removed(folder: Path) -> bool:
    """Remove a folder in which PostgreSQL still makes and removes files; whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


# Accidents


def kill_and_await_another(data_dir: Path, cluster: Cluster) -> None:
    """Kill the server, and return when there is another: its end may be over before one looks."""
    killed = postmaster(data_dir)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: cluster.is_running() and postmaster(data_dir) != killed, seconds=20)


def test_a_killed_server_is_back_soon_with_its_rows(store: Path) -> None:
    durable = {"shared_buffers": "16MB"}
    with running_cluster(store, settings=durable) as cluster, kept_running(cluster):
        answer(cluster, "CREATE TABLE killed AS SELECT 42 AS row")

        for _ in range(2):
            kill_and_await_another(store, cluster)

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

        kill_and_await_another(store, cluster)

        assert client.communicate(timeout=60)
        assert answer(cluster, "SELECT 1") == 1


def test_a_server_whose_socket_was_swept_away_is_replaced(store: Path) -> None:
    with running_cluster(store, settings=FAST) as cluster, kept_running(cluster):
        unreachable = postmaster(store)
        (store / CLUSTER / ".s.PGSQL.5432").unlink()

        wait_until(lambda: not is_alive(unreachable))
        wait_until(cluster.is_running)

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
