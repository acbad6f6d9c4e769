"""Tests on several cores: `pytest -n auto`, as `make test` runs them (pytest-xdist).

Each worker has a PostgreSQL of its own, so that no test meets another's databases. Here is what
concerns all workers:

    -n auto              One worker for each core, at least two.
    the scheduling       Tests go to the workers one by one; those of a file with a fixture of the
                         whole module go to one worker together.
    the run's folder     Holds all temporary files, in memory if there is enough. Nothing is left of
                         it, nor of the run's processes (`cleanup`).
    @pytest.mark.alone   No other test runs meanwhile, in any worker: for tests that compare times.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import cleanup

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_CLEANUP = pytest.StashKey[subprocess.Popen[bytes]]()
_CLEANUP_SECONDS = 120

# Each has a PostgreSQL and its servers: more would not fit on every machine.
_MOST_WORKERS = 8
_SHM = Path("/dev/shm")  # noqa: S108  the folder in it is ours
_SHM_BYTES = 4_000_000_000


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    is_linux = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if is_linux else os.cpu_count() or 1
    return min(max(cores, 2), _MOST_WORKERS)


# Scheduling


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Scopes are files that share a fixture, the largest first, and then single tests.

    Not `--dist loadgroup`: pytest 9.2 has no place for the groups that xdist 3.8 writes into ids.
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid, self.config.rootpath)


def scope_of(nodeid: str, root: Path) -> str:
    file = nodeid.partition("::")[0]
    return file if _shares_a_fixture(root / file) else nodeid


@cache
def _shares_a_fixture(file: Path) -> bool:
    return 'scope="module"' in file.read_text("utf-8")


# The run's folder


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = mkdtemp(prefix="graph-", dir=_memory())
        Path(folder).chmod(0o755)  # PostgreSQL does not run as root, and has to get in
        config.stash[_CLEANUP] = subprocess.Popen(
            [sys.executable, "-m", cleanup.__name__, folder],
            cwd=config.rootpath,
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C does not reach it
        )
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # workers and servers inherit it


def pytest_unconfigure(config: pytest.Config) -> None:
    if process := config.stash.get(_CLEANUP, None):
        process.communicate(timeout=_CLEANUP_SECONDS)


def _memory() -> Path | None:
    """Where memory is a folder with plenty of room: a busy disk takes ten times as long.

    Some containers let nothing be executed there, as tests have to.
    """
    with suppress(OSError):
        noexec = os.statvfs(_SHM).f_flag & os.ST_NOEXEC
        if not noexec and os.access(_SHM, os.W_OK) and shutil.disk_usage(_SHM).free > _SHM_BYTES:
            return _SHM
    return None


# Alone, or beside others


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    with beside_others(Path(gettempdir()), alone=bool(item.get_closest_marker("alone"))):
        return (yield)


@contextmanager
def beside_others(folder: Path, *, alone: bool) -> Iterator[None]:
    """Lock the floor: shared, or alone. A test that waits for it keeps the door closed meanwhile.

    The kernel releases both locks when the process ends that holds them, however it ends.
    """
    with (folder / "floor").open("w") as floor:
        with (folder / "door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
