"""The tables of the documentation, in Markdown: a row for each server, a column a workload."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.workloads import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bench.rounds import Cell

# Above these, fewer digits say as much.
_TWO_DIGITS_BELOW, _ONE_DIGIT_BELOW = 3, 10


def ratios(cells: Sequence[Cell], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a table for each number of connections, after a line that names it.

    `titles` are those of the servers, by their names.
    """
    for connections in dict.fromkeys(cell.connections for cell in cells):
        found = {
            (cell.workload, cell.server): cell for cell in cells if cell.connections == connections
        }
        workloads, servers = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
        yield f"Connections: {connections}"
        yield ""
        yield from table(
            ("server", *workloads),
            (
                (
                    titles[server],
                    *(
                        _spread(found[workload, server].ratios_to(found[workload, LIMIT]))
                        if (workload, server) in found
                        else ""
                        for workload in workloads
                    ),
                )
                for server in servers
            ),
        )
        yield ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _line(columns)
    yield "|---" * len(columns) + "|"
    yield from map(_line, rows)


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |".replace("|  |", "| |")


def _spread(ratios: Sequence[float]) -> str:
    if set(ratios) == {1}:
        return "1"
    middle = _digits(median(ratios))
    if len(ratios) == 1:
        return middle
    return f"{middle} ({_digits(min(ratios))} to {_digits(max(ratios))})"


def _digits(ratio: float) -> str:
    if ratio < _TWO_DIGITS_BELOW:
        return f"{ratio:.2f}"
    return f"{ratio:.1f}" if ratio < _ONE_DIGIT_BELOW else f"{ratio:.0f}"
