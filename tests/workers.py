"""Tests on several cores: `pytest -n auto`, as `make test` runs them (pytest-xdist).

Each worker has a PostgreSQL of its own, so that no test meets another's databases. Here is what
concerns all workers:

    the run's folder     Holds their clusters. The process that began the run removes it, and stops
                         the servers that a killed worker has left in it.
    @pytest.mark.alone   No other test runs meanwhile, in any worker: for tests that compare times.
    -n auto              One worker for each core, at least two.

Tests go to the workers one by one (`--dist loadgroup`). A file with an expensive fixture has an
`xdist_group`: one worker runs its tests, in their order.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest

from graph.database.embedded import running_cluster
from graph.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from xdist.workermanage import WorkerController

_FOLDER = pytest.StashKey[Path]()

# Each has a PostgreSQL and its servers: more would not fit on every machine.
_MOST_WORKERS = 8
_MEMORY = Path("/dev/shm")  # noqa: S108  the folder in it is ours
_MEMORY_BYTES = 4_000_000_000


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    is_linux = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if is_linux else os.cpu_count() or 1
    return min(max(cores, 2), _MOST_WORKERS)


# The folder of the run


def pytest_configure(config: pytest.Config) -> None:
    begun = getattr(config, "workerinput", None)
    config.stash[_FOLDER] = Path(begun["folder"]) if begun else _new_folder()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    node.workerinput["folder"] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        stop_clusters_below(config.stash[_FOLDER])
        shutil.rmtree(config.stash[_FOLDER])


@pytest.fixture(scope="session")
def run_folder(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.stash[_FOLDER]


def _new_folder() -> Path:
    # Not pytest's own folder, which another run of the same user removes when it starts.
    folder = Path(mkdtemp(prefix="graph-tests-", dir=_in_memory()))
    folder.chmod(0o755)
    return folder


def _in_memory() -> Path | None:
    """Memory, where there is plenty: a busy disk takes ten times as long to clone a database."""
    with suppress(OSError):
        if shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES and os.access(_MEMORY, os.W_OK):
            return _MEMORY
    return None


def stop_clusters_below(folder: Path) -> None:
    for left_running in folder.glob("**/postgresql-*/postmaster.pid"):
        with suppress(StartupError), running_cluster(left_running.parent.parent):
            pass


# Alone, or beside others


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    with _beside_others(item.config.stash[_FOLDER], alone=bool(item.get_closest_marker("alone"))):
        return (yield)


@contextmanager
def _beside_others(folder: Path, *, alone: bool) -> Iterator[None]:
    """Lock the floor: shared, or alone. A test that waits for it keeps the door closed meanwhile.

    The kernel releases both locks when the process ends that holds them, however it ends.
    """
    with (folder / "floor").open("w") as floor:
        with (folder / "door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
