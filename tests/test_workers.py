"""How the tests run beside each other, and that nothing is left of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tests.conftest import eventually
from tests.database.embedded import USER, is_alive, is_in, postmaster
from tests.workers import beside_others, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def test_a_test_that_runs_alone_waits_for_others_and_they_for_it(
    threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    order: list[str] = []
    may_end = {name: Event() for name in ("first", "beside", "alone", "after")}

    def run(name: str) -> None:
        with beside_others(tmp_path, alone=name == "alone"):
            order.append(f"{name} begins")
            assert may_end[name].wait(20)
            order.append(f"{name} ends")

    def begin(name: str) -> None:
        threads.submit(run, name)

    begin("first")
    eventually(lambda: order[-1:] == ["first begins"])
    begin("beside")
    eventually(lambda: order[-1:] == ["beside begins"])
    begin("alone")
    eventually(lambda: is_locked(tmp_path / "door"))
    begin("after")
    for name in ("first", "beside"):
        may_end[name].set()
    eventually(lambda: order[-1:] == ["alone begins"])
    may_end["alone"].set()
    eventually(lambda: order[-1:] == ["after begins"])
    may_end["after"].set()

    assert sorted(order[2:4]) == ["beside ends", "first ends"]
    assert order[4:7] == ["alone begins", "alone ends", "after begins"]


def is_locked(file: Path) -> bool:
    """Whether a process has locked it, as the kernel lists it; elsewhere it is not known."""
    if not Path("/proc/locks").exists():
        return True
    inode = f":{file.stat().st_ino} "
    return any(inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_tests_that_share_a_fixture_of_their_module_stay_together() -> None:
    together, apart = "tests/test_serve.py::test_a[b::c]", "tests/test_relay.py::test_a"

    assert scope_of(together, ROOT) == "tests/test_serve.py"
    assert scope_of(apart, ROOT) == apart


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_nothing_is_left_of_a_run_that_was_killed() -> None:
    folder = Path(mkdtemp()).resolve()
    folder.chmod(0o755)
    cleanup = subprocess.Popen(
        [sys.executable, "-m", "tests.cleanup", folder], cwd=ROOT, stdin=subprocess.PIPE
    )
    with subprocess.Popen(
        [sys.executable, "-c", USER, folder],
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert is_in(worker)
        server = postmaster(folder)
        assert cleanup.poll() is None

        cleanup.communicate(timeout=60)

        assert worker.wait(5) == -signal.SIGTERM
    assert not is_alive(server)
    assert not folder.exists()
