"""The tables of the documentation, in Markdown: a row for each server, a column a workload."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.report import connections_in_words
from bench.workloads import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bench.rounds import Cell

# Above these, fewer digits say as much.
_TWO_DIGITS_BELOW, _ONE_DIGIT_BELOW = 3, 10


def ratios(cells: Sequence[Cell], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of one table; where there are several numbers of connections, rows name them.

    `titles` are those of the servers, by their names.
    """
    found = {(cell.connections, cell.server, cell.workload): cell for cell in cells}
    connections, servers, workloads = (
        list(dict.fromkeys(names)) for names in zip(*found, strict=True)
    )

    def row(count: int, server: str) -> list[str]:
        those = [found.get((count, server, workload)) for workload in workloads]
        limits = [found.get((count, LIMIT, workload)) for workload in workloads]
        at = f", {connections_in_words(count)}" if len(connections) > 1 else ""
        return [titles[server] + at, *map(_spread, those, limits)]

    rows = (row(count, server) for count in connections for server in servers)
    yield from table(("server", *workloads), rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _line(columns)
    yield "|---" * len(columns) + "|"
    yield from map(_line, rows)


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |".replace("|  |", "| |")


def _spread(cell: Cell | None, limit: Cell | None) -> str:
    if cell is None or limit is None:
        return ""
    if cell is limit:
        return "1"
    each = cell.ratios_to(limit)
    middle = _digits(median(each))
    return f"{middle} ({_digits(min(each))} to {_digits(max(each))})" if len(each) > 1 else middle


def _digits(ratio: float) -> str:
    if ratio < _TWO_DIGITS_BELOW:
        return f"{ratio:.2f}"
    return f"{ratio:.1f}" if ratio < _ONE_DIGIT_BELOW else f"{ratio:.0f}"
