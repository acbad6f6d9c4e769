"""Ends and removes what a run of the tests has left, however the run has ended.

A process of its own: Ctrl-C, the timeout of a CI job or a lack of memory may end a run at any time.
It waits for the end of its stdin, which the run holds open. Then it ends the processes of the run,
stops its PostgreSQLs, and removes its folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_SECONDS = 20  # more than `graph serve` takes to stop


def clean_up(folder: Path) -> None:
    sys.stdin.read()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in _processes(folder):
            with suppress(ProcessLookupError):
                os.kill(process, number)
        deadline = time.monotonic() + _SECONDS
        while _processes(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
    stop_clusters(folder)
    shutil.rmtree(folder, ignore_errors=True)


def stop_clusters(folder: Path) -> None:
    """Stop every PostgreSQL below a folder."""
    left = [file.parent.parent for file in folder.glob("**/postgresql-*/postmaster.pid")]
    if left:
        from graph.database.embedded import running_cluster  # noqa: PLC0415  seldom, and slow
        from graph.errors import StartupError  # noqa: PLC0415

        for data_dir in left:
            with suppress(StartupError), running_cluster(data_dir):
                pass


def _processes(folder: Path) -> list[int]:
    """Workers and servers: whatever was started with this TMPDIR. Without /proc none is found."""
    variable = f"TMPDIR={folder}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or is of another account
            if variable in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


if __name__ == "__main__":
    clean_up(Path(sys.argv[1]))
