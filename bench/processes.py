"""What processes have used, from /proc: CPU time and memory of a process and all below it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_NANOSECONDS = 1e9

# Fields of /proc/PID/stat, counted from the state, which follows the name in parentheses.
_PARENT = 1
_OWN_TICKS = slice(11, 13)
_CHILDREN_TICKS = slice(13, 15)


def cpu_seconds(root: int) -> float:
    """User and system time of a process and all below it, those included that have ended.

    The living are known to the nanosecond (`schedstat` of each thread), those that ended and were
    waited for to a hundredth of a second (`cutime` and `cstime` of their parents).
    """
    return sum(_own_seconds(pid) + _ticks(pid, _CHILDREN_TICKS) for pid in tree(root))


def resident_bytes(root: int) -> int:
    """The resident memory of a process and all below it."""
    return sum(_resident_bytes(pid) for pid in tree(root))


def tree(root: int) -> list[int]:
    """The process itself, and all below it that live."""
    parents = {pid: int(fields[_PARENT]) for pid, fields in _stats()}
    found = [root]
    for parent in found:
        found.extend(pid for pid, its_parent in parents.items() if its_parent == parent)
    return found


def _stats() -> Iterator[tuple[int, list[str]]]:
    for folder in _PROC.glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            yield int(folder.name), fields


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none if there is no such process."""
    try:
        return (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ticks(pid: int, fields: slice) -> float:
    return sum(int(ticks) for ticks in _stat(pid)[fields]) / _TICKS_PER_SECOND


def _own_seconds(pid: int) -> float:
    threads = (_PROC / f"{pid}/task").glob("*/schedstat")
    try:
        nanoseconds = [int(thread.read_text().split()[0]) for thread in threads]
    except OSError:
        nanoseconds = []
    # A kernel may be without schedstat.
    return sum(nanoseconds) / _NANOSECONDS if nanoseconds else _ticks(pid, _OWN_TICKS)


def _resident_bytes(pid: int) -> int:
    try:
        pages = int((_PROC / f"{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
